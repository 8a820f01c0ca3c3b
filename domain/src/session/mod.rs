//! A session of a person: started by getting in, ended once. Its tokens are kept elsewhere and never come here.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::names::UserId;
use crate::personal::Personal;
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{InvalidField, ShortName};
use crate::vocabulary::vocabulary;

/// Most ways of showing who one is, for one session.
pub const MAX_METHODS: usize = 8;

events! {
    /// An event of a session.
    SessionEvent {
        /// Somebody got in.
        Started(Started) = "session.started",
        /// It is over.
        Ended(Ended) = "session.ended",
    }
}

/// Payload of `session.started`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Who.
    pub user_id: UserId,
    /// How the person showed to be that.
    pub methods: Vec<SessionMethod>,
    /// Address and program of the client, sealed with the person's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Personal>,
}

/// Payload of `session.ended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub reason: SessionEndReason,
}

vocabulary! {
    /// Why a session is over.
    SessionEndReason {
        /// The person left.
        Logout = "logout",
        /// It was taken away.
        Revoked = "revoked",
        /// A refresh token came a second time: somebody else has it.
        RefreshReuse = "refresh_reuse",
        /// The password is another.
        PasswordChanged = "password_changed",
        /// The person is kept out.
        Deactivated = "deactivated",
        /// Its time was over.
        Expired = "expired",
    }
}

/// A way of showing who one is. As JSON a word: `password`, `totp`, `passkey`, `recovery_code`, `oidc:<provider>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SessionMethod {
    /// A password.
    Password,
    /// Six digits of a device.
    Totp,
    /// A key that signs.
    Passkey,
    /// One of the codes for when a device is lost.
    RecoveryCode,
    /// A provider of identities, as it is configured here.
    Oidc(ShortName),
}

impl SessionMethod {
    /// Reads the word that came at `pointer`.
    pub fn parse(pointer: &str, word: &str) -> Result<Self, InvalidField> {
        match word {
            "password" => Ok(Self::Password),
            "totp" => Ok(Self::Totp),
            "passkey" => Ok(Self::Passkey),
            "recovery_code" => Ok(Self::RecoveryCode),
            _ => match word.strip_prefix("oidc:") {
                Some(provider) => Ok(Self::Oidc(ShortName::parse(pointer, provider)?)),
                None => Err(InvalidField::new(
                    pointer,
                    "must be one of password, totp, passkey, recovery_code, oidc:<provider>",
                )),
            },
        }
    }
}

impl std::fmt::Display for SessionMethod {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password => formatter.write_str("password"),
            Self::Totp => formatter.write_str("totp"),
            Self::Passkey => formatter.write_str("passkey"),
            Self::RecoveryCode => formatter.write_str("recovery_code"),
            Self::Oidc(provider) => write!(formatter, "oidc:{provider}"),
        }
    }
}

impl Serialize for SessionMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionMethod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::parse("", &word).map_err(de::Error::custom)
    }
}

/// A command to one session.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionCommand {
    /// Record that somebody got in: the event as it is to be.
    Start(Box<Started>),
    /// Record that it is over.
    End {
        /// Why.
        reason: SessionEndReason,
    },
}

refusals! {
    /// Why a command to a session is refused.
    SessionError {
        /// There is no such session.
        #[error("there is no such session")]
        NotFound = "session.not_found", NotFound;
        /// It was started before.
        #[error("the session was started before")]
        Exists = "session.exists", Exists;
        /// Nothing, or too much, shows who it is.
        #[error("a session needs 1 to {MAX_METHODS} ways of showing who one is")]
        Methods = "session.methods", Rule, "/methods";
        /// The sealed value is about somebody else.
        #[error("the sealed client is not about the user of the session")]
        OtherSubject = "session.other_subject", Rule, "/client";
        /// It is over.
        #[error("the session has ended")]
        Ended = "session.ended", Rule;
    }
}

/// A session. The default value is one that was never started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Session {
    user_id: Option<UserId>,
    ended: Option<SessionEndReason>,
}

impl Session {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Addresses of clients, sealed.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was started.
    pub fn exists(&self) -> bool {
        self.user_id.is_some()
    }

    /// Whose it is.
    pub fn user_id(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    /// Why it ended, if it did.
    pub fn ended(&self) -> Option<SessionEndReason> {
        self.ended
    }

    /// What the command leads to.
    pub fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        match (&self.user_id, command) {
            (None, SessionCommand::Start(started)) => {
                if started.methods.is_empty() || started.methods.len() > MAX_METHODS {
                    return Err(SessionError::Methods);
                }
                if started.client.as_ref().is_some_and(|client| client.subject != started.user_id.as_str()) {
                    return Err(SessionError::OtherSubject);
                }
                Ok(vec![SessionEvent::Started(*started)])
            }
            (None, SessionCommand::End { .. }) => Err(SessionError::NotFound),
            (Some(_), SessionCommand::Start(_)) => Err(SessionError::Exists),
            (Some(_), SessionCommand::End { .. }) if self.ended.is_some() => Err(SessionError::Ended),
            (Some(_), SessionCommand::End { reason }) => Ok(vec![SessionEvent::Ended(Ended { reason })]),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Started(event) => {
                self.user_id.get_or_insert(event.user_id);
            }
            SessionEvent::Ended(event) if self.exists() => {
                self.ended.get_or_insert(event.reason);
            }
            SessionEvent::Ended(_) => {}
        }
    }
}

aggregate!(Session = "session", SessionCommand => SessionEvent, SessionError);

#[cfg(test)]
mod tests;
