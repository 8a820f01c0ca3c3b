//! Letters by SMTP, against a small server of the tests.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// A mail server of a few lines: answers `RCPT TO` with the next of `answers`, then with 250, and passes on what it took.
async fn server(answers: &[&'static str]) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, letters) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&answers), sender.clone()));
        }
    });
    (port, letters)
}

async fn converse(
    stream: TcpStream,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    letters: mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250 test",
            "RCPT" => answers.lock().unwrap().pop_front().unwrap_or("250 ok"),
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

fn mailer(port: u16, pause: Duration) -> SmtpMailer {
    let settings = SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port: Some(port),
        security: SmtpSecurity::LoopbackPlain,
        credentials: None,
        from: "Daybook <daybook@example.com>".to_owned(),
    };
    SmtpMailer::start_with_pauses(&settings, vec![pause; 2]).unwrap()
}

fn letter(user_id: &str) -> Letter {
    Letter::new(user_id, "ann@example.com", "Hello", "https://daybook.example.com/register#token=dbo_x\n")
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn letter_arrives_whole() {
    let (port, mut letters) = server(&[]).await;
    let mailer = mailer(port, Duration::ZERO);
    mailer.send(letter("usr_1")).await.unwrap();
    let text = letters.recv().await.unwrap();
    assert!(text.contains("To: ann@example.com") && text.contains("register#token=dbo_x"), "{text}");
    until("counted", || mailer.figures().delivered == 1).await;
    assert_eq!(mailer.waiting(), 0);
}

#[tokio::test]
async fn passing_trouble_is_tried_again() {
    let (port, mut letters) = server(&["451 later", "451 later"]).await;
    let mailer = mailer(port, Duration::from_millis(1));
    mailer.send(letter("usr_1")).await.unwrap();
    letters.recv().await.unwrap();
    until("counted", || mailer.figures() == MailFigures { delivered: 1, failed: 0, retried: 2 }).await;
}

#[tokio::test]
async fn letter_is_given_up_in_the_open() {
    let (port, _letters) = server(&["550 nobody here", "451 later", "451 later", "451 later"]).await;
    let mailer = mailer(port, Duration::from_millis(1));
    mailer.send(letter("usr_1")).await.unwrap();
    until("refused for good", || mailer.figures() == MailFigures { delivered: 0, failed: 1, retried: 0 }).await;
    mailer.send(letter("usr_2")).await.unwrap();
    until("out of attempts", || mailer.figures() == MailFigures { delivered: 0, failed: 2, retried: 2 }).await;
    assert_eq!(mailer.waiting(), 0);
}

#[tokio::test]
async fn server_that_is_not_there_is_waited_for_and_letters_can_be_forgotten() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mailer = mailer(port, Duration::from_secs(3_600));
    mailer.send(letter("usr_1")).await.unwrap();
    until("tried", || mailer.figures().retried == 1 && mailer.waiting() == 1).await;
    assert_eq!(mailer.forget("usr_2").await.unwrap(), 0);
    assert_eq!(mailer.forget("usr_1").await.unwrap(), 1);
    assert_eq!(mailer.waiting(), 0);
}

#[tokio::test]
async fn queue_is_bounded() {
    let mailer = mailer(1, Duration::from_secs(3_600));
    let mut refused = 0;
    for _ in 0..QUEUE_CAPACITY + 10 {
        if matches!(mailer.send(letter("usr_1")).await, Err(MailError::Full)) {
            refused += 1;
        }
    }
    // One may be under way.
    assert!((9..=10).contains(&refused), "{refused}");
}

#[tokio::test]
async fn plain_text_leaves_this_machine_never() {
    let settings = SmtpSettings {
        host: "mail.example.com".to_owned(),
        port: None,
        security: SmtpSecurity::LoopbackPlain,
        credentials: Some(("daybook".to_owned(), Zeroizing::new("hunter2".to_owned()))),
        from: "daybook@example.com".to_owned(),
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(matches!(SmtpMailer::start(&settings), Err(MailError::Settings(_))));
}
