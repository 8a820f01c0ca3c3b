//! The files of an export: its rows, its manifest, and the signature of that. A file of other length than was recorded is not
//! handed out, nor one of at most 64 MiB with other digests; whether a larger one is still what was recorded is for whoever
//! fetches it to verify, and the digests to do so with come along.

use std::ops::Range;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use daybook_exports::{ExportFiles, FilesError, MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, OpenedFile, content_type};
use daybook_http_kit::{AtLeast, NoQuery, Problem, Scoped};
use daybook_read_models::exports::{ExportRow, PROJECTOR};
use futures::Stream;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::known;
use super::reader::ExportReader;
use crate::answer::AnswerAt;
use crate::freshness;
use crate::state::QueryState;

/// Bytes that are read and sent at once.
const CHUNK: usize = 64 * 1024;
/// Longest file that is compared with what was recorded before it is sent: 64 MiB, some hundredths of a second.
const MAX_COMPARED_BYTES: u64 = 64 * 1024 * 1024;
/// SHA-256 of the whole file, hexadecimal.
const X_CONTENT_SHA256: &str = "x-content-sha256";
/// Signature of the manifest, base64.
const X_CONTENT_SIGNATURE: &str = "x-content-signature";
/// When a client should ask again for a file that another process has, in seconds.
const RETRY_AFTER_SECONDS: u32 = 60;

