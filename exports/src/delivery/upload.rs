//! An upload in parts that leaves none behind: one that is given up is aborted, also where nobody waits for it any more.

use bytes::Bytes;
use object_store::{MultipartUpload, Result};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// An upload under way.
pub(super) struct Upload {
    /// `None` once it is finished or aborted.
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<Result<()>>,
}

impl Upload {
    pub fn new(upload: Box<dyn MultipartUpload>) -> Self {
        Self { upload: Some(upload), parts: JoinSet::new() }
    }

    /// Waits until fewer than `most` parts are on their way. Fails where one of them did.
    pub async fn wait_for_capacity(&mut self, most: usize) -> Result<()> {
        while self.parts.len() >= most.max(1) {
            self.next_part().await?;
        }
        Ok(())
    }

    /// Sends the next part on its way. All but the last have the same length.
    pub fn put(&mut self, part: Bytes) {
        if let Some(upload) = &mut self.upload {
            self.parts.spawn(upload.put_part(part.into()));
        }
    }

    /// Makes an object of the parts, when all are there.
    pub async fn finish(&mut self) -> Result<()> {
        while !self.parts.is_empty() {
            self.next_part().await?;
        }
        if let Some(upload) = &mut self.upload {
            upload.complete().await?;
        }
        self.upload = None;
        Ok(())
    }

    /// Gives it up. Parts that stay all the same are the store's to remove.
    pub async fn abort(&mut self) {
        self.parts.shutdown().await;
        if let Some(upload) = &mut self.upload {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an upload that was given up could not be aborted");
            }
            self.upload = None;
        }
    }

    async fn next_part(&mut self) -> Result<()> {
        match self.parts.join_next().await {
            Some(Ok(sent)) => sent,
            Some(Err(error)) => Err(error.into()),
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let mut left = Self { upload: Some(upload), parts: std::mem::take(&mut self.parts) };
        runtime.spawn(async move { left.abort().await });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use futures::FutureExt as _;
    use object_store::{PutPayload, PutResult, UploadPart};

    use super::*;

    #[derive(Debug, Default)]
    struct Counted {
        aborted: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl MultipartUpload for Counted {
        fn put_part(&mut self, _: PutPayload) -> UploadPart {
            std::future::pending().boxed()
        }

        async fn complete(&mut self) -> Result<PutResult> {
            Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
        }

        async fn abort(&mut self) -> Result<()> {
            self.aborted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_aborted_and_what_is_finished_is_not() {
        let aborted = Arc::new(AtomicUsize::new(0));
        let mut upload = Upload::new(Box::new(Counted { aborted: Arc::clone(&aborted) }));
        upload.put(Bytes::from_static(b"part"));
        assert!(tokio::time::timeout(Duration::from_millis(10), upload.finish()).await.is_err());
        drop(upload);
        let one = async {
            while aborted.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), one).await.unwrap();
        let mut finished = Upload::new(Box::new(Counted { aborted: Arc::clone(&aborted) }));
        finished.finish().await.unwrap();
        drop(finished);
        tokio::task::yield_now().await;
        assert_eq!(aborted.load(Ordering::Relaxed), 1);
    }
}
