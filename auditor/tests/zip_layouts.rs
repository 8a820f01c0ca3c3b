//! A zip file that shows one thing to one program and something else to another is refused before anything in it counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::io::Write as _;
use std::path::Path;

use common::lines::{Files, bundle, relist, write_zip};
use common::{START, append};
use daybook_auditor::{FindingKind, Source, SourceError, VerifyOptions, verify};
use daybook_ledger::Store as _;
use daybook_ledger::store::sqlite::SqliteStore;
use zip::CompressionMethod::{Deflated, Stored};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A bundle of the first entries of a small ledger.
async fn files(folder: &Path) -> Files {
    let store = SqliteStore::open(folder.join("ledger.db")).unwrap();
    let main = "main".parse().unwrap();
    for number in 0..20_usize {
        let one = append(number, "transaction", &format!("TX-{number}"), 0, 1);
        let one = daybook_ledger::Append { command: None, ..one };
        store.append(&main, &[one], START + number as i64).await.unwrap().remove(0).unwrap();
    }
    bundle(&store.entries(&main, 0, 100).await.unwrap(), 0, 10, None)
}

/// What is found in a zip file; an error where it has no manifest, or is none.
async fn findings(folder: &Path, bytes: &[u8]) -> Result<Vec<(FindingKind, String)>, SourceError> {
    let path = folder.join("made.zip");
    std::fs::write(&path, bytes).unwrap();
    let report = verify(Source::Bundle(path), VerifyOptions::default(), |_| {}).await?;
    let inside = report.ledgers.iter().flat_map(|ledger| &ledger.integrity.findings);
    Ok(report.findings.iter().chain(inside).map(|one| (one.kind, one.detail.clone())).collect())
}

/// One file in a zip file that is made by hand, and what is other about it than it should be.
#[derive(Clone, Default)]
struct Made<'a> {
    name: &'a str,
    /// Its name in the directory, where that is another.
    listed: Option<&'a str>,
    content: &'a [u8],
    deflated: bool,
    /// Behind the end of the deflated content, within the length that is stated.
    behind: &'a [u8],
    /// Between this file and the next.
    between: &'a [u8],
    /// Extra field in the directory.
    extra: &'a [u8],
    /// Comment in the directory.
    comment: &'a [u8],
    /// Method in the header before the file, where that is another.
    method: Option<u16>,
}

/// A zip file by hand, with offsets that count from its first byte.
fn made(front: &[u8], files: &[Made<'_>], before_directory: &[u8], comment: &[u8]) -> Vec<u8> {
    let (mut zip, mut directory) = (front.to_vec(), Vec::new());
    for file in files {
        let mut packed = file.content.to_vec();
        if file.deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(file.content).unwrap();
            packed = encoder.finish().unwrap();
        }
        packed.extend_from_slice(file.behind);
        let mut crc = flate2::Crc::new();
        crc.update(file.content);
        let method = u16::from(file.deflated) * 8;
        let fixed = |method: u16, name: &str, extra: usize| {
            let mut fixed = [20_u16, 0, method, 0, 33].map(u16::to_le_bytes).concat();
            let sizes = [crc.sum(), packed.len() as u32, file.content.len() as u32].map(u32::to_le_bytes);
            fixed.extend(sizes.concat());
            fixed.extend([name.len() as u16, extra as u16].map(u16::to_le_bytes).concat());
            fixed
        };
        let (start, listed) = (zip.len() as u32, file.listed.unwrap_or(file.name));
        zip.extend([b"PK\x03\x04", fixed(file.method.unwrap_or(method), file.name, 0).as_slice()].concat());
        zip.extend([file.name.as_bytes(), &packed, file.between].concat());
        directory.extend([b"PK\x01\x02\x14\x00", fixed(method, listed, file.extra.len()).as_slice()].concat());
        directory.extend([file.comment.len() as u16, 0, 0, 0, 0].map(u16::to_le_bytes).concat());
        directory.extend(start.to_le_bytes());
        directory.extend([listed.as_bytes(), file.extra, file.comment].concat());
    }
    zip.extend(before_directory);
    let start = zip.len() as u32;
    let (count, size) = (files.len() as u16, directory.len() as u32);
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    zip.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
    zip.extend((comment.len() as u16).to_le_bytes());
    zip.extend(comment);
    zip
}

fn plain(files: &Files) -> Vec<Made<'_>> {
    files.iter().map(|(name, content)| Made { name, content, deflated: true, ..Made::default() }).collect()
}

/// The zip file with one of its files replaced.
fn replaced<'a>(files: &[Made<'a>], place: usize, file: Made<'a>) -> Vec<u8> {
    let mut files = files.to_vec();
    files[place] = file;
    made(b"", &files, b"", b"")
}

