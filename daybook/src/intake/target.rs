//! Where transactions go: straight into the ledger's store, or to a running server.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use daybook_domain::text::Line;
use daybook_domain::{Transaction, TransactionCommand};
use daybook_ledger::Actor;
use daybook_ledger::LedgerReader;
use daybook_ledger::commands::{CommandContext, CommandError, CommandResult, Commands};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::mapping::now;
use super::transaction::TransactionInput;
use crate::runtime::client::Client;

/// How often a command is decided again after a lost race.
const TRIES: u32 = 5;
/// How often a batch is sent again to a server that is busy or away for a moment.
const SENDS: u32 = 6;
/// What a server refuses for reasons of its own and not of the row's. What was recorded of the batch is not recorded again
/// when it is sent again.
const PASSING_CODES: [&str; 4] = ["ledger.busy", "store.unavailable", "ledger.outcome_unknown", "request.conflict"];
/// A fault of the server, which sending again does not mend.
const FAULT_CODE: &str = "internal.error";
/// Pause before the second sending; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// New in the ledger.
    Created,
    /// Recorded before with the same content.
    Unchanged,
    /// Not recorded, and why.
    Refused(String),
}

/// An entry that proves that something was recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Mark {
    /// Its position.
    pub position: u64,
    /// Its hash.
    pub hash: String,
}

/// What became of a batch, in its order.
#[derive(Debug, Default)]
pub struct Answers {
    pub recorded: Vec<Recorded>,
    /// The entry at the highest position among the receipts.
    pub mark: Option<Mark>,
}

impl Answers {
    fn add(&mut self, recorded: Recorded, mark: Option<Mark>) {
        self.recorded.push(recorded);
        if let Some(mark) = mark
            && self.mark.as_ref().is_none_or(|last| last.position < mark.position)
        {
            self.mark = Some(mark);
        }
    }
}

/// Where transactions go. Cheap to clone.
#[derive(Clone)]
pub enum Target {
    /// This process appends.
    Ledger { commands: Commands<Transaction>, source: &'static str },
    /// A server does.
    Server {
        client: Client,
        ledger_id: String,
        /// True where it is the server of our own data folder, under whatever address it runs today.
        is_own: bool,
    },
}

impl Target {
    /// How much goes in one batch.
    pub fn batch(&self) -> usize {
        match self {
            Self::Ledger { .. } => 1_000,
            Self::Server { .. } => 5_000,
        }
    }

    /// For people and for the key of a resumed import.
    pub fn describe(&self) -> String {
        match self {
            Self::Ledger { commands, .. } => format!("the {} store directly", commands.ledger().store().kind()),
            Self::Server { client, .. } => format!("the server at {}", client.base()),
        }
    }

    /// Whether the ledger has this entry.
    pub async fn has(&self, mark: &Mark) -> anyhow::Result<bool> {
        match self {
            Self::Ledger { commands, .. } => has_entry(commands.ledger().reader(), mark).await,
            Self::Server { client, ledger_id, .. } => {
                let path = format!("/v1/ledgers/{ledger_id}/entries?from={}&limit=1", mark.position);
                let answer = client.send(client.request(Method::GET, &path)).await;
                // A position beyond the end is an error of the request: the ledger is another one.
                let Ok(answer) = answer else { return Ok(false) };
                let text = answer.text().await.context("the server's answer broke off")?;
                let entry: Value =
                    text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
                Ok(entry.get("hash").and_then(Value::as_str) == Some(mark.hash.as_str()))
            }
        }
    }

