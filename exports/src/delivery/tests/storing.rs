//! Folders, and an object store where there is one.

use std::path::Path;

use super::*;

fn there(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_folder_gets_all_three_files_and_once() {
    // Longer than one part, so that it is sent in several.
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|number| (number % 253) as u8).collect();
    let made = Made::new(&bytes);
    let target = tempfile::tempdir().unwrap();
    let folder = destination(&format!("name = \"archive\"\nkind = \"folder\"\npath = {:?}", target.path()));
    let at = target.path().join("exp_1");
    for attempt in 1..=2 {
        let receipt = folder.deliver(&made.package()).await.unwrap();
        assert_eq!(receipt.to_string(), "20000000 bytes as exp_1/exp_1.1.csv");
        assert_eq!(there(&at), ["exp_1.1.csv", "exp_1.1.csv.manifest.json", "exp_1.1.csv.sig"], "attempt {attempt}");
        assert!(std::fs::read(at.join("exp_1.1.csv")).unwrap() == bytes);
        // What a killed process leaves behind.
        std::fs::write(at.join("exp_1.1.csv#1"), "half").unwrap();
    }
    let parts = crate::Parts::beside(at.join("exp_1.1.csv"));
    let keys = crate::manifest_keys(&ring(made.files.folder().parent().unwrap()));
    assert!(crate::verify(&parts, &keys, None).is_verified());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_may_be_later() {
    let made = Made::new(b"a\r\n");
    let target = tempfile::tempdir().unwrap();
    let folder = destination(&format!("name = \"archive\"\nkind = \"folder\"\npath = {:?}", target.path()));
    std::fs::write(target.path().join("exp_1"), "a file where a folder should be").unwrap();
    let error = folder.deliver(&made.package()).await.unwrap_err();
    assert!(!error.is_permanent, "{error}");
}

#[tokio::test]
async fn a_store_that_is_away_may_come_back_and_no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let key = secret_file(&folder, "hunter2-very-secret");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let store = destination(&format!(
        "name = \"store\"\nkind = \"s3\"\nbucket = \"b\"\nendpoint = \"http://127.0.0.1:{port}\"\nallow_http = true\n\
         access_key_id = {{ file = {key:?} }}\nsecret_access_key = {{ file = {key:?} }}"
    ));
    let made = Made::new(b"a\r\n");
    let error = store.deliver(&made.package()).await.unwrap_err();
    assert!(!error.is_permanent && !error.detail.contains("hunter2"), "{error}");
}

/// Against a server that speaks S3, where the environment names one with a bucket `daybook-test`, its keys in
/// `DAYBOOK_TEST_S3_KEY_ID` and `DAYBOOK_TEST_S3_KEY`. The whole-system tests start one of their own.
#[tokio::test]
async fn an_object_store_gets_all_three_objects_and_once() {
    let Ok(endpoint) = std::env::var("DAYBOOK_TEST_S3_ENDPOINT") else {
        eprintln!("DAYBOOK_TEST_S3_ENDPOINT is not set: no object store is tested here");
        return;
    };
    let store = destination(&format!(
        "name = \"store\"\nkind = \"s3\"\nbucket = \"daybook-test\"\nprefix = \"unit\"\nendpoint = {endpoint:?}\nallow_http = true\n\
         access_key_id = {{ environment = \"DAYBOOK_TEST_S3_KEY_ID\" }}\n\
         secret_access_key = {{ environment = \"DAYBOOK_TEST_S3_KEY\" }}"
    ));
    let made = Made::new(&vec![7; 20_000_000]);
    for _ in 0..2 {
        let receipt = store.deliver(&made.package()).await.unwrap();
        assert_eq!(receipt.to_string(), "20000000 bytes as unit/exp_1/exp_1.1.csv");
    }
}
