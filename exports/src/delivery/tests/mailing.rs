//! Mail, against a small server.

use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// A mail server of a few lines: answers `RCPT TO` with the next of `answers`, then with 250, and passes on what it took.
async fn server(answers: &[&'static str]) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, letters) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.iter().rev().copied().collect::<Vec<_>>()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&answers), sender.clone()));
        }
    });
    (port, letters)
}

async fn converse(
    stream: TcpStream,
    answers: Arc<Mutex<Vec<&'static str>>>,
    letters: mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250 test",
            "RCPT" => answers.lock().unwrap().pop().unwrap_or("250 ok"),
            "QUIT" => "221 bye",
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    text.push_str(&line);
                    text.push('\n');
                }
                letters.send(text).unwrap();
                "250 taken"
            }
            _ => "250 ok",
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn mail(port: u16, limit: u64) -> Arc<dyn Destination> {
    destination(&format!(
        "name = \"mail\"\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"off\"\n\
         from = \"Daybook <daybook@example.com>\"\nto = [\"ada@example.com\", \"Grace <grace@example.com>\"]\nattachment_limit = {limit}"
    ))
}

/// The attachments by name, decoded.
fn attachments(letter: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for part in letter.split("Content-Disposition: attachment; filename=\"").skip(1) {
        let (name, rest) = part.split_once('"').unwrap();
        let (head, body) = rest.split_once("\n\n").unwrap();
        let body = body.split("\n--").next().unwrap();
        let bytes = if head.contains("base64") {
            STANDARD.decode(body.replace('\n', "")).unwrap()
        } else {
            body.replace('\n', "\r\n").into_bytes()
        };
        found.insert(name.to_owned(), bytes);
    }
    found
}

#[tokio::test]
async fn a_letter_has_the_file_its_manifest_and_signature_and_the_same_id_every_time() {
    let (port, mut letters) = server(&[]).await;
    let bytes: Vec<u8> = (0..5_000_u32).map(|number| (number % 256) as u8).collect();
    let made = Made::new(&bytes);
    let package = made.package();
    for _ in 0..2 {
        let receipt = mail(port, 1_000_000).deliver(&package).await.unwrap();
        assert_eq!(receipt.to_string(), "the mail server answered 250");
        let letter = letters.recv().await.unwrap();
        assert!(letter.contains("Message-ID: <dlv_1@example.com>"), "{letter}");
        assert!(letter.contains("Subject: Export exp_1 (transactions, csv)"));
        assert!(letter.contains("ada@example.com") && letter.contains("grace@example.com"));
        let attached = attachments(&letter);
        assert!(attached["exp_1.1.csv"] == bytes);
        assert!(attached["exp_1.1.csv.sig"] == package.signature);
        assert_eq!(attached.len(), 3);
        assert!(attached.contains_key("exp_1.1.csv.manifest.json"));
    }
}

#[tokio::test]
async fn what_is_too_long_for_a_letter_is_named_by_a_link() {
    let (port, mut letters) = server(&[]).await;
    let made = Made::new(&[7; 5_000]);
    let package = made.package();
    mail(port, 4_999).deliver(&package).await.unwrap();
    let letter = letters.recv().await.unwrap();
    assert!(letter.contains("https://daybook.example/v1/exports/exp_1/file"), "{letter}");
    assert_eq!(attachments(&letter).len(), 2);
    let without_link = Package { download_url: None, ..package };
    assert!(mail(port, 4_999).deliver(&without_link).await.unwrap_err().is_permanent);
}

#[tokio::test]
async fn a_server_that_cannot_now_is_asked_again_and_one_that_will_not_is_not() {
    let (port, mut letters) = server(&["451 later", "550 no ada@example.com here"]).await;
    let made = Made::new(b"a\r\n");
    let package = made.package();
    let error = mail(port, 1_000).deliver(&package).await.unwrap_err();
    assert_eq!((error.detail.as_str(), error.is_permanent), ("the mail server answered 451", false));
    let error = mail(port, 1_000).deliver(&package).await.unwrap_err();
    assert_eq!((error.detail.as_str(), error.is_permanent), ("the mail server answered 550", true));
    mail(port, 1_000).deliver(&package).await.unwrap();
    assert!(letters.recv().await.is_some());
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = mail(away, 1_000).deliver(&package).await.unwrap_err();
    assert!(!error.is_permanent, "{error}");
}
