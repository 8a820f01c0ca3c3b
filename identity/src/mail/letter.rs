//! One letter: plain text, short, to one person.

use std::fmt;

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox};
use zeroize::Zeroizing;

use super::MailError;

/// Longest line of a message that is not encoded (RFC 5322), without its end.
const MAX_LINE_BYTES: usize = 998;

/// A letter. Printing it shows for whom it is and nothing else.
#[derive(Clone)]
pub struct Letter {
    /// Opaque id of the person, by which an erasure finds it.
    pub user_id: String,
    /// The e-mail address that it goes to.
    pub to: Zeroizing<String>,
    /// One line.
    pub subject: String,
    /// The text, with its one-time link.
    pub text: Zeroizing<String>,
}

impl Letter {
    /// A letter to a person.
    pub fn new(
        user_id: impl Into<String>,
        to: impl Into<String>,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            to: Zeroizing::new(to.into()),
            subject: subject.into(),
            text: Zeroizing::new(text.into()),
        }
    }

    /// As a message from `from` (RFC 5322): as it is if `readable`, so that links in files can be copied, else in an encoding
    /// that every mail server passes on, which breaks long lines.
    pub(super) fn message(&self, from: &Mailbox, readable: bool) -> Result<Message, MailError> {
        let to: Mailbox = self.to.parse().map_err(|_| MailError::Address("recipient's"))?;
        let fits = self.text.lines().all(|line| line.len() <= MAX_LINE_BYTES) && !self.text.contains('\0');
        let body = if readable && fits {
            let text = self.text.lines().fold(String::new(), |text, line| text + line + "\r\n");
            Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::EightBit)
        } else {
            Body::new(self.text.as_str().to_owned())
        };
        Message::builder()
            .from(from.clone())
            .to(to)
            .subject(one_line(&self.subject))
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|error| MailError::Compose(error.to_string()))
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Letter {{ user_id: {}, … }}", self.user_id)
    }
}

/// A header has one line: names of organisations come from people.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn from() -> Mailbox {
        "Daybook <daybook@example.com>".parse().unwrap()
    }

    #[test]
    fn subject_cannot_smuggle_a_header() {
        let letter = Letter::new("usr_1", "ann@example.com", "Hello\r\nBcc: eve@example.com", "Text");
        let text = String::from_utf8(letter.message(&from(), true).unwrap().formatted()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[test]
    fn address_with_a_line_break_is_refused() {
        for bad in ["ann@example.com\r\nBcc: eve@example.com", "", "ann", "a@b@c"] {
            let letter = Letter::new("usr_1", bad, "Hello", "Text");
            assert!(matches!(letter.message(&from(), true), Err(MailError::Address(_))), "{bad:?}");
        }
    }

    #[test]
    fn long_link_stays_in_one_piece_where_somebody_copies_it() {
        let link = format!("https://daybook.example.com/reset-password#token=dbo_{}", "abc=def-".repeat(12));
        let letter = Letter::new("usr_1", "ann@example.com", "Grüße", format!("Grüße\n\n{link}\n"));
        let text = String::from_utf8(letter.message(&from(), true).unwrap().formatted()).unwrap();
        assert!(text.contains(&link), "{text}");
        assert!(letter.message(&from(), false).unwrap().formatted().is_ascii());
    }

    #[test]
    fn printing_a_letter_shows_neither_address_nor_text() {
        let shown = format!("{:?}", Letter::new("usr_1", "ann@example.com", "Hello", "dbo_secret"));
        assert!(!shown.contains("ann") && !shown.contains("dbo_"), "{shown}");
    }
}
