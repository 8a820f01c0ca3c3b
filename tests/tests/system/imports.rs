//! Bringing transactions in: from files, from a seed, and from a cqrs-es installation.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use daybook_tests::{Finished, Server, Store, both_stores, command_line};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn file(store: &Store, name: &str, content: &str) -> PathBuf {
    let path = store.folder().join(name);
    std::fs::write(&path, content).expect("a file can be written");
    path
}

async fn import(store: &Store, path: &std::path::Path, further: &[&str]) -> Finished {
    store.daybook(&[&["import", path.to_str().unwrap()], further].concat()).await
}

/// All recorded transactions by id, read from the ledger alone.
async fn recorded(store: &Store) -> BTreeMap<String, Value> {
    let replayed = store.daybook(&["replay", "--type", "transaction.recorded"]).await.expect(0).json_lines();
    let count = replayed.len();
    let by_id: BTreeMap<_, _> = replayed
        .into_iter()
        .map(|line| (line["stream_id"].as_str().unwrap().to_owned(), line["payload"].clone()))
        .collect();
    assert_eq!(by_id.len(), count, "a transaction is recorded once");
    by_id
}

both_stores!(a_csv_file_is_imported_once_however_often_it_is_given);

async fn a_csv_file_is_imported_once_however_often_it_is_given(store: &Store) {
    let mut text =
        String::from("TRANSACTION_ID,TX_TIME_SECONDS,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO\n");
    for number in 0..600 {
        text.push_str(&format!(
            "{number},{},{},{},{}.{:02},0,0\n",
            5_270_471 + number,
            number % 50,
            number % 9,
            number,
            number % 100
        ));
    }
    let path = file(store, "cards.csv", &text);
    let mapping = ["--currency", "EUR", "--type", "card", "--epoch", "2018-04-01"];
    import(store, &path, &mapping).await.expect(0);
    let first = recorded(store).await;
    assert_eq!(first.len(), 600);
    let one = &first["1"];
    assert_eq!((&one["amount"], &one["currency"], &one["account"]), (&json!("1.01"), &json!("EUR"), &json!("1")));
    assert_eq!(one["timestamp"], "2018-06-01T00:01:12.000000Z");
    import(store, &path, &mapping).await.expect(0);
    assert_eq!(recorded(store).await, first);
    // The file grows: only what is new is recorded.
    text.push_str("600,5271999,1,2,12.34,0,0\n");
    let path = file(store, "cards.csv", &text);
    let summary = import(store, &path, &[&mapping[..], &["--json"]].concat()).await.expect(0).json();
    assert_eq!(recorded(store).await.len(), 601, "{summary}");
    store.verified().await;
    let server = Server::start(store).await;
    crate::projections::settled(&server.client()).await;
    let listed = server.client().get("/v1/transactions?limit=1&count=true").await.expect(200).json();
    assert_eq!(listed["total"], 601);
}

both_stores!(bad_rows_are_named_and_the_others_are_kept);

async fn bad_rows_are_named_and_the_others_are_kept(store: &Store) {
    let lines = [
        json!({"transaction_id": "n-1", "amount": "10.50", "currency": "EUR"}).to_string(),
        "{not json".to_owned(),
        json!({"transaction_id": "n-2", "amount": "ten", "currency": "EUR"}).to_string(),
        String::new(),
        json!({"transaction_id": "n-3", "amount": 3.25, "currency": "USD", "status": "completed"}).to_string(),
        json!({"transaction_id": "n-1", "amount": "99.99", "currency": "EUR"}).to_string(),
    ];
    let path = file(store, "mixed.ndjson", &lines.join("\n"));
    let finished = import(store, &path, &[]).await;
    assert_eq!(finished.code, 1, "some rows were refused: {}", finished.text());
    for number in ["2", "3", "6"] {
        let named = finished
            .text()
            .lines()
            .any(|line| line.contains(&format!("line {number}")) || line.contains(&format!("row {number}")));
        assert!(named, "line {number} is not named: {}", finished.text());
    }
    let recorded = recorded(store).await;
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["n-1", "n-3"]);
    assert_eq!((&recorded["n-1"]["amount"], &recorded["n-3"]["amount"]), (&json!("10.50"), &json!("3.25")));
    let missing = import(store, &store.folder().join("none.csv"), &[]).await;
    assert_eq!(missing.code, 2, "{}", missing.text());
}

both_stores!(an_interrupted_import_goes_on);