    /// Records a batch. An error means that the rest is not known to be recorded; the same batch can be given again.
    pub async fn record(&self, inputs: Vec<TransactionInput>) -> anyhow::Result<Answers> {
        match self {
            Self::Ledger { commands, source } => record_here(commands, source, inputs).await,
            Self::Server { client, .. } => {
                let mut pause = FIRST_PAUSE;
                for _ in 1..SENDS {
                    match send(client, &inputs).await {
                        Ok(answers) => return Ok(answers),
                        Err(error) if is_passing(&error) => {
                            tracing::debug!(%error, "a batch is sent again");
                            tokio::time::sleep(pause).await;
                            pause *= 2;
                        }
                        Err(error) => return Err(error),
                    }
                }
                send(client, &inputs).await
            }
        }
    }
}

/// Whether the ledger has the entry that the mark names.
pub async fn has_entry(reader: &LedgerReader, mark: &Mark) -> anyhow::Result<bool> {
    let entries = reader.entries(mark.position, 1).await.context("the ledger cannot be read")?;
    Ok(entries.first().is_some_and(|entry| entry.position == mark.position && entry.hash.to_string() == mark.hash))
}

async fn record_here(
    commands: &Commands<Transaction>,
    source: &str,
    inputs: Vec<TransactionInput>,
) -> anyhow::Result<Answers> {
    let received_at = now()?;
    let line = Line::parse("", source).map_err(|error| anyhow!("{error}"))?;
    let context = CommandContext::new(Actor::system(source));
    let records: Vec<_> = inputs.iter().map(|input| input.record(received_at, &line)).collect();
    let batch = records
        .iter()
        .flatten()
        .map(|record| {
            let command = TransactionCommand::Record(Box::new(record.clone()));
            (record.transaction_id.to_string(), command, context.clone())
        })
        .collect();
    let mut results = commands.execute_many(batch).await.into_iter();
    let mut answers = Answers::default();
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(why) => {
                answers.add(Recorded::Refused(why), None);
                continue;
            }
        };
        let result = match results.next() {
            // The same id twice in batches under way, or somebody else: decided again on what is there now.
            Some(Err(CommandError::Conflict { .. })) | None => {
                let id = record.transaction_id.to_string();
                let command = TransactionCommand::Record(Box::new(record));
                commands.execute_with_retry(&id, command, context.clone(), TRIES).await
            }
            Some(result) => result,
        };
        let (recorded, mark) = outcome(result)?;
        answers.add(recorded, mark);
    }
    Ok(answers)
}

fn outcome(result: CommandResult<Transaction>) -> anyhow::Result<(Recorded, Option<Mark>)> {
    match result {
        Ok(outcome) => {
            let recorded = if outcome.created { Recorded::Created } else { Recorded::Unchanged };
            let mark = Mark { position: outcome.receipt.position, hash: outcome.receipt.hash.to_string() };
            Ok((recorded, Some(mark)))
        }
        Err(CommandError::Refused(refusal)) => Ok((Recorded::Refused(refusal.to_string()), None)),
        Err(CommandError::Invalid(invalid)) => Ok((Recorded::Refused(invalid.to_string()), None)),
        Err(error) => Err(anyhow!("{error}").context("the ledger does not take more transactions")),
    }
}

#[derive(Deserialize)]
struct ItemLine {
    status: Option<String>,
    receipt: Option<Mark>,
    problem: Option<ProblemLine>,
    summary: Option<SummaryLine>,
}

#[derive(Deserialize)]
struct ProblemLine {
    #[serde(default)]
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldLine>,
}

#[derive(Deserialize)]
struct FieldLine {
    pointer: String,
    detail: String,
}

#[derive(Deserialize)]
struct SummaryLine {
    complete: bool,
}

/// The batch did not go through this time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Passing(String);

fn is_passing(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Passing>()
            || cause.downcast_ref::<reqwest::Error>().is_some_and(|error| {
                // The last two are connections that were reset while the batch was on its way.
                error.is_connect() || error.is_timeout() || error.is_request() || error.is_body()
            })
    })
}

async fn send(client: &Client, inputs: &[TransactionInput]) -> anyhow::Result<Answers> {
    let mut body = Vec::with_capacity(inputs.len() * 256);
    for input in inputs {
        serde_json::to_writer(&mut body, input).context("a row cannot be written as JSON")?;
        body.push(b'\n');
    }
    let request = client.request(Method::POST, "/v1/transactions/batch");
    let request = request.header("content-type", "application/x-ndjson").body(body);
    let answer = request.send().await.with_context(|| format!("cannot reach the server at {}", client.base()))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| Passing(format!("the server's answer broke off: {error}")))?;
    match status {
        200 => read_answers(&text, inputs.len()),
        429 | 502..=504 => Err(Passing(format!("the server answered {status}")).into()),
        _ => {
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no explanation");
            bail!("the server at {} answered {status}: {detail}", client.base());
        }
    }
}

