//! What the handlers work with: the vault and the mail of the installation, and what each organisation has of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use daybook_domain::Timestamp;
use daybook_domain::api_key::ApiKey;
use daybook_domain::department::Department;
use daybook_domain::erasure::Erasure;
use daybook_domain::legal_hold::LegalHold;
use daybook_domain::organization::Organization;
use daybook_domain::permission::Permission;
use daybook_domain::retention_rule::RetentionRule;
use daybook_domain::role::Role;
use daybook_domain::session::Session;
use daybook_domain::user::User;
use daybook_http_kit::{IdentityConfig, Organizations, Problem};
use daybook_identity::directory::{Directory, DirectoryState};
use daybook_identity::mail::Mailer;
use daybook_identity::oidc::Providers;
use daybook_identity::passwords::{PasswordError, PasswordRefusal, Passwords};
use daybook_identity::personal::PersonalData;
use daybook_identity::recorder::Recorder;
pub(crate) use daybook_identity::sealer::vault_problem;
use daybook_identity::tokens::{IssueError, Tokens};
use daybook_identity::vault::Vault;
use daybook_ledger::commands::{Commands, Outcome};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::Clock;
use daybook_ledger::{Ledger, LedgerId};

/// How often a command is decided anew after losing a race, where deciding anew is what the caller means.
pub const TRIES: u32 = 5;

/// What the installation has decided.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// Beginning of the links in letters, without a slash at the end.
    pub public_url: String,
    /// Whether anybody may register, where the organisation has not decided.
    pub open_registration: bool,
    /// Longest a session lasts, where the organisation has not decided.
    pub session: Duration,
    /// Other providers that people may log in at.
    pub oidc: Providers,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            open_registration: false,
            session: Duration::from_secs(7 * 86_400),
            oidc: Providers::default(),
        }
    }
}

/// Why an organisation was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateOrganizationError {
    /// There is one of this id.
    #[error("there is an organisation of this id")]
    Exists,
    /// As many as the installation may have.
    #[error("the installation has as many organisations as its settings allow")]
    TooMany,
    /// The store or the vault failed.
    #[error("the organisation could not be opened: {0}")]
    Unavailable(String),
}

/// Brings an organisation into being: its row in the vault, its ledger, and everything that follows the ledger. What it is
/// called is not said here: that is an event, recorded once it is open.
#[async_trait]
pub trait CreateOrganization: Send + Sync + 'static {
    /// Opens a new organisation in this process; others follow by themselves.
    async fn create(&self, id: &LedgerId) -> Result<Arc<OrganizationIdentity>, CreateOrganizationError>;
}

/// Everything that is common to all organisations. In the app as `web::Data<IdentityState>`. Cheap to clone.
#[derive(Clone)]
pub struct IdentityState {
    /// Credentials and keys.
    pub vault: Vault,
    /// Access tokens.
    pub tokens: Tokens,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Letters.
    pub mailer: Arc<dyn Mailer>,
    /// What the installation has decided.
    pub settings: Arc<IdentitySettings>,
    /// Every organisation that is open in this process. The same is in the app as `web::Data<Organizations<…>>`.
    pub organizations: Organizations<OrganizationIdentity>,
    /// The time, in microseconds.
    pub clock: Clock,
    /// The operator's token and development headers.
    pub identity: IdentityConfig,
    /// Failed logins and the like become entries here.
    pub recorder: Recorder,
    /// Makes organisations, where this process can.
    pub creator: Option<Arc<dyn CreateOrganization>>,
}

impl IdentityState {
    /// The time in microseconds, as the ledger has it.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// When the request arrived; 503 where the clock is off by centuries.
    pub fn timestamp(&self) -> Result<Timestamp, Problem> {
        Timestamp::from_micros(self.now()).ok_or_else(|| {
            tracing::error!("the clock is outside the years 1900 to 9999");
            Problem::unavailable("clock.unusable", "the server does not know the time", 60)
        })
    }

    /// True where there is such an organisation and it is not open in this process: nothing about it can be answered here,
    /// and nobody's credentials are wrong.
    pub fn is_known_but_closed(&self, id: &LedgerId) -> bool {
        self.organizations.is_unavailable(id)
    }

    /// The organisation; `None` where there is none of that id, 503 `organization.unavailable` where there is one that is not
    /// open in this process. To be asked before anything is counted or recorded against a caller.
    pub fn open_organization(&self, id: &LedgerId) -> Result<Option<Arc<OrganizationIdentity>>, Problem> {
        match self.organizations.get(id) {
            None if self.is_known_but_closed(id) => Err(organization_unavailable()),
            organization => Ok(organization),
        }
    }