async fn an_interrupted_import_goes_on(store: &Store) {
    let lines: String = (0..20_000)
        .map(|number| {
            format!(
                "{}\n",
                json!({"transaction_id": format!("i-{number:05}"), "amount": format!("{number}.10"), "currency": "EUR"})
            )
        })
        .collect();
    let path = file(store, "long.ndjson", &lines);
    let mut running = command_line::command();
    running.args(["import", path.to_str().unwrap()]).args(store.arguments());
    let mut running = running
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    daybook_tests::eventually("the import is under way", async || {
        let there = store.daybook(&["verify", "--json"]).await;
        let entries = if there.code == 0 { there.json()["entries"].as_u64() } else { None };
        (entries >= Some(500) || running.try_wait().unwrap().is_some()).then_some(())
    })
    .await;
    running.kill().await.expect("it can be killed");
    let before = store.verified().await["entries"].as_u64().unwrap();
    println!("{before} entries when it was killed");
    import(store, &path, &[]).await.expect(0);
    assert_eq!(recorded(store).await.len(), 20_000);
    store.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_gives_the_same_transactions_wherever_it_is_sown() {
    let seeded = async |seed: &str| {
        let store = Store::sqlite();
        store.daybook(&["seed", "--transactions", "400", "--seed", seed]).await.expect(0);
        let first = contents(&store).await;
        store.daybook(&["seed", "--transactions", "400", "--seed", seed]).await.expect(0);
        assert_eq!(contents(&store).await, first, "sowing again changes nothing");
        store.verified().await;
        first
    };
    let (one, same, other) = (seeded("7").await, seeded("7").await, seeded("8").await);
    assert_eq!(one.len(), 400);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

/// The recorded transactions without the nonce, which is random by intent.
async fn contents(store: &Store) -> BTreeMap<String, Value> {
    let mut recorded = recorded(store).await;
    for payload in recorded.values_mut() {
        payload.as_object_mut().expect("an object").remove("nonce").expect("personal data have a nonce");
    }
    recorded
}

/// An account as a cqrs-es user has it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum AccountEvent {
    Opened { owner: String },
    Deposited { amount: i64 },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "Opened".to_owned(),
            Self::Deposited { .. } => "Deposited".to_owned(),
        }
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

#[derive(Debug)]
enum AccountCommand {
    Open(String),
    Deposit(i64),
}

#[derive(Debug, thiserror::Error)]
#[error("never refused")]
struct Never;

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, command: AccountCommand, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
        let event = match command {
            AccountCommand::Open(owner) => AccountEvent::Opened { owner },
            AccountCommand::Deposit(amount) => AccountEvent::Deposited { amount },
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        if let AccountEvent::Deposited { amount } = event {
            self.balance += amount;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cqrs_es_installation_moves_in_with_its_originals_kept() {
    let Some(theirs) = Store::postgres().await else { return };
    let pool = sqlx::PgPool::connect(theirs.database_url().unwrap()).await.expect("the schema answers");
    sqlx::raw_sql(
        "create table events (aggregate_type text not null, aggregate_id text not null, \
         sequence bigint check (sequence >= 0) not null, event_type text not null, event_version text not null, \
         payload json not null, metadata json not null, primary key (aggregate_type, aggregate_id, sequence))",
    )
    .execute(&pool)
    .await
    .expect("their table");
    let cqrs = postgres_es::postgres_cqrs::<Account>(pool.clone(), vec![], ());
    for account in 0..5 {
        let id = format!("acc-{account}");
        cqrs.execute(&id, AccountCommand::Open(format!("Owner {account}"))).await.expect("opened");
        for deposit in 0..10 {
            let metadata = [("user".to_owned(), "clerk".to_owned())].into();
            cqrs.execute_with_metadata(&id, AccountCommand::Deposit(deposit), metadata).await.expect("deposited");
        }
    }
    let originals: BTreeMap<(String, i64), String> =
        sqlx::query_as::<_, (String, i64, String)>("select aggregate_id, sequence, payload::text from events")
            .fetch_all(&pool)
            .await
            .unwrap()
            .into_iter()
            .map(|(id, sequence, payload)| ((id, sequence), payload))
            .collect();
    assert_eq!(originals.len(), 55);

    let ours = Store::sqlite();
    let from = theirs.database_url().unwrap();
    ours.daybook(&["adopt", "--from", from]).await.expect(0);
    let adopted = ours.daybook(&["replay"]).await.expect(0).json_lines();
    assert_eq!(adopted.len(), 55);
    for line in &adopted {
        let key = (line["stream_id"].as_str().unwrap().to_owned(), line["version"].as_i64().unwrap());
        let original: Value = serde_json::from_str(&originals[&key]).unwrap();
        assert_eq!((&line["payload"], &line["stream_type"]), (&original, &json!("account")), "{line}");
        if line["version"] == 5 {
            assert_eq!(line["metadata"]["metadata"], json!({"user": "clerk"}), "{line}");
        }
    }
    let report = ours.verified().await;
    assert_eq!(report["entries"], 55);
    // Again: nothing new. Later: what came since.
    ours.daybook(&["adopt", "--from", from]).await.expect(0);
    assert_eq!(ours.verified().await["entries"], 55);
    cqrs.execute("acc-1", AccountCommand::Deposit(99)).await.expect("deposited");
    ours.daybook(&["adopt", "--from", from]).await.expect(0);
    let report = ours.verified().await;
    assert_eq!(report["entries"], 56, "{report}");
    // The projectors go past events that are not Daybook's own, and the audit trail shows them.
    let server = Server::start(&ours).await;
    crate::projections::settled(&server.client()).await;
    let listed = server.client().get("/v1/audit-trail?entity_type=account&count=true&limit=1").await.expect(200).json();
    assert_eq!(listed["total"], 56, "{listed}");
}
