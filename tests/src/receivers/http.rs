//! An HTTP server of the smallest kind: takes a request, keeps it, answers with a status.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Mood, Receiver, State};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// The server; it ends when dropped.
pub struct HttpReceiver(Receiver<Received>);

impl HttpReceiver {
    /// Starts on a free port.
    pub async fn start() -> Self {
        Self(Receiver::start(converse).await)
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// What it does from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.0.state.set_mood(mood);
    }

    /// What came, in order, also what was refused.
    pub fn received(&self) -> Vec<Received> {
        self.0.state.kept()
    }
}

async fn converse(stream: TcpStream, state: Arc<State<Received>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let value = |name: &str| headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let body = match value("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await?;
            body
        }
        None if value("transfer-encoding").is_some() => chunks(&mut reader).await?,
        None => Vec::new(),
    };
    state.keep(Received { line: line.trim_end().to_owned(), headers, body });
    let answer: &[u8] = match state.mood() {
        Mood::Takes => b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        Mood::Refuses => b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Mood::HangsUp => return Ok(()),
    };
    write.write_all(answer).await
}

async fn chunks(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).await?;
        let length = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).await?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
