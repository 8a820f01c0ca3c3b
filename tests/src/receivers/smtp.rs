//! An SMTP server of the smallest kind: no TLS, no authentication, every recipient is known.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Mood;

/// A letter that came.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Whom the envelope names.
    pub recipients: Vec<String>,
    /// Header and body as they came, without the doubled dots.
    pub text: String,
}

impl Letter {
    /// A header's value, of one line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The server; it ends when dropped.
pub struct SmtpReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

struct State {
    mood: Mood,
    letters: Vec<Letter>,
}

impl SmtpReceiver {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { mood: Mood::Takes, letters: Vec::new() }));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                conversations.spawn(async move {
                    // Whoever hangs up has nothing more to say.
                    let _ = converse(stream, &state).await;
                });
            }
        });
        Self { address, state, _tasks: tasks }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it does from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.state.lock().expect("nobody panics").mood = mood;
    }

    /// What came, in order.
    pub fn letters(&self) -> Vec<Letter> {
        self.state.lock().expect("nobody panics").letters.clone()
    }
}

async fn converse(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mood = || state.lock().expect("nobody panics").mood;
    write.write_all(b"220 receiver.example ESMTP\r\n").await?;
    let mut recipients = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "MAIL" if mood() == Mood::Refuses => write.write_all(b"451 not now\r\n").await?,
            "RCPT" => {
                recipients.push(line.split_once('<').map_or("", |(_, rest)| rest.trim_end_matches('>')).to_owned());
                write.write_all(b"250 ok\r\n").await?;
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                let letter = Letter { recipients: std::mem::take(&mut recipients), text };
                state.lock().expect("nobody panics").letters.push(letter);
                if mood() == Mood::HangsUp {
                    return Ok(());
                }
                write.write_all(b"250 taken\r\n").await?;
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "EHLO" => write.write_all(b"250-receiver.example\r\n250 8BITMIME\r\n").await?,
            _ => write.write_all(b"250 ok\r\n").await?,
        }
    }
    Ok(())
}
