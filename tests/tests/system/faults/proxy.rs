//! Stands between the server and PostgreSQL and cuts a connection at one exact message.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// Where a commit is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The message that commits never reaches the database.
    BeforeCommit,
    /// It reaches the database, and the connection is gone at once.
    AfterCommit,
    /// The database has committed and says so; the answer never arrives.
    AnswerDropped,
}

#[derive(Default)]
struct State {
    /// What to cut: the connection whose commit has these bytes in a statement before it.
    plan: Mutex<Option<(Cut, Vec<u8>)>>,
    cuts: AtomicUsize,
    /// No connections at all.
    is_away: AtomicBool,
    went_away: Notify,
}

/// The proxy. Connections end when it is dropped.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.is_away.store(true, Ordering::SeqCst);
        self.state.went_away.notify_waiters();
    }
}

impl Proxy {
    /// Before the database of `url`; answers the proxy and the URL that leads through it.
    pub async fn before(url: &str) -> (Self, String) {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let (user, address) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, address.to_owned(), Arc::clone(&state)));
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        // The messages have to be readable.
        let separator = if path.contains('?') { '&' } else { '?' };
        let through = format!("{scheme}://{user}127.0.0.1:{port}/{path}{separator}sslmode=disable");
        (Self { port, state, accepting }, through)
    }

    /// Cuts the next commit of a batch that has `mark` in it.
    pub fn cut(&self, cut: Cut, mark: &str) {
        *self.state.plan.lock().unwrap() = Some((cut, mark.as_bytes().to_vec()));
    }

    /// How often a commit was cut.
    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Ends all connections and takes no new ones until [`Proxy::come_back`].
    pub fn go_away(&self) {
        self.state.is_away.store(true, Ordering::SeqCst);
        self.state.went_away.notify_waiters();
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        assert_ne!(self.port, 0);
        self.state.is_away.store(false, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, address: String, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (state, address) = (Arc::clone(&state), address.clone());
        tokio::spawn(async move {
            if state.is_away.load(Ordering::SeqCst) {
                return;
            }
            let Ok(database) = TcpStream::connect(&address).await else { return };
            let _ = (client.set_nodelay(true), database.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_database, to_database) = database.into_split();
            // Set once the answer to the commit must not get through.
            let is_held = Arc::new(AtomicBool::new(false));
            // Whoever ends first ends the connection in both directions: the halves are dropped.
            tokio::select! {
                () = forward(from_client, to_database, Arc::clone(&state), Arc::clone(&is_held)) => {}
                () = answer(from_database, to_client, &is_held) => {}
                () = state.went_away.notified() => {}
            }
        });
    }
}

/// A message of the client: its type (0 for the first ones, which have none) and all its bytes.
async fn message(from: &mut OwnedReadHalf, has_type: bool) -> std::io::Result<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    if has_type {
        bytes.push(from.read_u8().await?);
    }
    let length = from.read_u32().await?;
    bytes.extend_from_slice(&length.to_be_bytes());
    let header = bytes.len();
    bytes.resize(header + (length as usize).saturating_sub(4), 0);
    from.read_exact(&mut bytes[header..]).await?;
    Ok((if has_type { bytes[0] } else { 0 }, bytes))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: Arc<State>, is_held: Arc<AtomicBool>) {
    let mut has_started = false;
    // What the batch at hand is, as far as this connection has told.
    let (mut writes_the_mark, mut in_transaction) = (None, false);
    loop {
        let Ok((kind, bytes)) = message(&mut from, has_started).await else { return };
        // The start-up message; a request for TLS, which may come before, has another number in this place.
        has_started |= bytes.get(4..8) == Some(&[0, 3, 0, 0]);
        match kind {
            b'Q' if contains(&bytes, b"BEGIN") => in_transaction = true,
            b'Q' if contains(&bytes, b"ROLLBACK") => (in_transaction, writes_the_mark) = (false, None),
            // The statement that appends has the payloads, and every payload begins with its nonce.
            b'B' if contains(&bytes, b"{\"nonce\":") => {
                let mut plan = state.plan.lock().unwrap();
                if plan.as_ref().is_some_and(|(_, mark)| contains(&bytes, mark)) {
                    writes_the_mark = plan.take().map(|(cut, _)| cut);
                }
            }
            _ => {}
        }
        // Alone, a statement commits when it is synced; in a transaction, `commit` does.
        let commits = if in_transaction { kind == b'Q' && contains(&bytes, b"COMMIT") } else { kind == b'S' };
        let cut = writes_the_mark.filter(|_| commits);
        if commits {
            in_transaction = false;
        }
        match cut {
            None => {}
            Some(Cut::BeforeCommit) => {
                state.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Some(Cut::AfterCommit) => {
                let _ = to.write_all(&bytes).await;
                let _ = to.flush().await;
                state.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Some(Cut::AnswerDropped) => is_held.store(true, Ordering::SeqCst),
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        if cut.is_some() {
            state.cuts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Passes answers on; the first one that is held back ends the connection.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_held: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if is_held.load(Ordering::SeqCst) {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
