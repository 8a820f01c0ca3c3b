//! What becomes of access: denials, refused credentials and reads by people are handed on to be recorded.
//!
//! This crate sees them; an [`AccessLog`] puts them into the ledger. Nothing here waits for that.

use std::net::IpAddr;

use actix_web::{HttpMessage, HttpRequest};
use daybook_ledger::{Actor, LedgerId};

/// Stands for the methods of facts that are counted together whatever was asked.
pub const OTHER_METHOD: &str = "OTHER";
/// Stands for their routes.
pub const ANY_ROUTE: &str = "*";

/// Takes what is to be recorded. No method may block.
pub trait AccessLog: Send + Sync + 'static {
    /// A caller lacked a permission.
    fn denied(&self, denied: Denied);

    /// Credentials were refused.
    fn refused(&self, refused: Refused);

    /// A person has read something.
    fn read(&self, read: Read);

    /// False where this process cannot record for the organisation. People are refused there: nobody reads unseen.
    fn can_record(&self, organization: &LedgerId) -> bool;
}

/// A caller lacked a permission and was answered 403.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// In which organisation.
    pub organization: LedgerId,
    /// Who.
    pub actor: Actor,
    /// Which permission.
    pub permission: &'static str,
    /// The request's method.
    pub method: &'static str,
    /// Its route pattern.
    pub route: String,
    /// Its id.
    pub request_id: String,
}

/// Credentials were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The organisation, where the credentials or the request name one. It may not exist.
    pub organization: Option<LedgerId>,
    /// Stable code of the reason, for example `token.expired`.
    pub reason: String,
    /// The request's method.
    pub method: &'static str,
    /// Its route pattern, or `unmatched`.
    pub route: String,
    /// Its id.
    pub request_id: String,
    /// Where it came from.
    pub peer: Option<IpAddr>,
}

/// A person has read something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// In which organisation.
    pub organization: LedgerId,
    /// Who.
    pub actor: Actor,
    /// The request's method: `GET` or `HEAD`.
    pub method: &'static str,
    /// Its route pattern.
    pub route: String,
    /// Its path.
    pub path: String,
    /// Its query string; empty where there is none.
    pub query: String,
    /// The status of the answer, 200 to 299.
    pub status: u16,
    /// When it arrived, in microseconds since the epoch.
    pub at: i64,
    /// Its id.
    pub request_id: String,
}

/// In a request's extensions: its handler has asked for a permission, so what it answers is not everybody's.
pub(crate) struct PermissionAsked;

/// Has the answer to this request recorded as a read, though its handler asks for no permission: for what people read
/// of others by another right.
pub fn record_read(request: &HttpRequest) {
    request.extensions_mut().insert(PermissionAsked);
}
