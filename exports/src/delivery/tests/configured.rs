//! Configurations of destinations.

use super::*;

const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn open(text: &str) -> Result<Arc<dyn Destination>, String> {
    let config: DestinationConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    config.open().map_err(|error| error.to_string())
}

#[test]
fn every_kind_is_read_and_says_where_it_is_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let key = secret_file(&folder, "hunter2-very-secret");
    let hook = folder.path().join("hook");
    std::fs::write(&hook, WEBHOOK_SECRET).unwrap();
    for (text, kind, place) in [
        (
            format!(
                "name = \"store\"\nkind = \"s3\"\nbucket = \"b\"\nprefix = \"exports/daily\"\nendpoint = \"http://127.0.0.1:9000\"\n\
                 allow_http = true\naccess_key_id = {{ file = {key:?} }}\nsecret_access_key = {{ file = {key:?} }}"
            ),
            "s3",
            "s3://b/exports/daily".to_owned(),
        ),
        (
            format!("name = \"archive\"\nkind = \"folder\"\npath = {:?}", folder.path().join("new/archive")),
            "folder",
            folder.path().join("new/archive").display().to_string(),
        ),
        (
            format!(
                "name = \"mail\"\nkind = \"smtp\"\nhost = \"mx.example\"\nfrom = \"Daybook <d@example.com>\"\nto = [\"a@example.com\"]\n\
                 user = \"u\"\npassword = {{ file = {key:?} }}"
            ),
            "smtp",
            "smtp://mx.example (readers: 1)".to_owned(),
        ),
        (
            format!(
                "name = \"hook\"\nkind = \"webhook\"\nurl = \"https://hooks.example/in?token=hunter2-very-secret\"\nsecret = {{ file = {hook:?} }}\n\
                 body = \"file\""
            ),
            "webhook",
            "https://hooks.example".to_owned(),
        ),
    ] {
        let config: DestinationConfig = toml::from_str(&text).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        let destination = config.open().unwrap();
        assert_eq!((destination.kind(), destination.place()), (kind, place));
        assert_eq!(destination.name(), &config.name);
    }
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let hook = secret_file(&folder, WEBHOOK_SECRET);
    let webhook = |url: &str, more: &str| {
        format!("name = \"hook\"\nkind = \"webhook\"\nurl = {url:?}\nsecret = {{ file = {hook:?} }}\n{more}")
    };
    assert!(open(&webhook("https://hooks.example/", "")).is_ok());
    for (text, said) in [
        (webhook("https://127.0.0.1/", ""), "not public"),
        (webhook("https://[::ffff:10.0.0.1]/", ""), "not public"),
        (webhook("http://hooks.example/", ""), "https"),
        (webhook("hooks.example", ""), "URL"),
        (webhook("https://hooks.example/", "timeout_seconds = 0"), "timeout_seconds"),
        (webhook("https://hooks.example/", "allow_privat = true"), "allow_privat"),
        (webhook("https://hooks.example/", "").replace(&hook, "/not/there"), "/not/there"),
        ("name = \"hook\"\nkind = \"pigeon\"".to_owned(), "pigeon"),
        ("name = \"Not A Name\"\nkind = \"folder\"\npath = \"x\"".to_owned(), ""),
        ("name = \"mail\"\nkind = \"smtp\"\nhost = \"mx.example\"\nfrom = \"nobody\"\nto = [\"a@example.com\"]".to_owned(), "sender"),
        ("name = \"mail\"\nkind = \"smtp\"\nhost = \"mx.example\"\nfrom = \"a@example.com\"\nto = []".to_owned(), "readers"),
        (
            "name = \"mail\"\nkind = \"smtp\"\nhost = \"mx.example\"\nsecurity = \"off\"\nfrom = \"a@example.com\"\nto = [\"a@example.com\"]".to_owned(),
            "TLS",
        ),
        (
            "name = \"store\"\nkind = \"s3\"\nbucket = \"b\"\naccess_key_id = { environment = \"DAYBOOK_TEST_NOT_SET\" }\nsecret_access_key = { environment = \"DAYBOOK_TEST_NOT_SET\" }".to_owned(),
            "DAYBOOK_TEST_NOT_SET",
        ),
    ] {
        let error = open(&text).err().unwrap_or_else(|| panic!("{text}"));
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

#[test]
fn secrets_of_webhooks_must_be_long_enough() {
    let folder = tempfile::tempdir().unwrap();
    for secret in ["whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_*", ""] {
        let file = secret_file(&folder, secret);
        let text = format!(
            "name = \"hook\"\nkind = \"webhook\"\nurl = \"https://hooks.example/\"\nsecret = {{ file = {file:?} }}"
        );
        let error = open(&text).err().unwrap();
        assert!(secret.is_empty() || !error.contains(secret), "{error}");
    }
}

#[test]
fn two_destinations_cannot_have_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name = \"archive\"\nkind = \"folder\"\npath = {:?}", folder.path());
    let config: DestinationConfig = toml::from_str(&text).unwrap();
    let destinations = Destinations::open(std::slice::from_ref(&config)).unwrap();
    assert!(destinations.get(&config.name).is_some());
    assert_eq!(destinations.iter().count(), 1);
    assert_eq!(format!("{destinations:?}"), "[DestinationName(\"archive\")]");
    assert!(Destinations::open(&[config.clone(), config]).is_err());
}
