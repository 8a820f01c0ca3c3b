//! What receives deliveries in tests: a small SMTP server, a small HTTP server, and a server that speaks S3. Each can fail
//! on purpose.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

mod http;
mod s3;
mod smtp;

pub use http::{HttpReceiver, Received};
pub use s3::S3Server;
pub use smtp::{Letter, SmtpReceiver};

/// What a receiver does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Says that it cannot now.
    Refuses,
    /// Takes it, and hangs up before it says so.
    HangsUp,
}

/// A server on a free port that keeps what comes; it ends when dropped.
struct Receiver<T> {
    address: SocketAddr,
    state: Arc<State<T>>,
    _tasks: JoinSet<()>,
}

/// What its conversations share.
struct State<T>(Mutex<(Mood, Vec<T>)>);

impl<T: Clone + Send + 'static> Receiver<T> {
    async fn start<F>(converse: fn(TcpStream, Arc<State<T>>) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State(Mutex::new((Mood::Takes, Vec::new()))));
        let shared = Arc::clone(&state);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever hangs up has nothing more to say: an error ends only the conversation.
                conversations.spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state, _tasks: tasks }
    }
}

impl<T: Clone> State<T> {
    fn lock(&self) -> MutexGuard<'_, (Mood, Vec<T>)> {
        self.0.lock().expect("nobody panics")
    }

    fn mood(&self) -> Mood {
        self.lock().0
    }

    fn set_mood(&self, mood: Mood) {
        self.lock().0 = mood;
    }

    fn keep(&self, what: T) {
        self.lock().1.push(what);
    }

    fn kept(&self) -> Vec<T> {
        self.lock().1.clone()
    }
}