fn read_answers(text: &str, expected: usize) -> anyhow::Result<Answers> {
    let mut answers = Answers::default();
    let mut complete = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let item: ItemLine = serde_json::from_str(line).context("the server's answer is not as expected")?;
        if let Some(summary) = item.summary {
            complete = summary.complete;
            continue;
        }
        let recorded = match (item.status.as_deref(), item.problem) {
            (Some("created"), _) => Recorded::Created,
            (Some("unchanged"), _) => Recorded::Unchanged,
            (_, Some(problem)) if PASSING_CODES.contains(&problem.code.as_str()) => {
                return Err(Passing(format!("the server does not take all rows now: {}", problem.detail)).into());
            }
            (_, Some(problem)) if problem.code == FAULT_CODE => {
                bail!("the server failed at a row: {}", problem.detail);
            }
            (_, Some(problem)) => {
                let fields: Vec<String> =
                    problem.errors.iter().map(|field| format!("{}: {}", field.pointer, field.detail)).collect();
                let why = if fields.is_empty() { problem.detail } else { fields.join("; ") };
                Recorded::Refused(why)
            }
            _ => bail!("the server's answer is not as expected: {line}"),
        };
        answers.add(recorded, item.receipt);
    }
    if !complete || answers.recorded.len() != expected {
        return Err(Passing(format!("the server answered {} of {expected} rows", answers.recorded.len())).into());
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    const CREATED: &str = r#"{"line":1,"status":"created","receipt":{"ledger_id":"main","position":7,"hash":"ab"}}"#;
    const REFUSED: &str = r#"{"line":2,"status":"refused","problem":{"code":"x","detail":"no","errors":[{"pointer":"/amount","detail":"bad"}]}}"#;

    #[test]
    fn answers_of_a_batch_are_read() {
        let text = format!("{CREATED}\n{REFUSED}\n{{\"summary\":{{\"lines\":2,\"complete\":true}}}}\n");
        let answers = read_answers(&text, 2).unwrap();
        assert_eq!(answers.recorded, [Recorded::Created, Recorded::Refused("/amount: bad".to_owned())]);
        assert_eq!(answers.mark.unwrap().position, 7);
    }

    #[test]
    fn answer_that_broke_off_is_asked_for_again() {
        let error = read_answers(&format!("{CREATED}\n"), 2).unwrap_err();
        assert!(is_passing(&error));
    }

    fn answer_with(code: &str) -> anyhow::Result<Answers> {
        let refused = REFUSED.replace(r#""code":"x""#, &format!(r#""code":"{code}""#));
        read_answers(&format!("{CREATED}\n{refused}\n{{\"summary\":{{\"complete\":true}}}}\n"), 2)
    }

    #[test]
    fn row_that_the_server_could_not_take_now_is_not_a_refused_row() {
        for code in PASSING_CODES {
            assert!(is_passing(&answer_with(code).unwrap_err()), "{code}");
        }
    }

    #[test]
    fn fault_of_the_server_ends_the_import_and_is_not_sent_again() {
        assert!(!is_passing(&answer_with("internal.error").unwrap_err()));
    }

    #[test]
    fn row_that_contradicts_the_ledger_is_refused_for_good() {
        let recorded = answer_with("transaction.conflict").unwrap().recorded;
        assert_eq!(recorded, [Recorded::Created, Recorded::Refused("/amount: bad".to_owned())]);
    }

    #[test]
    fn problem_without_a_code_is_a_refused_row() {
        let refused = REFUSED.replace(r#""code":"x","#, "");
        let text = format!("{CREATED}\n{refused}\n{{\"summary\":{{\"complete\":true}}}}\n");
        assert!(matches!(read_answers(&text, 2).unwrap().recorded.last(), Some(Recorded::Refused(_))));
    }

    /// A server that reads something of a request and closes the connection, as often as there is one.
    async fn server_that_hangs_up() -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut some = [0; 16];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut some).await;
            }
        });
        Client::new(&format!("http://{address}"), None).unwrap()
    }

    #[tokio::test]
    async fn connection_that_breaks_while_sending_is_a_reason_to_send_again() {
        let inputs = vec![TransactionInput::default(); 2_000];
        let error = send(&server_that_hangs_up().await, &inputs).await.unwrap_err();
        assert!(is_passing(&error), "{error:?}");
    }
}
