//! Letters by SMTP: queued, delivered by one task, tried again after a while, given up in the open.
//!
//! The queue is in memory. A letter that a stopping process still holds is lost, and whoever waits for it asks again: a
//! one-time link that lies on a disk would be worth more to others than to its reader.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::sync::Notify;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{Counters, Letter, MailError, MailFigures, Mailer, count};

/// Most letters that wait.
const QUEUE_CAPACITY: usize = 1_000;
/// How long the mail server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pauses between attempts. One-time links live for half an hour at least; after that a letter is of no use.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];

/// How the connection is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// TLS from the first byte, ordinarily port 465.
    Tls,
    /// TLS after `STARTTLS`, which the server must offer; ordinarily port 587.
    StartTls,
    /// No TLS. Only to a server on this machine.
    LoopbackPlain,
}

/// Where letters are handed over. Printing it does not show the password.
#[derive(Clone)]
pub struct SmtpSettings {
    /// Host name of the mail server, the one in its certificate.
    pub host: String,
    /// Port; the ordinary one of the security if `None`.
    pub port: Option<u16>,
    /// How the connection is kept private.
    pub security: SmtpSecurity,
    /// User name and password, if the server wants them.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// Sender: an address, or `Name <address>`.
    pub from: String,
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SmtpSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

struct Waiting {
    letter: Letter,
    attempts: usize,
    due: Instant,
}

#[derive(Default)]
struct Queue {
    letters: VecDeque<Waiting>,
    /// The letter under way belongs to this person.
    under_way: Option<String>,
    /// Persons to be forgotten while a letter of theirs is under way: it is not tried again.
    forgotten: HashSet<String>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Notify,
    counters: Counters,
    pauses: Vec<Duration>,
}

/// Hands letters to a mail server.
#[derive(Clone)]
pub struct SmtpMailer {
    shared: Arc<Shared>,
    /// Stops the task when the last mailer is dropped.
    _running: Arc<Running>,
    from: Mailbox,
}

struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl SmtpMailer {
    /// Starts the task that delivers. Does not connect yet: a mail server may come up later.
    pub fn start(settings: &SmtpSettings) -> Result<Self, MailError> {
        Self::start_with_pauses(settings, PAUSES.to_vec())
    }

    fn start_with_pauses(settings: &SmtpSettings, pauses: Vec<Duration>) -> Result<Self, MailError> {
        let from: Mailbox = settings.from.parse().map_err(|_| MailError::Address("sender's"))?;
        let transport = transport(settings)?;
        let shared =
            Arc::new(Shared { queue: Mutex::default(), changed: Notify::new(), counters: Counters::default(), pauses });
        let task = tokio::spawn(deliver_all(Arc::clone(&shared), transport, from.clone()));
        Ok(Self { shared, _running: Arc::new(Running(task)), from })
    }

    /// How many letters wait.
    pub fn waiting(&self) -> usize {
        lock(&self.shared).letters.len()
    }
}

fn transport(settings: &SmtpSettings) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let fault = |error: lettre::transport::smtp::Error| MailError::Settings(error.to_string());
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str());
    builder = match settings.security {
        SmtpSecurity::Tls => {
            let parameters = TlsParameters::new(settings.host.clone()).map_err(fault)?;
            builder.tls(Tls::Wrapper(parameters)).port(settings.port.unwrap_or(465))
        }
        SmtpSecurity::StartTls => {
            let parameters = TlsParameters::new(settings.host.clone()).map_err(fault)?;
            builder.tls(Tls::Required(parameters)).port(settings.port.unwrap_or(587))
        }
        SmtpSecurity::LoopbackPlain if is_loopback(&settings.host) => builder.port(settings.port.unwrap_or(25)),
        SmtpSecurity::LoopbackPlain => {
            return Err(MailError::Settings("a mail server elsewhere is only spoken to over TLS".to_owned()));
        }
    };
    if let Some((user, password)) = &settings.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.as_str().to_owned()));
    }
    Ok(builder.timeout(Some(TIMEOUT)).build())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[async_trait]
