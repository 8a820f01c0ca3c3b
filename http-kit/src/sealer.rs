//! Texts of people, sealed before they are recorded and opened when they are answered. How that is done, and with which
//! keys, is the business of whoever keeps the keys; handlers only say whose text it is and where it stands.

use async_trait::async_trait;

use crate::problem::Problem;

/// Where a comment on an incident stands.
pub const INCIDENT_COMMENT: &str = "incident.comment";
/// Where a note on a transaction stands.
pub const TRANSACTION_NOTE: &str = "transaction.note";
/// Where a comment on a request for approval stands.
pub const APPROVAL_COMMENT: &str = "approval.comment";
/// What is shown in place of a sealed text that cannot be opened here.
pub const UNREADABLE: &str = "unreadable";

/// A sealed text that is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedValue<'a> {
    /// Opaque id of the person whose key it was sealed with.
    pub subject: &'a str,
    /// The sealed value.
    pub sealed: &'a str,
    /// The field it was sealed for: in another it does not open.
    pub field: &'a str,
}

/// Seals and opens the texts of one organisation's people.
#[async_trait]
pub trait Sealer: Send + Sync + 'static {
    /// The sealed value of `text`, which `subject` wrote and which is to stand in `field`. Another one each time. 409 where
    /// the person's data was erased.
    async fn seal(&self, subject: &str, field: &str, text: &str) -> Result<String, Problem>;

    /// What each of them is shown as, in their order: its text, `erased`, or [`UNREADABLE`].
    async fn open_many(&self, values: &[SealedValue<'_>]) -> Result<Vec<String>, Problem>;
}
