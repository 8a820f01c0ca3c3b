//! An organisation with a few people, and a clock that the test moves.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use daybook_approvals::{Approvals, Ballot, Blocked, Gated, Grant, Needed, Passage};
use daybook_domain::approval::{Action, ActionType, Approval, Decision};
use daybook_domain::approval_policy::{Clause, Electorate, Rule, Step, Terms};
use daybook_domain::names::{ApprovalId, RoleName, Word};
use daybook_domain::text::{Line, Reason};
use daybook_http_kit::{Access, PermissionSet, Principal, Problem, Via};
use daybook_identity::directory::Directory;
use daybook_identity::personal::{Personal, PersonalData};
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::sequencer::{Clock, Unobserved};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, Store, StreamKey};
use serde_json::{Value, json};

/// 2026-11-21T10:00:00Z.
pub const MORNING: i64 = 1_795_255_200_000_000;
pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;

pub struct World {
    pub ledger: Ledger,
    pub vault: Vault,
    pub clock: Clock,
    pub approvals: Approvals,
    place: Place,
    time: Arc<AtomicI64>,
    versions: Mutex<HashMap<(String, String), u64>>,
    numbers: AtomicU64,
}

enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl World {
    /// Olga owns, Ada administers, Cora sees to compliance, Ann, Bob and Ben analyse, Vic looks on.
    pub async fn new() -> Self {
        Self::at(Place::Sqlite(tempfile::tempdir().unwrap())).await
    }

    /// The same in a database, where there is one.
    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
            eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        };
        let schema = format!("approvals_{}", uuid::Uuid::new_v4().simple());
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
        pool.close().await;
        Some(Self::at(Place::Postgres(format!("{url}?options=-csearch_path%3D{schema}"))).await)
    }

    async fn at(place: Place) -> Self {
        let time = Arc::new(AtomicI64::new(MORNING));
        let clock: Clock = {
            let time = Arc::clone(&time);
            Arc::new(move || time.load(Ordering::Relaxed))
        };
        let ledger = open_ledger(&place, &clock).await;
        let master = MasterKey::from_hex(&"0a".repeat(32)).unwrap();
        let vault = match &place {
            Place::Sqlite(folder) => Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap(),
            Place::Postgres(url) => Vault::open_postgres(url, 4, master).await.unwrap(),
        };
        let approvals = service(&ledger, &vault, &clock).await;
        let world = Self {
            ledger,
            vault,
            clock,
            approvals,
            place,
            time,
            versions: Mutex::default(),
            numbers: AtomicU64::new(0),
        };
        let people =
            [("olga", "owner"), ("ada", "admin"), ("cora", "compliance"), ("ann", "analyst"), ("bob", "analyst")];
        for (name, role) in people {
            world.person(name, role).await;
        }
        world.person("ben", "analyst").await;
        world.person("vic", "viewer").await;
        world
    }

    /// The approvals as another process has them: with a ledger of its own where the store allows two.
    pub async fn elsewhere(&self) -> Approvals {
        let ledger = match &self.place {
            Place::Sqlite(_) => self.ledger.clone(),
            Place::Postgres(_) => open_ledger(&self.place, &self.clock).await,
        };
        service(&ledger, &self.vault, &self.clock).await
    }

    /// Whether several processes may append.
    pub fn is_shared(&self) -> bool {
        matches!(self.place, Place::Postgres(_))
    }

    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    pub fn wait(&self, micros: i64) {
        self.time.fetch_add(micros, Ordering::Relaxed);
    }

    /// Appends an event; its type begins with that of its stream.
    pub async fn happens(&self, id: &str, event_type: &str, payload: Value) {
        self.happens_by(Actor::system("operator"), id, event_type, payload).await;
    }

    /// The same, done by `actor`.
    pub async fn happens_by(&self, actor: Actor, id: &str, event_type: &str, payload: Value) {
        let (stream_type, _) = event_type.split_once('.').unwrap();
        let key = (stream_type.to_owned(), id.to_owned());
        let version = self.versions.lock().unwrap().get(&key).copied().unwrap_or(0);
        let append = Append {
            stream: StreamKey::new(stream_type, id).unwrap(),
            expected_version: version,
            events: vec![Draft::new(event_type, 1, payload.to_string())],
            actor,
            metadata: "{}".to_owned(),
            command: None,
        };
        let appended = self.ledger.append(append).await.unwrap();
        self.versions.lock().unwrap().insert(key, appended.version);
    }

    /// Somebody who has registered, with a role that holds everywhere and for ever.
    pub async fn person(&self, name: &str, role: &str) {
        let id = format!("usr_{name}");
        let sealed = format!("dbs1.{}", "A".repeat(64));
        let sealed = serde_json::to_value(Personal { subject: id.clone(), sealed }).unwrap();
        let registered = json!({ "email": sealed, "full_name": sealed, "origin": "registration" });
        self.happens(&id, "user.registered", registered).await;
        self.happens(&id, "user.role_granted", json!({ "role": role })).await;
    }

    /// Declares two accounts to be one person's.
    pub async fn same_person(&self, account: &str, person: &str) {
        let payload = json!({ "person": format!("usr_{person}"), "by": "usr_olga", "reason": "Two contracts" });
        self.happens(&format!("usr_{account}"), "user.same_person_declared", payload).await;
    }

    /// The caller with a session of this person, and what the directory says of them.
    pub async fn caller(&self, name: &str) -> Principal {
        let id = format!("usr_{name}");
        let state = self.approvals.directory().up_to_date().await.unwrap();
        let held = state.access_of(&id, self.now()).unwrap();
        Principal {
            actor: Actor::human(id),
            organization: LedgerId::main(),
            roles: held.roles,
            access: held.access,
            via: Via::Session,
            session_id: Some("ses_1".to_owned()),
        }
    }

    /// A key of this person's with every scope.
    pub async fn key_of(&self, name: &str) -> Principal {
        let id = "key_0123456789ab";
        let created = json!({ "name": "ci", "scopes": ["admin"], "created_by": format!("usr_{name}") });
        let append = Append {
            stream: StreamKey::new("api_key", id).unwrap(),
            expected_version: 0,
            events: vec![Draft::new("api_key.created", 1, created.to_string())],
            actor: Actor::human(format!("usr_{name}")),
            metadata: "{}".to_owned(),
            command: None,
        };
        self.ledger.append(append).await.unwrap();
        let state = self.approvals.directory().up_to_date().await.unwrap();
        let key = state.access_of_key(id, self.now()).unwrap();
        Principal {
            actor: Actor::system(id),
            organization: LedgerId::main(),
            roles: Arc::from([]),
            access: key.access,
            via: Via::ApiKey,
            session_id: None,
        }
    }

    pub fn operator(&self) -> Principal {
        Principal {
            actor: Actor::system("operator"),
            organization: LedgerId::main(),
            roles: Arc::from(["operator".to_owned()]),
            access: Arc::new(Access::everywhere(PermissionSet::of_role(daybook_http_kit::Role::Operator))),
            via: Via::OperatorToken,
            session_id: None,
        }
    }

    /// Whoever calls for the first time under this number does so once.
    pub fn execution(&self) -> String {
        format!("exe_{}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Wants transactions exported, for the first time or again.
    pub async fn tries(&self, caller: &Principal, gated: Gated) -> Result<Passage, Problem> {
        self.approvals.pass(caller, gated, &context(caller)).await
    }

    pub async fn is_blocked(&self, caller: &Principal, gated: Gated) -> Blocked {
        match self.tries(caller, gated).await.unwrap() {
            Passage::Blocked(blocked) => blocked,
            Passage::Granted(grant) => panic!("let through: {grant:?}"),
        }
    }

    pub async fn is_granted(&self, caller: &Principal, gated: Gated) -> Grant {
        match self.tries(caller, gated).await.unwrap() {
            Passage::Granted(grant) => grant,
            Passage::Blocked(blocked) => panic!("blocked: {blocked:?}"),
        }
    }

    /// An export of this one's transactions.
    pub fn export(&self, resource_id: &str) -> Gated {
        gated("export.transactions", resource_id, &self.execution())
    }

    pub async fn votes(&self, caller: &Principal, id: &str, decision: Decision) -> Result<Outcome<Approval>, Problem> {
        self.approvals.vote(caller, id, ballot(decision), context(caller)).await
    }

    pub async fn approves(&self, name: &str, id: &str) {
        let caller = self.caller(name).await;
        self.votes(&caller, id, Decision::Approve).await.unwrap();
    }

    /// The code with which a vote for it is refused.
    pub async fn refusal(&self, caller: &Principal, id: &str) -> (u16, String) {
        let problem = self.votes(caller, id, Decision::Approve).await.unwrap_err();
        (problem.status(), problem.code().to_owned())
    }

    /// Rules for an action as if they had been approved.
    pub async fn policy(&self, action: &str, version: u64, rules: Vec<Rule>) {
        let payload = json!({ "action": action, "version": version, "rules": rules, "by": "usr_olga",
            "reason": "For the test", "approval_id": "apr_0" });
        self.happens(action, "approval_policy.defined", payload).await;
    }

    /// `from` has `to` stand in from now on, for a day.
    pub async fn delegates(&self, from: &str, to: &str) {
        let id = format!("dlg_{from}_{to}");
        let at = |micros| serde_json::to_value(daybook_domain::Timestamp::from_micros(micros).unwrap()).unwrap();
        let payload = json!({ "delegation_id": id, "from": format!("usr_{from}"), "to": format!("usr_{to}"),
            "starts_at": at(self.now()), "ends_at": at(self.now() + 24 * HOUR), "by": format!("usr_{from}") });
        self.happens(&id, "delegation.given", payload).await;
        let accepted = json!({ "by": format!("usr_{to}"), "at": at(self.now()) });
        self.happens(&id, "delegation.accepted", accepted).await;
    }

    pub async fn find(&self, id: &str) -> Approval {
        self.approvals.find(id).await.unwrap().aggregate
    }

    /// The events of a stream, by type.
    pub async fn events(&self, stream_type: &str, id: &str) -> Vec<String> {
        let key = StreamKey::new(stream_type, id).unwrap();
        let entries = self.ledger.stream(&key, 0, 1_000).await.unwrap();
        entries.into_iter().map(|entry| entry.event_type).collect()
    }

    pub async fn count(&self, id: &str, event_type: &str) -> usize {
        self.events("approval", id).await.iter().filter(|name| *name == event_type).count()
    }
}

async fn open_ledger(place: &Place, clock: &Clock) -> Ledger {
    let store: Arc<dyn Store> = match place {
        Place::Sqlite(folder) => Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap()),
        Place::Postgres(url) => Arc::new(PostgresStore::open(url, 4).await.unwrap()),
    };
    Ledger::open(store, LedgerId::main(), Arc::clone(clock), Arc::new(Unobserved)).await.unwrap()
}