impl Mailer for SmtpMailer {
    fn is_configured(&self) -> bool {
        true
    }

    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        // An address that cannot be written to is found now, where somebody can still be told.
        letter.message(&self.from, false)?;
        let mut queue = lock(&self.shared);
        if queue.letters.len() >= QUEUE_CAPACITY {
            return Err(MailError::Full);
        }
        queue.letters.push_back(Waiting { letter, attempts: 0, due: Instant::now() });
        drop(queue);
        self.shared.changed.notify_one();
        Ok(())
    }

    async fn forget(&self, user_id: &str) -> Result<usize, MailError> {
        let mut queue = lock(&self.shared);
        let before = queue.letters.len();
        queue.letters.retain(|waiting| waiting.letter.user_id != user_id);
        let removed = before - queue.letters.len();
        if queue.under_way.as_deref() == Some(user_id) {
            queue.forgotten.insert(user_id.to_owned());
        }
        Ok(removed)
    }

    fn figures(&self) -> MailFigures {
        self.shared.counters.figures()
    }
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Queue> {
    // A panic while it was held cannot have left half a letter in it.
    shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn deliver_all(shared: Arc<Shared>, transport: AsyncSmtpTransport<Tokio1Executor>, from: Mailbox) {
    loop {
        let Some(waiting) = next_due(&shared).await else { continue };
        let outcome = deliver(&transport, &from, &waiting.letter).await;
        settle(&shared, waiting, outcome);
    }
}

/// The letter that is due first, once it is due; `None` where the queue changed meanwhile.
async fn next_due(shared: &Shared) -> Option<Waiting> {
    let due = lock(shared).letters.iter().map(|waiting| waiting.due).min();
    let changed = shared.changed.notified();
    match due {
        None => {
            changed.await;
            return None;
        }
        Some(due) if due > Instant::now() => {
            let _ = tokio::time::timeout_at(due, changed).await;
            return None;
        }
        Some(_) => {}
    }
    let mut queue = lock(shared);
    let now = Instant::now();
    let place = queue.letters.iter().position(|waiting| waiting.due <= now)?;
    let waiting = queue.letters.remove(place)?;
    queue.under_way = Some(waiting.letter.user_id.clone());
    Some(waiting)
}

/// What an attempt came to.
enum Attempt {
    Delivered,
    /// Perhaps later.
    Failed(String),
    /// Never.
    Refused(String),
}

async fn deliver(transport: &AsyncSmtpTransport<Tokio1Executor>, from: &Mailbox, letter: &Letter) -> Attempt {
    let message = match letter.message(from, false) {
        Ok(message) => message,
        Err(error) => return Attempt::Refused(error.to_string()),
    };
    match transport.send(message).await {
        Ok(_) => Attempt::Delivered,
        // The server's words may repeat the address: only its code is kept.
        Err(error) if error.is_permanent() => Attempt::Refused(words(&error)),
        Err(error) => Attempt::Failed(words(&error)),
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    let kind = match error.status() {
        Some(code) => return format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server took too long",
        None if error.is_tls() => "TLS with the mail server failed",
        None if error.is_client() => "the mail server does not do what the settings ask for",
        None => "the mail server could not be reached",
    };
    kind.to_owned()
}

fn settle(shared: &Shared, mut waiting: Waiting, outcome: Attempt) {
    let mut queue = lock(shared);
    queue.under_way = None;
    let is_forgotten = queue.forgotten.remove(&waiting.letter.user_id);
    let user_id = waiting.letter.user_id.clone();
    let (why, pause) = match outcome {
        Attempt::Delivered => {
            count(&shared.counters.delivered);
            tracing::debug!(user_id, "a letter was handed to the mail server");
            return;
        }
        Attempt::Refused(why) => (why, None),
        Attempt::Failed(why) => (why, shared.pauses.get(waiting.attempts).copied()),
    };
    waiting.attempts += 1;
    let attempts = waiting.attempts;
    match pause.filter(|_| !is_forgotten) {
        Some(pause) => {
            count(&shared.counters.retried);
            tracing::warn!(user_id, attempts, why, "a letter could not be handed over and will be tried again");
            waiting.due = Instant::now() + pause;
            queue.letters.push_back(waiting);
        }
        None => {
            count(&shared.counters.failed);
            tracing::error!(user_id, attempts, why, "a letter was given up");
        }
    }
}

#[cfg(test)]
mod tests;