#[tokio::test]
async fn zip_files_of_every_ordinary_writer_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path()).await;
    let mut all = vec![made(b"", &plain(&files), b"", b"")];
    let path = folder.path().join("plain.zip");
    write_zip(&path, &files);
    all.push(std::fs::read(&path).unwrap());
    for (method, large) in [(Stored, false), (Stored, true), (Deflated, false), (Deflated, true)] {
        let options = SimpleFileOptions::default().compression_method(method).large_file(large);
        let mut streamed = ZipWriter::new_stream(Vec::new());
        let mut seeking = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in &files {
            streamed.start_file(name.as_str(), options).unwrap();
            streamed.write_all(content).unwrap();
            seeking.start_file(name.as_str(), options).unwrap();
            seeking.write_all(content).unwrap();
        }
        all.push(streamed.finish().unwrap().into_inner());
        all.push(seeking.finish().unwrap().into_inner());
    }
    // With the wider end that more than 65,535 files need: such a bundle has 16 million entries.
    let mut many = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in &files {
        many.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        many.write_all(content).unwrap();
    }
    for number in 0..66_000 {
        many.start_file(format!("more/{number}"), SimpleFileOptions::default().compression_method(Stored)).unwrap();
    }
    let found = findings(folder.path(), &many.finish().unwrap().into_inner()).await.unwrap();
    assert!(found.iter().all(|(_, detail)| detail.contains("the manifest does not list this file")), "{:?}", found[0]);
    for (number, zip) in all.iter().enumerate() {
        assert_eq!(findings(folder.path(), zip).await.unwrap(), [], "{number}");
    }
}

#[tokio::test]
async fn what_only_some_programs_see_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path()).await;
    let good = plain(&files);
    let place = good.iter().position(|file| file.name == "entries.ndjson").unwrap();
    let readme = good.iter().position(|file| file.name == "README.txt").unwrap();
    let entries = good[place].clone();
    let evil = Made { name: "entries.ndjson", content: b"{}\n", ..Made::default() };
    let other = made(b"", std::slice::from_ref(&evil), b"", b"");
    let mut twice = good.clone();
    twice.insert(0, evil.clone());
    // The other name that some programs show instead: version, checksum of the name, name.
    let mut crc = flate2::Crc::new();
    crc.update(b"README.txt");
    let text = [b"\x01".as_slice(), &crc.sum().to_le_bytes(), b"report.html"].concat();
    let unicode = [b"up".as_slice(), &(text.len() as u16).to_le_bytes(), &text].concat();
    let whole = made(b"", &good, b"", b"");
    let header = [b"PK\x03\x04".as_slice(), &[0; 26]].concat();
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("two files of a name", made(b"", &twice, b"", b""), "there are two files of the name"),
        (
            "something in front that the directory counts",
            made(b"MZ a program", &good, b"", b""),
            "there is something before",
        ),
        ("something in front", [b"MZ a program".as_slice(), &whole].concat(), "there is something before it"),
        ("another zip file in front", [other.as_slice(), &whole].concat(), "there is something before it"),
        (
            "another name before the file",
            replaced(&good, readme, Made { listed: Some("keys.txt"), ..good[readme].clone() }),
            "two files of the name",
        ),
        (
            "another name in the directory",
            replaced(&good, place, Made { name: "report.html", listed: Some("entries.ndjson"), ..entries.clone() }),
            "the header before",
        ),
        (
            "another method before the file",
            replaced(&good, place, Made { method: Some(0), ..entries.clone() }),
            "the header before",
        ),
        (
            "something between files",
            replaced(&good, place, Made { between: b"hidden", ..entries.clone() }),
            "does not end where the next begins",
        ),
        (
            "a file that is not listed",
            replaced(&good, place, Made { between: &header, ..entries.clone() }),
            "does not end where the next begins",
        ),
        ("something before the directory", made(b"", &good, b"hidden", b""), "does not end where the next begins"),
        ("a comment behind it", made(b"", &good, b"", b"hidden"), "there is something behind its directory"),
        (
            "a comment on a file",
            replaced(&good, place, Made { comment: b"hidden", ..entries.clone() }),
            "a line that is none of a file",
        ),
        (
            "another name for some",
            replaced(&good, readme, Made { extra: &unicode, ..good[readme].clone() }),
            "has a second name",
        ),
        (
            "something behind the end of deflated content",
            replaced(&good, place, Made { behind: b"PK\x07\x08hidden", ..entries.clone() }),
            "another length or checksum",
        ),
    ];
    for (what, zip, words) in cases {
        let found = findings(folder.path(), &zip).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            found.iter().any(|(kind, detail)| *kind == FindingKind::BundleMismatch && detail.contains(words)),
            "{what}: {found:?}"
        );
    }
    // What stands behind the end is another zip file: then that one is read, or none.
    let behind = findings(folder.path(), &[whole.as_slice(), &other].concat()).await;
    assert!(behind.is_err(), "{behind:?}");
    let both = findings(folder.path(), &[other.as_slice(), &whole, b"\0\0\0"].concat()).await;
    assert!(both.is_err() || both.is_ok_and(|found| !found.is_empty()));
}

#[tokio::test]
async fn list_of_files_that_names_one_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = files(folder.path()).await;
    relist(&mut files);
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let first = manifest["files"][0].clone();
    manifest["files"].as_array_mut().unwrap().push(first);
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    let found = findings(folder.path(), &made(b"", &plain(&files), b"", b"")).await.unwrap();
    assert!(found.iter().any(|(_, detail)| detail.contains("the manifest lists this file twice")), "{found:?}");
}
