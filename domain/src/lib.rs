#![doc = include_str!("../README.md")]

pub mod access;
pub mod api_key;
pub mod approval;
pub mod approval_policy;
pub mod custody;
pub mod delegation;
pub mod department;
pub mod erasure;
pub mod events;
pub mod export;
pub mod export_schedule;
pub mod incident;
pub mod legal_hold;
pub mod meta;
pub mod money;
pub mod names;
pub mod organization;
pub mod patch;
pub mod permission;
pub mod personal;
pub mod refusal;
pub mod retention_rule;
pub mod role;
pub mod rules;
pub mod session;
mod stream;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod transaction;
pub mod user;
mod vocabulary;

pub use access::AccessEvent;
pub use api_key::{ApiKey, ApiKeyCommand, ApiKeyError, ApiKeyEvent};
pub use approval::{ActionType, Approval, ApprovalCommand, ApprovalError, ApprovalEvent, ApprovalStatus};
pub use approval_policy::{ApprovalPolicy, ApprovalPolicyCommand, ApprovalPolicyError, ApprovalPolicyEvent};
pub use custody::{LedgerEvent, SigningKeyEvent};
pub use delegation::{Delegation, DelegationCommand, DelegationError, DelegationEvent};
pub use department::{Department, DepartmentCommand, DepartmentError, DepartmentEvent};
pub use erasure::{Erasure, ErasureCommand, ErasureError, ErasureEvent, ErasureStatus};
pub use events::{AnyEvent, DecodeError, catalogue, decode};
pub use export::{Export, ExportCommand, ExportError, ExportEvent};
pub use export_schedule::{ExportSchedule, ExportScheduleCommand, ExportScheduleError, ExportScheduleEvent};
pub use incident::{Incident, IncidentCommand, IncidentError, IncidentEvent};
pub use legal_hold::{LegalHold, LegalHoldCommand, LegalHoldError, LegalHoldEvent};
pub use meta::Meta;
pub use money::{Amount, Currency, Money, MoneyError};
pub use names::{
    ApiKeyId, ApprovalId, DelegationId, DepartmentId, DestinationName, ErasureId, ExportId, HoldId, Label,
    PermissionName, RoleName, ScheduleId, SessionId, UserId, Word,
};
pub use organization::{Organization, OrganizationCommand, OrganizationError, OrganizationEvent};
pub use patch::Patch;
pub use permission::{Permission, PermissionCommand, PermissionError, PermissionEvent};
pub use personal::{Personal, PersonalText, SealedText};
pub use refusal::{Refusal, RefusalKind};
pub use retention_rule::{RetentionRule, RetentionRuleCommand, RetentionRuleError, RetentionRuleEvent};
pub use role::{Role, RoleCommand, RoleError, RoleEvent};
pub use session::{Session, SessionCommand, SessionError, SessionEvent};
pub use text::InvalidField;
pub use time::Timestamp;
pub use transaction::{Transaction, TransactionCommand, TransactionError, TransactionEvent};
pub use user::{User, UserCommand, UserError, UserEvent, UserStatus};
