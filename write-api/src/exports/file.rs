//! The file of an export as an answer: streamed, with what its receiver compares it with.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use daybook_domain::export::{ExportFormat, Generated};
use daybook_exports::{FilesError, OpenedFile, content_type};
use daybook_http_kit::Problem;
use futures::{Stream, stream};
use tokio::io::{AsyncReadExt, Take};

use super::desk::ExportDesk;

/// SHA-256 of the file, 64 hexadecimal digits.
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");
/// The signature of the file's manifest, DER in base64.
const CONTENT_SIGNATURE: HeaderName = HeaderName::from_static("x-content-signature");
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Opens the file; 409 `export.file_missing` where it is not in its place.
async fn open(desk: &ExportDesk, generated: &Generated) -> Result<OpenedFile, Problem> {
    desk.files.open_range(generated.file.as_str(), None).await.map_err(|error| match error {
        FilesError::NotFound(name) => {
            tracing::error!(file = name, "the file of an export is not in its place");
            Problem::conflict("export.file_missing", "the file is not where it was put; verify the export")
        }
        error => Problem::internal(&error),
    })
}

/// Whether the file is in its place.
pub(super) async fn is_there(desk: &ExportDesk, generated: &Generated) -> Result<bool, Problem> {
    let path = desk.files.path(generated.file.as_str()).map_err(|error| Problem::internal(&error))?;
    tokio::fs::try_exists(path).await.map_err(|error| Problem::internal(&error))
}

/// Opens the file and reads all of it: whether it has the length and the digests that were recorded. It then stands at its
/// beginning, and is the very file that was compared, whatever is put in its place meanwhile.
pub(super) async fn open_and_compare(desk: &ExportDesk, generated: &Generated) -> Result<(OpenedFile, bool), Problem> {
    let opened = open(desk, generated).await?;
    if opened.length != generated.bytes {
        return Ok((opened, false));
    }
    let _turn = desk.looking.acquire().await.map_err(|error| Problem::internal(&error))?;
    let (opened, digests) = opened.with_digests().await.map_err(|error| Problem::internal(&error))?;
    let is_right = digests.bytes == generated.bytes
        && digests.blake3_hex() == generated.blake3.as_str()
        && digests.sha256_hex() == generated.sha256.as_str();
    Ok((opened, is_right))
}

/// The whole file.
pub(super) fn answer(opened: OpenedFile, format: ExportFormat, generated: &Generated) -> HttpResponse {
    let length = opened.range.end.saturating_sub(opened.range.start);
    let disposition = format!("attachment; filename=\"{}\"", generated.file);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, content_type(format)));
    answer.insert_header((CONTENT_DISPOSITION, disposition));
    answer.insert_header((CONTENT_SHA256, generated.sha256.as_str()));
    answer.insert_header((CONTENT_SIGNATURE, generated.signature.value.as_str()));
    // The digest is of the bytes as they are: they are not compressed on the way.
    answer.insert_header((CONTENT_ENCODING, HeaderValue::from_static("identity")));
    answer.body(SizedStream::new(length, pieces(opened.file.take(length))))
}

fn pieces(file: Take<tokio::fs::File>) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await? {
            0 => Ok(None),
            _ => Ok(Some((piece.freeze(), file))),
        }
    })
}
