//! The entries of one stream, as they come.

use daybook_ledger::{Entry, LedgerReader, StoreError, StreamKey};
use futures::Stream;

/// Entries of a stream read at once.
const STREAM_PAGE: usize = 500;

/// All entries of one stream in version order, page by page.
pub fn stream_entries(reader: LedgerReader, key: StreamKey) -> impl Stream<Item = Result<Entry, StoreError>> + Send {
    async_stream::try_stream! {
        let mut version = 1;
        loop {
            let page = reader.stream(&key, version, STREAM_PAGE).await?;
            let Some(last) = page.last().map(|entry| entry.version) else { break };
            for entry in page {
                yield entry;
            }
            version = last.saturating_add(1);
        }
    }
}