/// Download an export
///
/// The file, whole or a range of it (`Range: bytes=…`, one range). 409 `export.tampered` where it is not as long as was
/// recorded, or has at most 64 MiB and other digests; a larger one is not read before it is sent. `X-Content-SHA256` is the digest of the whole file as
/// the ledger has it, `X-Content-Signature` the signature of the manifest that states it. It takes the permission to read
/// what is in the file besides.
#[utoipa::path(get, path = "/v1/exports/{export_id}/file", tag = "exports", operation_id = "get_export_file",
    params(("export_id" = String, Path, description = "Id of the export", example = "exp_0193f3a17c00700080000001"),
        ("Range" = Option<String>, Header, description = "A range of bytes, `bytes=0-1023`; others than one are ignored"),
        ("If-Range" = Option<String>, Header, description = "An `ETag`: of another file all is answered")),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream",
            headers(("X-Content-SHA256" = String, description = "SHA-256 of the whole file, hexadecimal"),
                    ("X-Content-Signature" = String, description = "Signature of the manifest, base64"))),
        (status = 206, description = "A range of it", body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn file(
    reader: ExportReader,
    request: HttpRequest,
    _: NoQuery,
    at_least: AtLeast,
    export_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (seen, row) = generated(&reader, &state, at_least, &export_id).await?;
    let files = files(&state)?;
    let (name, sha256) = (said(&row, "/file")?, said(&row, "/sha256")?);
    let tag = format!("\"{sha256}\"");
    let range = wanted_range(request.headers(), &tag, row.bytes.unwrap_or(0));
    let opened = match files.open_range(&name, range.clone()).await {
        Err(FilesError::Range { length }) => return Err(not_satisfiable(length)),
        opened => opened.map_err(|error| lost(&row, &error))?,
    };
    let opened = as_recorded(opened, &row, &sha256).await?;
    let mut answer = HttpResponse::build(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    described(&mut answer, seen, &name);
    let media_type = row.format.parse().ok().map_or("application/octet-stream", content_type);
    answer
        .content_type(media_type)
        .insert_header((header::ETAG, tag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((X_CONTENT_SHA256, sha256))
        .insert_header((X_CONTENT_SIGNATURE, said(&row, "/signature/value")?));
    if range.is_some() {
        let OpenedFile { range: Range { start, end }, length, .. } = &opened;
        answer.insert_header((header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", end.saturating_sub(1))));
    }
    let bytes = opened.range.end.saturating_sub(opened.range.start);
    Ok(answer.no_chunking(bytes).streaming(chunks(opened)))
}

/// Download the manifest of an export
///
/// What is in the file, where it comes from and who approved it: the very bytes that are signed.
#[utoipa::path(get, path = "/v1/exports/{export_id}/manifest", tag = "exports", operation_id = "get_export_manifest",
    params(("export_id" = String, Path, description = "Id of the export", example = "exp_0193f3a17c00700080000001")),
    responses((status = 200, description = "The manifest", body = Object, content_type = "application/json")))]
pub async fn manifest(
    reader: ExportReader,
    _: NoQuery,
    at_least: AtLeast,
    export_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (seen, row) = generated(&reader, &state, at_least, &export_id).await?;
    let name = said(&row, "/manifest/file")?;
    let bytes = small(files(&state)?, &row, &name, MAX_MANIFEST_BYTES).await?;
    let mut answer = HttpResponse::Ok();
    described(&mut answer, seen, &name)
        .insert_header((X_CONTENT_SHA256, said(&row, "/manifest/sha256")?))
        .insert_header((X_CONTENT_SIGNATURE, said(&row, "/signature/value")?));
    Ok(answer.content_type("application/json").body(bytes))
}

/// Download the signature of an export's manifest
///
/// ECDSA P-256 over SHA-256, in DER: `openssl dgst -sha256 -verify key.pem -signature export.sig export.manifest.json`.
#[utoipa::path(get, path = "/v1/exports/{export_id}/signature", tag = "exports", operation_id = "get_export_signature",
    params(("export_id" = String, Path, description = "Id of the export", example = "exp_0193f3a17c00700080000001")),
    responses((status = 200, description = "The signature", body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn signature(
    reader: ExportReader,
    _: NoQuery,
    at_least: AtLeast,
    export_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (seen, row) = generated(&reader, &state, at_least, &export_id).await?;
    let name = said(&row, "/signature/file")?;
    let bytes = small(files(&state)?, &row, &name, MAX_SIGNATURE_BYTES).await?;
    let mut answer = HttpResponse::Ok();
    Ok(described(&mut answer, seen, &name).content_type("application/octet-stream").body(bytes))
}

/// The row of an export whose files the caller may have: 404 where there is none, 409 while there is no file, 410 where
/// there is none any more.
async fn generated(
    reader: &ExportReader,
    state: &QueryState,
    at_least: AtLeast,
    export_id: &str,
) -> Result<(u64, ExportRow), Problem> {
    let seen = freshness::wait(state, at_least, PROJECTOR).await?;
    let row = known(reader, state, export_id).await?;
    reader.may_open(&row)?;
    match row.status.as_str() {
        "generated" => Ok((seen, row)),
        "removed" => Err(Problem::new(410, "export.removed", "the file of this export was removed")),
        status => {
            let detail = format!("this export is {status}: it has no file");
            Err(Problem::conflict("export.no_file", detail).with_member("export_status", status))
        }
    }
}

/// The file where it is what was recorded, as far as that is looked at: its length, and the digests of one that is soon read.
async fn as_recorded(opened: OpenedFile, row: &ExportRow, sha256: &str) -> Result<OpenedFile, Problem> {
    let tampered = |found: &str| {
        tracing::error!(export_id = row.export_id, found, "the file of an export has changed");
        Problem::conflict("export.tampered", "the file is not what was recorded: verify the export")
    };
    if Some(opened.length) != row.bytes {
        return Err(tampered("its length"));
    }
    if opened.length > MAX_COMPARED_BYTES {
        return Ok(opened);
    }
    let blake3 = said(row, "/blake3")?;
    let (opened, digests) = opened.with_digests().await.map_err(|error| Problem::internal(&error))?;
    if digests.sha256_hex() != sha256 || digests.blake3_hex() != blake3 {
        return Err(tampered("its digests"));
    }
    Ok(opened)
}

fn files(state: &QueryState) -> Result<&ExportFiles, Problem> {
    state.exports.as_ref().ok_or_else(|| {
        let detail = "this process does not have the files of exports";
        Problem::unavailable("export.elsewhere", detail, RETRY_AFTER_SECONDS)
    })
}

/// What `export.generated` says at a place.
fn said(row: &ExportRow, pointer: &str) -> Result<String, Problem> {
    let value = row.generated.as_ref().and_then(|generated| generated.pointer(pointer)).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| {
        tracing::error!(export_id = row.export_id, pointer, "the row of a generated export says too little");
        Problem::new(500, "internal.error", "an unexpected error occurred")
    })
}

async fn small(files: &ExportFiles, row: &ExportRow, name: &str, most: usize) -> Result<web::Bytes, Problem> {
    let (files, wanted) = (files.clone(), name.to_owned());
    let read = tokio::task::spawn_blocking(move || files.read(&wanted, most)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) => Err(lost(row, &error)),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// A file that was recorded and is not there: on another machine's disk, or gone.
fn lost(row: &ExportRow, error: &FilesError) -> Problem {
    tracing::error!(export_id = row.export_id, %error, "a file of an export cannot be read");
    let detail = "the file of this export cannot be read here";
    Problem::unavailable("export.file_unavailable", detail, RETRY_AFTER_SECONDS)
}

/// What every download says: a name to store it under, and that nobody keeps or changes it on the way.
fn described<'a>(answer: &'a mut HttpResponseBuilder, seen: u64, name: &str) -> &'a mut HttpResponseBuilder {
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(name.to_owned())],
    };
    answer
        .position(seen)
        .insert_header(disposition)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Digests and ranges are of the bytes as they are.
        .insert_header((header::CONTENT_ENCODING, "identity"))
}

/// The one range that a client asks for; `None` where it asks for all, for several, or for a range of another file.
fn wanted_range(headers: &HeaderMap, tag: &str, length: u64) -> Option<Range<u64>> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let is_other = headers.get(header::IF_RANGE).is_some_and(|value| value.as_bytes() != tag.as_bytes());
    if is_other {
        return None;
    }
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(first..last.saturating_add(1)),
        (Some(first), None) if last.trim().is_empty() => Some(first..u64::MAX),
        // The last bytes; of nothing there are none, which is not satisfiable.
        (None, Some(last)) if first.trim().is_empty() => Some(length.saturating_sub(last)..length.max(1)),
        _ => None,
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn not_satisfiable(length: u64) -> Problem {
    Problem::new(416, "export.range_not_satisfiable", format!("the file has {length} bytes"))
        .with_member("length", length)
}

/// The bytes of an opened file, a chunk at a time.
fn chunks(opened: OpenedFile) -> impl Stream<Item = Result<web::Bytes, std::io::Error>> {
    let OpenedFile { file, range, .. } = opened;
    async_stream::try_stream! {
        let mut rest = file.take(range.end.saturating_sub(range.start));
        loop {
            let mut chunk = web::BytesMut::with_capacity(CHUNK);
            if rest.read_buf(&mut chunk).await? == 0 {
                break;
            }
            yield chunk.freeze();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn range(text: &str, if_range: Option<&str>) -> Option<Range<u64>> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(text).unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, HeaderValue::from_str(tag).unwrap());
        }
        wanted_range(&headers, "\"abc\"", 100)
    }

    #[test]
    fn one_range_of_the_same_file_is_understood() {
        assert_eq!(range("bytes=0-9", None), Some(0..10));
        assert_eq!(range("bytes=10-", None), Some(10..u64::MAX));
        assert_eq!(range("bytes=-10", None), Some(90..100));
        assert_eq!(range("bytes=-1000", None), Some(0..100));
        assert_eq!(range("bytes=0-9", Some("\"abc\"")), Some(0..10));
    }

    #[test]
    fn everything_else_is_all_of_it() {
        for text in ["bytes=0-9,20-29", "bytes=9-0", "bytes=-", "bytes=a-b", "bytes=+1-2", "rows=0-9", "0-9", ""] {
            assert_eq!(range(text, None), None, "{text}");
        }
        assert_eq!(range("bytes=0-9", Some("\"other\"")), None);
    }
}