    /// Whether anybody may register with the organisation, as a viewer.
    pub fn is_registration_open(&self, state: &DirectoryState) -> bool {
        state.organization.settings.open_registration.unwrap_or(self.settings.open_registration)
    }

    /// Longest a session of the organisation lasts.
    pub fn session_lifetime(&self, state: &DirectoryState) -> Duration {
        match state.organization.settings.session_hours {
            Some(hours) => Duration::from_secs(u64::from(hours) * 3_600),
            None => self.settings.session,
        }
    }
}

/// What one organisation has of its own: its ledger, what follows it, and the commands. `Scoped<OrganizationIdentity>` in
/// handlers. Cheap to clone.
#[derive(Clone)]
pub struct OrganizationIdentity {
    /// The organisation, and its ledger.
    pub id: LedgerId,
    /// Its ledger.
    pub ledger: Ledger,
    /// Who is in it and what each may do.
    pub directory: Directory,
    /// Seals and opens what is about people.
    pub personal: PersonalData,
    /// Commands on people.
    pub users: Commands<User>,
    /// Commands on roles.
    pub roles: Commands<Role>,
    /// Commands on custom permissions.
    pub permissions: Commands<Permission>,
    /// Commands on departments.
    pub departments: Commands<Department>,
    /// Commands on the organisation itself.
    pub organization: Commands<Organization>,
    /// Commands on sessions.
    pub sessions: Commands<Session>,
    /// Commands on API keys.
    pub api_keys: Commands<ApiKey>,
    /// Commands on legal holds.
    pub holds: Commands<LegalHold>,
    /// Commands on erasures.
    pub erasures: Commands<Erasure>,
    /// Commands on rules that say how long records are kept.
    pub retention_rules: Commands<RetentionRule>,
}

/// Commands on `ledger` with an aggregate's own constants.
macro_rules! commands {
    ($ledger:expr, $aggregate:ty) => {
        Commands::new(
            $ledger.clone(),
            StreamPolicy {
                reducer_version: <$aggregate>::REDUCER_VERSION,
                holds_personal_data: <$aggregate>::HOLDS_PERSONAL_DATA,
                ..StreamPolicy::default()
            },
        )
    };
}

impl OrganizationIdentity {
    /// The organisation of `ledger`, with a directory that follows it.
    pub fn new(ledger: Ledger, directory: Directory, personal: PersonalData) -> Self {
        Self {
            id: ledger.id().clone(),
            users: commands!(ledger, User),
            roles: commands!(ledger, Role),
            permissions: commands!(ledger, Permission),
            departments: commands!(ledger, Department),
            organization: commands!(ledger, Organization),
            sessions: commands!(ledger, Session),
            api_keys: commands!(ledger, ApiKey),
            holds: commands!(ledger, LegalHold),
            erasures: commands!(ledger, Erasure),
            retention_rules: commands!(ledger, RetentionRule),
            ledger,
            directory,
            personal,
        }
    }

    /// The directory once it has seen a command's last entry. Answers are made of it, so that whoever reads next reads what
    /// was just written. 503 `directory.behind` where it takes too long: the command is recorded all the same.
    pub async fn settle<A: Aggregate>(&self, outcome: &Outcome<A>) -> Result<Arc<DirectoryState>, Problem> {
        self.settle_at(outcome.receipt.position).await
    }

    /// The directory once it has seen the entry at `position`.
    pub async fn settle_at(&self, position: u64) -> Result<Arc<DirectoryState>, Problem> {
        self.directory.settle_at(position).await
    }
}

/// 503: the organisation is not open in this process.
pub fn organization_unavailable() -> Problem {
    Problem::unavailable("organization.unavailable", "the organisation is not open here at the moment", 5)
}

/// A token that cannot be issued.
pub fn token_problem(error: IssueError) -> Problem {
    match error {
        IssueError::Vault(error) => vault_problem(error),
        error => Problem::internal(&error),
    }
}

/// A password that cannot be chosen: 422 with its own code, at `pointer`.
pub fn password_refusal(refusal: PasswordRefusal, pointer: &str) -> Problem {
    Problem::refused(refusal.code(), refusal.to_string()).at(pointer, refusal.to_string())
}

/// A password that could not be hashed or checked.
pub fn password_problem(error: PasswordError) -> Problem {
    match error {
        PasswordError::Busy => Problem::unavailable("auth.busy", "too many passwords are being checked", 1),
        error => Problem::internal(&error),
    }
}
