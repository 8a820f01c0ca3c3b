//! The files of an upload: received field by field into a folder that goes away with the request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use daybook_exports::MAX_MANIFEST_BYTES;
use daybook_http_kit::Problem;
use futures::StreamExt;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Most bytes of the file: 1 GiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// Most bytes of the manifest, or of the hashes: 256 MiB.
const MAX_PROOF_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of the signature and of the key.
const MAX_SMALL_BYTES: u64 = 64 * 1024;
/// How long is waited for an upload.
const PATIENCE: Patience = Patience { silence: Duration::from_secs(30), deadline: Duration::from_secs(600) };
/// Most fields.
const MAX_FIELDS: usize = 16;

/// How long is waited for a client.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Longest silence.
    silence: Duration,
    /// Longest time for all of it.
    deadline: Duration,
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    File,
    Proof,
    Signature,
    PublicKey,
}

impl Slot {
    fn of(name: &str) -> Option<Self> {
        match name {
            "file" | "csv_file" => Some(Self::File),
            "manifest" | "hash_file" => Some(Self::Proof),
            "signature" | "sig_file" => Some(Self::Signature),
            "public_key" | "pubkey_file" => Some(Self::PublicKey),
            _ => None,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Proof => "manifest",
            Self::Signature => "signature",
            Self::PublicKey => "public_key",
        }
    }

    fn most_bytes(self) -> u64 {
        match self {
            Self::File => MAX_FILE_BYTES,
            Self::Proof => MAX_PROOF_BYTES,
            Self::Signature | Self::PublicKey => MAX_SMALL_BYTES,
        }
    }
}

/// The files as they were sent, in a folder that goes away with this.
pub(super) struct Sent {
    folder: TempDir,
    has_key: bool,
}

impl Sent {
    /// Writes each field to a file of its own as it comes. 408 where it is silent for 30 seconds or not done in 10 minutes.
    pub(super) async fn receive(multipart: Multipart) -> Result<Self, Problem> {
        Self::receive_within(PATIENCE, multipart).await
    }

