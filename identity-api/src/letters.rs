//! What letters say: plain text, short, one link. The token stands behind the `#`, which browsers do not send: it comes
//! into no server's log.

use daybook_http_kit::Problem;
use daybook_identity::mail::{Letter, MailError};
use daybook_identity::secret::Secret;

use crate::state::IdentitySettings;

impl IdentitySettings {
    /// `<public_url>/<page>#token=<token>`.
    pub fn link(&self, page: &str, token: &Secret) -> String {
        format!("{}/{page}#token={}", self.public_url.trim_end_matches('/'), token.expose())
    }
}

/// Asks somebody to join `organization`, which is named as people call it. `until` is a time in words.
pub fn invitation(user_id: &str, to: &str, organization: &str, link: &str, until: &str) -> Letter {
    let text = format!(
        "You have been invited to join {organization} in Daybook.\n\n\
         Choose a password and come in:\n{link}\n\n\
         The link works once, until {until}. If you do not know what this is about, do nothing.\n"
    );
    Letter::new(user_id, to, format!("Invitation to {organization}"), text)
}

/// Lets somebody choose a new password.
pub(crate) fn password_reset(user_id: &str, to: &str, link: &str) -> Letter {
    let text = format!(
        "Somebody asked for a new password for your Daybook account.\n\n\
         Choose one here:\n{link}\n\n\
         The link works once, for 30 minutes. If it was not you, do nothing: your password stays as it is.\n"
    );
    Letter::new(user_id, to, "Choose a new password", text)
}

/// Lets somebody show that a new address is theirs.
pub(crate) fn confirm_address(user_id: &str, to: &str, link: &str) -> Letter {
    let text = format!(
        "Somebody wants to use this address for a Daybook account.\n\n\
         If it was you, confirm it here:\n{link}\n\n\
         The link works once, for 24 hours. If it was not you, do nothing.\n"
    );
    Letter::new(user_id, to, "Confirm your address", text)
}

/// Tells the old address that it is the account's no more.
pub(crate) fn address_changed(user_id: &str, to: &str) -> Letter {
    let text = "Your Daybook account now has another e-mail address; letters no longer go to this one.\n\n\
                If it was not you who changed it, tell an administrator of your organisation now.\n";
    Letter::new(user_id, to, "Your address was changed", text)
}

/// Tells somebody that the password is another.
pub(crate) fn password_changed(user_id: &str, to: &str) -> Letter {
    let text = "The password of your Daybook account was changed. Other sessions have ended.\n\n\
                If it was not you who changed it, ask for a new one now and tell an administrator of your organisation.\n";
    Letter::new(user_id, to, "Your password was changed", text)
}

/// A letter that was not taken: 503. Which letter, and to whom, is not said.
pub fn mail_problem(error: MailError) -> Problem {
    match error {
        MailError::NotConfigured => not_configured(),
        MailError::Address(_) => Problem::invalid("/email", "is not an address that letters can be sent to"),
        MailError::Full => Problem::unavailable("mail.busy", "too many letters are waiting", 60),
        error => {
            tracing::error!(%error, "a letter could not be taken");
            Problem::unavailable("mail.unavailable", "no letter can be sent at the moment", 30)
        }
    }
}

/// 503: what was asked for takes a letter, and none can be sent.
pub fn not_configured() -> Problem {
    Problem::new(503, "mail.not_configured", "this installation sends no letters")
}
