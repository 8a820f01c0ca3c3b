//! The folder of exports.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::os::unix::fs::PermissionsExt as _;

use tokio::io::AsyncReadExt as _;

use super::*;

fn id(text: &str) -> ExportId {
    ExportId::parse("", text).unwrap()
}

fn files() -> (tempfile::TempDir, ExportFiles) {
    let folder = tempfile::tempdir().unwrap();
    let files = ExportFiles::open(folder.path().join("a/exports")).unwrap();
    (folder, files)
}

fn there(files: &ExportFiles) -> Vec<String> {
    let entries = std::fs::read_dir(files.folder()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn names_tell_export_attempt_and_form() {
    let names = FileNames::new(&id("exp_1"), 3, ExportFormat::Parquet);
    assert_eq!(
        [names.file.as_str(), &names.manifest, &names.signature],
        ["exp_1.3.parquet", "exp_1.3.parquet.manifest.json", "exp_1.3.parquet.sig"]
    );
    assert_eq!(FileNames::beside("exp_1.3.parquet"), names);
}

#[test]
fn nothing_outside_the_folder_has_a_name() {
    let (_folder, files) = files();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a\0b", "a b", "ä", &"x".repeat(201)] {
        assert!(matches!(files.path(name), Err(FilesError::Name(_))), "{name:?}");
        assert!(files.write(name, b"x").is_err() && files.read(name, 1).is_err(), "{name:?}");
    }
    assert!(files.path("exp_1.1.csv.manifest.json").is_ok());
}

#[test]
fn small_files_are_written_whole_and_for_their_owner_alone() {
    let (_folder, files) = files();
    files.write("exp_1.1.csv.sig", b"first, and longer").unwrap();
    files.write("exp_1.1.csv.sig", b"second").unwrap();
    assert_eq!(files.read("exp_1.1.csv.sig", 6).unwrap(), b"second");
    assert!(matches!(files.read("exp_1.1.csv.sig", 5), Err(FilesError::TooLong { most: 5, .. })));
    assert!(matches!(files.read("exp_2.1.csv.sig", 5), Err(FilesError::NotFound(_))));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files.path("exp_1.1.csv.sig").unwrap()), 0o600);
    assert_eq!(mode(files.folder()), 0o700);
    assert_eq!(there(&files), ["exp_1.1.csv.sig"]);
}

#[tokio::test]
async fn ranges_are_cut_at_the_end_and_refused_beyond_it() {
    let (_folder, files) = files();
    files.write("exp_1.1.csv", b"0123456789").unwrap();
    for (range, text) in
        [(None, "0123456789"), (Some(3..5), "34"), (Some(8..100), "89"), (Some(0..u64::MAX), "0123456789")]
    {
        let opened = files.open_range("exp_1.1.csv", range).await.unwrap();
        let mut read = String::new();
        opened.file.take(opened.range.end - opened.range.start).read_to_string(&mut read).await.unwrap();
        assert_eq!((read.as_str(), opened.length), (text, 10));
    }
    for range in [10..11, 5..5, u64::MAX..u64::MAX] {
        let refused = files.open_range("exp_1.1.csv", Some(range)).await;
        assert!(matches!(refused, Err(FilesError::Range { length: 10 })));
    }
    assert!(matches!(files.open_range("exp_2.1.csv", None).await, Err(FilesError::NotFound(_))));
}

#[test]
fn an_export_is_removed_with_all_its_attempts_and_no_other() {
    let (_folder, files) = files();
    for name in [
        "exp_1.1.csv",
        "exp_1.1.csv.part",
        "exp_1.2.csv",
        "exp_1.2.csv.manifest.json",
        "exp_1.2.csv.sig",
        "exp_11.1.csv",
    ] {
        std::fs::write(files.folder().join(name), "x").unwrap();
    }
    assert_eq!(files.remove_attempts(&id("exp_1"), ExportFormat::Csv, 1..2).unwrap(), 2);
    assert_eq!(files.remove_attempts(&id("exp_1"), ExportFormat::Csv, 1..2).unwrap(), 0);
    assert_eq!(there(&files), ["exp_1.2.csv", "exp_1.2.csv.manifest.json", "exp_1.2.csv.sig", "exp_11.1.csv"]);
    assert_eq!(files.remove(&id("exp_1")).unwrap(), 3);
    assert_eq!(files.remove(&id("exp_1")).unwrap(), 0);
    assert_eq!(there(&files), ["exp_11.1.csv"]);
}

#[test]
fn only_old_unfinished_files_are_cleaned_away() {
    let (_folder, files) = files();
    for name in ["exp_1.1.csv.part", "exp_2.1.csv"] {
        std::fs::write(files.folder().join(name), "x").unwrap();
    }
    assert_eq!(files.clean(Duration::from_secs(3_600)).unwrap(), 0);
    assert_eq!(files.clean(Duration::ZERO).unwrap(), 1);
    assert_eq!(there(&files), ["exp_2.1.csv"]);
}