async fn service(ledger: &Ledger, vault: &Vault, clock: &Clock) -> Approvals {
    let directory =
        Directory::open_with_clock(ledger.reader().clone(), vault.clone(), Arc::clone(clock)).await.unwrap();
    let personal = PersonalData::new(vault.clone(), ledger.id().clone());
    Approvals::new(ledger.clone(), directory, personal, Arc::clone(clock))
}

pub fn context(caller: &Principal) -> CommandContext {
    CommandContext::new(caller.actor.clone())
}

pub fn system() -> CommandContext {
    CommandContext::new(Actor::system("exports"))
}

pub fn ballot(decision: Decision) -> Ballot {
    Ballot { decision, reason: None, on_behalf_of: None, revision: None, signature: None }
}

pub fn action(kind: &str, resource_id: &str) -> Action {
    let kind = ActionType::parse("", kind).unwrap();
    let resource_type = Word::parse("", kind.resource_type()).unwrap();
    let parameters = BTreeMap::from([("format".to_owned(), "csv".to_owned())]);
    let (id, summary) = (Line::parse("", resource_id).unwrap(), Line::parse("", "For the test").unwrap());
    Action::new(kind, resource_type, id, parameters, Vec::new(), summary, None, None).unwrap()
}

pub fn gated(kind: &str, resource_id: &str, execution_id: &str) -> Gated {
    Gated {
        action: action(kind, resource_id),
        required_permissions: vec![Needed::everywhere("transaction:read")],
        reason: None,
        execution_id: execution_id.to_owned(),
        detail: "Export requires approval",
    }
}

pub fn approval_id(id: &str) -> ApprovalId {
    ApprovalId::parse("", id).unwrap()
}

pub fn why(text: &str) -> Reason {
    Reason::parse("", text).unwrap()
}

pub fn role(name: &str) -> Electorate {
    Electorate::Role(RoleName::parse("", name).unwrap())
}

/// One rule: steps of one vote each, of any of these roles.
pub fn steps(of: &[&[&str]]) -> Vec<Rule> {
    let step = |roles: &&[&str]| Step {
        name: None,
        clauses: vec![Clause { votes: 1, from: roles.iter().map(|name| role(name)).collect() }],
    };
    let terms = Terms {
        steps: of.iter().map(step).collect(),
        distinct_persons: true,
        decide_within_seconds: 72 * 3_600,
        grant_seconds: 24 * 3_600,
        escalation: Vec::new(),
        break_glass: None,
    };
    vec![Rule { amount_at_least: None, amount_below: None, label: None, terms }]
}
