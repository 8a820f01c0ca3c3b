//! Letters to people: to files, by SMTP, or not at all.
//!
//! A letter carries a one-time link, so it is handled as a secret is: never logged, never in an error, files for the owner
//! alone. Nothing here waits for the network: a letter is taken, kept or queued, and delivered by a task of its own.

mod file;
mod letter;
mod smtp;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

pub use file::FileMailer;
pub use letter::Letter;
pub use smtp::{SmtpMailer, SmtpSecurity, SmtpSettings};

/// Why a letter was not taken. Says nothing of its content or of where it was to go.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No transport is configured.
    #[error("no mail transport is configured")]
    NotConfigured,
    /// As many letters wait as there is room for.
    #[error("too many letters are waiting")]
    Full,
    /// An address that no letter can be sent to or from.
    #[error("the {0} address is not an e-mail address")]
    Address(&'static str),
    /// The letter cannot be written down.
    #[error("the letter cannot be composed: {0}")]
    Compose(String),
    /// The folder of letters failed.
    #[error("the folder of letters failed")]
    Folder(#[from] std::io::Error),
    /// The settings of the mail server do not hold together.
    #[error("the mail settings cannot be used: {0}")]
    Settings(String),
    /// The task that does the work has stopped.
    #[error("mail is being shut down")]
    Stopped,
}

/// Most bytes an e-mail address has (RFC 5321).
const MAX_ADDRESS_BYTES: usize = 254;

/// Whether letters can be sent to this address. That somebody reads them there is not said.
pub fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS_BYTES && text.parse::<lettre::Address>().is_ok()
}

/// How many letters there were since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MailFigures {
    /// Handed over: to the folder, or to the mail server.
    pub delivered: u64,
    /// Given up, after every attempt.
    pub failed: u64,
    /// Attempts that failed and were made again.
    pub retried: u64,
}

/// Takes letters.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// False where every letter would be refused.
    fn is_configured(&self) -> bool;

    /// Takes a letter: keeps it or queues it. Never waits for a mail server.
    async fn send(&self, letter: Letter) -> Result<(), MailError>;

    /// Removes every letter to a person that has not left yet, and every copy of one that is kept here. Answers how many.
    async fn forget(&self, user_id: &str) -> Result<usize, MailError>;

    /// Removes letters that are kept here and are good for nothing any more. Answers how many.
    async fn tidy(&self) -> Result<usize, MailError> {
        Ok(0)
    }

    /// What became of the letters so far.
    fn figures(&self) -> MailFigures;
}

/// Sends nothing: what needs a letter is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMail;

#[async_trait]
impl Mailer for NoMail {
    fn is_configured(&self) -> bool {
        false
    }

    async fn send(&self, _letter: Letter) -> Result<(), MailError> {
        Err(MailError::NotConfigured)
    }

    async fn forget(&self, _user_id: &str) -> Result<usize, MailError> {
        Ok(0)
    }

    fn figures(&self) -> MailFigures {
        MailFigures::default()
    }
}

/// [`MailFigures`] as they are counted.
#[derive(Debug, Default)]
struct Counters {
    delivered: AtomicU64,
    failed: AtomicU64,
    retried: AtomicU64,
}

impl Counters {
    fn figures(&self) -> MailFigures {
        MailFigures {
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            retried: self.retried.load(Ordering::Relaxed),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
