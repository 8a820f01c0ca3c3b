//! What receives deliveries in tests: a small SMTP server, a small HTTP server, and a server that speaks S3. Each can fail
//! on purpose.

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
