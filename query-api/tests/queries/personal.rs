//! What people wrote is opened when it is answered, and shown as erased once its author is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use daybook_domain::approval::{ApprovalCommand, KnownAction};
use daybook_domain::incident::Severity;
use daybook_domain::personal::{PersonalText, SealedText};
use daybook_domain::text::{Paragraph, RemarkId};
use daybook_domain::transaction::{AddNote, TransactionStatus};
use daybook_domain::{IncidentCommand, TransactionCommand};
use daybook_http_kit::sealer::SealedValue;
use daybook_http_kit::{Problem, Sealer};
use serde_json::Value;

use crate::decisions::Decisions;
use crate::world::World;

const SEALED: &str = "dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw";

/// Opens a text into the words `<subject> in <field>`.
#[derive(Default)]
struct Opener {
    erased: Mutex<Vec<String>>,
    asked: AtomicUsize,
    is_broken: bool,
}

#[async_trait]
impl Sealer for Opener {
    async fn seal(&self, _subject: &str, _field: &str, _text: &str) -> Result<String, Problem> {
        unreachable!("queries seal nothing")
    }

    async fn open_many(&self, values: &[SealedValue<'_>]) -> Result<Vec<String>, Problem> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_broken {
            return Err(Problem::unavailable("store.unavailable", "not now", 1));
        }
        let erased = self.erased.lock().unwrap();
        let open = |value: &SealedValue<'_>| match erased.iter().any(|subject| subject == value.subject) {
            true => "erased".to_owned(),
            false => format!("{} in {}", value.subject, value.field),
        };
        assert!(values.iter().all(|value| value.sealed == SEALED));
        Ok(values.iter().map(open).collect())
    }
}

fn texts() -> [PersonalText<Paragraph>; 3] {
    let sealed = |subject: &str| SealedText::parse("", subject, SEALED).unwrap().into();
    [sealed("usr_1"), PersonalText::Clear(Paragraph::parse("", "by a program").unwrap()), sealed("usr_2")]
}

/// An incident with three comments and a transaction with three notes; the second of each is in clear.
async fn world(sealer: Option<Arc<Opener>>) -> World {
    let mut world = World::new().await;
    if let Some(sealer) = sealer {
        world.state = world.state.clone().with_sealer(sealer);
    }
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.record("TX-1", "10.00", "EUR", TransactionStatus::Pending, "2026-11-21T00:00:00Z").await;
    for (number, text) in texts().into_iter().enumerate() {
        let id = RemarkId::parse("", format!("r{number}")).unwrap();
        let comment = IncidentCommand::Comment { comment_id: id.clone(), text: text.clone() };
        world.on_incident("inc_a", comment).await;
        world.on_transaction("TX-1", TransactionCommand::AddNote(AddNote { note_id: id, text })).await;
    }
    world.catch_up().await;
    world
}

async fn comments(world: &World) -> Vec<String> {
    let timeline = world.get("/v1/incidents/inc_a/timeline").await.json();
    column(&timeline["results"], "comment")
}

async fn notes(world: &World) -> Vec<String> {
    let detail = world.get("/v1/transactions/TX-1").await.json();
    assert_eq!(detail["notes"], detail["history"]);
    column(&detail["notes"], "reason")
}

fn column(rows: &Value, name: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().filter_map(|row| row[name].as_str()).map(str::to_owned).collect()
}

#[actix_web::test]
async fn sealed_texts_are_opened_together_and_those_in_clear_stand_between_them() {
    let opener = Arc::new(Opener::default());
    let world = world(Some(Arc::clone(&opener))).await;
    assert_eq!(comments(&world).await, ["usr_1 in incident.comment", "by a program", "usr_2 in incident.comment"]);
    assert_eq!(notes(&world).await, ["usr_1 in transaction.note", "by a program", "usr_2 in transaction.note"]);
    assert_eq!(opener.asked.load(Ordering::SeqCst), 2);
}

#[actix_web::test]
async fn text_of_somebody_erased_is_shown_as_erased_at_once() {
    let opener = Arc::new(Opener::default());
    let world = world(Some(Arc::clone(&opener))).await;
    assert_eq!(notes(&world).await[0], "usr_1 in transaction.note");
    opener.erased.lock().unwrap().push("usr_1".to_owned());
    assert_eq!(comments(&world).await, ["erased", "by a program", "usr_2 in incident.comment"]);
    assert_eq!(notes(&world).await, ["erased", "by a program", "usr_2 in transaction.note"]);
}

#[actix_web::test]
async fn nothing_is_asked_of_the_keys_where_nothing_is_sealed() {
    let opener = Arc::new(Opener { is_broken: true, ..Opener::default() });
    let mut world = World::new().await;
    world.state = world.state.clone().with_sealer(Arc::clone(&opener) as Arc<dyn Sealer>);
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.catch_up().await;
    assert_eq!(world.get("/v1/incidents/inc_a/timeline").await.status, 200);
    assert_eq!(opener.asked.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn without_the_keys_there_is_no_answer_rather_than_a_wrong_one() {
    let world = world(Some(Arc::new(Opener { is_broken: true, ..Opener::default() }))).await;
    assert_eq!(world.get("/v1/incidents/inc_a/timeline").await.status, 503);
    assert_eq!(world.get("/v1/transactions/TX-1").await.status, 503);
}

#[actix_web::test]
async fn process_that_has_no_keys_says_that_it_cannot_read() {
    let world = world(None).await;
    assert_eq!(comments(&world).await, ["unreadable", "by a program", "unreadable"]);
    assert_eq!(notes(&world).await, ["unreadable", "by a program", "unreadable"]);
}

#[actix_web::test]
async fn audit_trail_tells_of_a_sealed_text_without_it_and_entries_have_their_bytes() {
    let world = world(Some(Arc::new(Opener::default()))).await;
    let trail = world.get("/v1/audit-trail?event_type=incident.commented").await;
    assert_eq!(
        column(&trail.json()["items"], "summary"),
        ["Comment on incident inc_a", "Comment on incident inc_a: by a program", "Comment on incident inc_a"]
    );
    for path in ["/v1/audit-trail", "/v1/api/audit_trail", "/v1/incidents/inc_a/timeline", "/v1/transactions/TX-1"] {
        assert!(!world.get(path).await.text().contains("dbs1."), "{path}");
    }
    assert!(world.get("/v1/ledgers/main/entries").await.text().contains(SEALED));
}

#[actix_web::test]
async fn comments_on_approvals_are_sealed_for_a_field_of_their_own() {
    let opener = Arc::new(Opener::default());
    let mut world = World::new().await;
    world.state = world.state.clone().with_sealer(Arc::clone(&opener) as Arc<dyn Sealer>);
    let decisions = Decisions::of(&world);
    decisions.open("apr_1", KnownAction::AgentTriage, "usr_1", 0).await;
    for (number, text) in texts().into_iter().enumerate() {
        let comment_id = RemarkId::parse("", format!("r{number}")).unwrap();
        let comment = ApprovalCommand::Comment { comment_id, by: crate::decisions::actor("usr_1"), text };
        decisions.execute("apr_1", "usr_1", comment).await;
    }
    let shown = ["usr_1 in approval.comment", "by a program", "usr_2 in approval.comment"];
    let history = world.get("/v1/approvals/apr_1/history?offset=2").await;
    assert_eq!(column(&history.json()["items"], "comment"), shown);
    let log = world.get("/agent/ops/actions/apr_1/history").await;
    assert_eq!(column(&log.json(), "comment")[1..], shown);
    assert!(!history.text().contains("dbs1.") && !log.text().contains("dbs1."));
}