    async fn receive_within(patience: Patience, multipart: Multipart) -> Result<Self, Problem> {
        let received = tokio::time::timeout(patience.deadline, Self::fields(patience.silence, multipart)).await;
        received.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn fields(silence: Duration, mut multipart: Multipart) -> Result<Self, Problem> {
        let folder = tempfile::tempdir().map_err(|error| Problem::internal(&error))?;
        let mut seen: Vec<Slot> = Vec::new();
        while let Some(field) = within(silence, multipart.next()).await? {
            let field = field.map_err(|error| unreadable(&error))?;
            let name = field.name().unwrap_or_default().to_owned();
            let Some(slot) = Slot::of(&name) else {
                let name: String = name.chars().take(100).collect();
                return Err(Problem::invalid(format!("/{name}"), "is no field of this form"));
            };
            if seen.contains(&slot) || seen.len() >= MAX_FIELDS {
                return Err(Problem::invalid(format!("/{name}"), "is there twice"));
            }
            seen.push(slot);
            write_field(silence, field, &folder.path().join(slot.file_name()), slot.most_bytes()).await?;
        }
        for slot in [Slot::File, Slot::Proof, Slot::Signature] {
            if !seen.contains(&slot) {
                return Err(Problem::invalid(format!("/{}", slot.file_name()), "is required"));
            }
        }
        Ok(Self { folder, has_key: seen.contains(&Slot::PublicKey) })
    }

    pub(super) fn path(&self, slot: Slot) -> PathBuf {
        self.folder.path().join(slot.file_name())
    }

    pub(super) async fn read(&self, slot: Slot) -> Result<Vec<u8>, Problem> {
        tokio::fs::read(self.path(slot)).await.map_err(|error| Problem::internal(&error))
    }

    /// The key in PEM, where one was sent.
    pub(super) async fn key(&self) -> Result<Option<String>, Problem> {
        if !self.has_key {
            return Ok(None);
        }
        let bytes = self.read(Slot::PublicKey).await?;
        String::from_utf8(bytes).map(Some).map_err(|_| Problem::invalid("/public_key", "must be a public key in PEM"))
    }

    /// Whether what came with the file is a manifest of ours, which is an object; a file of hashes begins with digits.
    pub(super) async fn is_manifest(&self) -> Result<bool, Problem> {
        let failed = |error: std::io::Error| Problem::internal(&error);
        let file = tokio::fs::File::open(self.path(Slot::Proof)).await.map_err(failed)?;
        let mut start = Vec::new();
        file.take(1_024).read_to_end(&mut start).await.map_err(failed)?;
        Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
    }

    /// A signature in base64 becomes what it stands for.
    pub(super) async fn unwrap_signature(&self) -> Result<(), Problem> {
        use base64::Engine as _;
        let bytes = self.read(Slot::Signature).await?;
        let text: String = String::from_utf8_lossy(&bytes).split_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(text);
        // DER begins with the byte of a sequence, which no base64 does.
        if let (Ok(decoded), false) = (decoded, bytes.first() == Some(&0x30) && !bytes.is_ascii()) {
            let written = tokio::fs::write(self.path(Slot::Signature), decoded).await;
            written.map_err(|error| Problem::internal(&error))?;
        }
        Ok(())
    }
}

/// Writes a field to a file as it comes; 413 where it is too long.
async fn write_field(silence: Duration, mut field: Field, path: &Path, most_bytes: u64) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::internal(&error);
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let mut length = 0_u64;
    while let Some(piece) = within(silence, field.next()).await? {
        let piece = piece.map_err(|error| unreadable(&error))?;
        length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if length > most_bytes {
            return Err(Problem::too_large(usize::try_from(most_bytes).unwrap_or(usize::MAX)));
        }
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

async fn within<T>(silence: Duration, next: impl Future<Output = T>) -> Result<T, Problem> {
    let next = tokio::time::timeout(silence, next).await;
    next.map_err(|_| too_slow())
}

fn too_slow() -> Problem {
    Problem::new(408, "request.timeout", "the body took too long to arrive")
}

/// A form that breaks off or is none is the client's fault, in whatever words.
fn unreadable(error: &MultipartError) -> Problem {
    Problem::bad_request("request.malformed", format!("the form cannot be read: {error}"))
}

/// A manifest fits into what is taken for hashes.
const _: () = assert!(MAX_MANIFEST_BYTES as u64 <= MAX_PROOF_BYTES);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use actix_web::error::PayloadError;
    use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
    use bytes::Bytes;
    use futures::Stream;
    use futures::stream::{self, StreamExt as _};

    use super::*;

    const BEGUN: &[u8] = b"--xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nid\n";

    /// What comes of a form that begins as it should and goes on like this.
    async fn received(patience: Patience, rest: impl Stream<Item = Bytes> + 'static) -> Result<Sent, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=xx"));
        let begun = stream::iter([Bytes::from_static(BEGUN)]);
        let body = begun.chain(rest).map(Ok::<_, PayloadError>);
        let receiving = Sent::receive_within(patience, Multipart::new(&headers, body));
        tokio::time::timeout(Duration::from_secs(60), receiving).await.unwrap()
    }

    #[actix_web::test]
    async fn upload_that_trickles_for_ever_ends_at_the_deadline() {
        let trickle = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Bytes::from_static(b"1\n"), ()))
        });
        let patience = Patience { silence: Duration::from_secs(600), deadline: Duration::from_millis(200) };
        let problem = received(patience, trickle).await.err().unwrap();
        assert_eq!((problem.status(), problem.code()), (408, "request.timeout"));
    }

    #[actix_web::test]
    async fn upload_that_falls_silent_is_not_waited_for_until_the_deadline() {
        let patience = Patience { silence: Duration::from_millis(50), deadline: Duration::from_secs(600) };
        let problem = received(patience, stream::pending()).await.err().unwrap();
        assert_eq!((problem.status(), problem.code()), (408, "request.timeout"));
    }

    #[actix_web::test]
    async fn upload_that_breaks_off_is_the_clients_fault() {
        let problem = received(PATIENCE, stream::empty()).await.err().unwrap();
        assert_eq!((problem.status(), problem.code()), (400, "request.malformed"));
    }
}
