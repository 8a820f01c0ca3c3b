//! An SMTP server of the smallest kind: no TLS, no authentication, every recipient is known.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Mood, Receiver, State};

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
pub struct SmtpReceiver(Receiver<Letter>);

impl SmtpReceiver {
    /// Starts on a free port.
    pub async fn start() -> Self {
        Self(Receiver::start(converse).await)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.address.port()
    }

    /// What it does from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.0.state.set_mood(mood);
    }

    /// What came, in order.
    pub fn letters(&self) -> Vec<Letter> {
        self.0.state.kept()
    }
}

async fn converse(stream: TcpStream, state: Arc<State<Letter>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 receiver.example ESMTP\r\n").await?;
    let mut recipients = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "MAIL" if state.mood() == Mood::Refuses => write.write_all(b"451 not now\r\n").await?,
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
                state.keep(letter);
                if state.mood() == Mood::HangsUp {
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
