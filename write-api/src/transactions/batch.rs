//! Many transactions in one request, read and answered as a stream in constant memory.
//!
//! Reading, recording and answering run beside each other. Answers wait in a bounded queue for a client that sends
//! everything before it reads anything; when the queue is full, reading waits. A client that goes away ends the batch
//! after the chunk that is being recorded.

use std::time::Duration;

use actix_web::http::header::CONTENT_ENCODING;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use daybook_domain::Transaction;
use daybook_domain::transaction::{Record, TransactionCommand};
use daybook_http_kit::command_error::IDEMPOTENCY_MISMATCH;
use daybook_http_kit::openapi::BulkHeaders;
use daybook_http_kit::permission::TransactionCreate;
use daybook_http_kit::{Allowed, CommandRequest, FieldError, NoQuery, Principal, Problem, Scoped, json, new_id};
use daybook_ledger::commands::{CommandContext, CommandError, CommandResult, Commands, Outcome};
use daybook_ledger::store::StoreError;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;
use utoipa::ToSchema;

use super::body::RecordBody;
use crate::problems::refusal;
use crate::splitter::{Item, MAX_ITEM_BYTES, Separation, Splitter};
use crate::state::{TRIES, WriteState};
use daybook_http_kit::answer::ReceiptView;

/// Most characters of an id that is repeated in a refusal.
const MAX_ID_CHARACTERS: usize = 200;
/// Command ids that are looked up beside each other.
const LOOKUPS_AT_ONCE: usize = 8;
/// Items that are recorded together.
const CHUNK: usize = 500;
/// Chunks of answers that may wait for the client.
const WAITING_CHUNKS: usize = 128;
/// A client that pauses this long is answered what it has sent.
const PAUSE: Duration = Duration::from_millis(50);
/// A client that pauses this long has gone.
const SILENCE: Duration = Duration::from_secs(60);

/// What became of one item.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemAnswer {
    /// Number of the line, or of the element of the array, from 1.
    pub line: u64,
    /// `created`, `unchanged` or `refused`.
    #[schema(example = "created")]
    pub status: &'static str,
    /// The transaction's id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// Proof that it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
    /// True where this is the answer to an earlier batch with the same `Idempotency-Key`.
    #[serde(skip_serializing_if = "is_false")]
    pub replayed: bool,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ItemProblem>,
}

/// Why an item was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemProblem {
    /// Stable dotted code.
    pub code: String,
    /// In words.
    pub detail: String,
    /// What exactly is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// The last line.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryLine {
    /// The figures.
    pub summary: Summary,
}

/// How the batch went.
#[derive(Debug, Default, Clone, Serialize, ToSchema)]
pub struct Summary {
    /// Items answered.
    pub lines: u64,
    /// Newly recorded.
    pub created: u64,
    /// Recorded before with the same content.
    pub unchanged: u64,
    /// Refused.
    pub refused: u64,
    /// False where the body broke off, could not be told apart, or is another one than the `Idempotency-Key` stands
    /// for; the last refused line says why.
    pub complete: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl From<Problem> for ItemProblem {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code().to_owned(), detail: problem.detail().to_owned(), errors: problem.errors().to_vec() }
    }
}

/// Record many transactions
///
/// Reads NDJSON or a JSON array of any length as a stream, and answers one NDJSON line an item, in order, as they are
/// recorded; the last line is `{"summary": {…}}`. An item that is refused does not stop the others. An item has at most
/// 256 KiB. With an `Idempotency-Key` the whole batch can be repeated; the first line that differs from the line of the
/// same number then is refused with `request.idempotency_mismatch` and ends the batch, with `complete: false`. Clients that send everything before they read
/// get their answers as long as those have room in a queue of 64,000 items; larger batches read while they send.
#[utoipa::path(
    post, path = "/v1/transactions/batch", tag = "transactions", operation_id = "record_transactions",
    params(BulkHeaders),
    request_body(content(
        (RecordBody = "application/x-ndjson"), (RecordBody = "application/jsonl"), (Vec<RecordBody> = "application/json")
    )),
    responses(
        (status = 200, description = "One line an item, and the summary.", content_type = "application/x-ndjson",
            body = ItemAnswer),
        (status = 400, description = "A header cannot be read.", body = Problem,
            content_type = "application/problem+json"),
        (status = 401, description = "Nobody known is asking.", body = Problem,
            content_type = "application/problem+json"),
        (status = 403, description = "The caller lacks the permission.", body = Problem,
            content_type = "application/problem+json"),
        (status = 415, description = "Neither NDJSON nor a JSON array.", body = Problem,
            content_type = "application/problem+json"),
        (status = 429, description = "Too many requests.", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub async fn record_batch(
    caller: Allowed<TransactionCreate>,
    command: CommandRequest,
    _: NoQuery,
    request: HttpRequest,
    state: Scoped<WriteState>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    command.refuse_if_match()?;
    json::check_content_encoding(&request)?;
    let separation = match json::media_type(&request).as_deref() {
        Some("application/x-ndjson" | "application/jsonl" | "application/ndjson") => Separation::Lines,
        Some("application/json") => Separation::Array,
        _ => {
            return Err(Problem::unsupported_media_type("application/x-ndjson, application/jsonl or application/json"));
        }
    };
    let (answers, waiting) = mpsc::channel(WAITING_CHUNKS);
    let batch = Batch {
        state: WriteState::clone(&state),
        principal: caller.principal().clone(),
        command: command.clone(),
        answers,
        summary: Summary::default(),
        recording: None,
        is_another: false,
    };
    let context = command.request().clone();
    actix_web::rt::spawn(async move { context.scope(batch.run(payload, separation)).await }.in_current_span());
    let lines = futures::stream::unfold(waiting, |mut waiting| async move {
        waiting.recv().await.map(|lines: Bytes| (Ok::<_, actix_web::Error>(lines), waiting))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        // Compression would hold lines back.
        .insert_header((CONTENT_ENCODING, "identity"))
        .streaming(lines))
}

/// The client has gone.
struct Gone;

struct Batch {
    state: WriteState,
    principal: Principal,
    command: CommandRequest,
    answers: mpsc::Sender<Bytes>,
    summary: Summary,
    /// The chunk that is being recorded. A task of its own: it ends even if the client goes away.
    recording: Option<JoinHandle<(Vec<ItemAnswer>, bool)>>,
    /// True once a line differed from what its key stands for.
    is_another: bool,
}

/// How reading ended.
enum Ending {
    Complete,
    /// The stream is not what it should be.
    Broken(Problem),
    /// The key was used before for another batch. The line that differs has been answered.
    AnotherBatch,
}

impl Batch {
    async fn run(mut self, mut payload: web::Payload, separation: Separation) {
        let mut splitter = Splitter::new(separation);
        let read = self.read(&mut payload, &mut splitter).await;
        let Ok(read) = read else {
            tracing::info!(lines = self.summary.lines, "the client of a batch went away");
            return;
        };
        self.summary.complete = matches!(read, Ending::Complete);
        if let Ending::Broken(problem) = read
            && self.answer(vec![refused(splitter.number(), None, problem)]).await.is_err()
        {
            return;
        }
        let line = SummaryLine { summary: self.summary.clone() };
        // Nobody is left to hear of a client that does not.
        let _ = self.answers.send(ndjson(&[line])).await;
    }

    /// Reads to the end, or to where it makes no sense to go on.
    async fn read(&mut self, payload: &mut web::Payload, splitter: &mut Splitter) -> Result<Ending, Gone> {
        let mut found = Vec::new();
        let mut silence = Duration::ZERO;
        let fault = loop {
            if self.is_another {
                return Ok(Ending::AnotherBatch);
            }
            match tokio::time::timeout(PAUSE, payload.next()).await {
                Err(_) if silence >= SILENCE => {
                    break Some(Problem::new(408, "request.timeout", "the body took too long to arrive"));
                }
                Err(_) => {
                    silence += PAUSE;
                    self.record(std::mem::take(&mut found)).await?;
                    self.settle().await?;
                }
                Ok(Some(Ok(bytes))) => {
                    silence = Duration::ZERO;
                    let split = splitter.feed(&bytes, &mut found);
                    while found.len() >= CHUNK {
                        let rest = found.split_off(CHUNK);
                        self.record(std::mem::replace(&mut found, rest)).await?;
                    }
                    if let Err(broken) = split {
                        break Some(Problem::bad_request("request.malformed", broken.to_string()));
                    }
                }
                Ok(Some(Err(error))) => break Some(json::payload_problem(&error)),
                Ok(None) => {
                    let ended = splitter.finish(&mut found);
                    break ended.err().map(|broken| Problem::bad_request("request.malformed", broken.to_string()));
                }
            }
        };
        self.record(found).await?;
        self.settle().await?;
        Ok(match fault {
            _ if self.is_another => Ending::AnotherBatch,
            None => Ending::Complete,
            Some(problem) => Ending::Broken(problem),
        })
    }

    /// Waits for the chunk before, then starts recording this one.
    async fn record(&mut self, items: Vec<Item>) -> Result<(), Gone> {
        if items.is_empty() {
            return Ok(());
        }
        self.settle().await?;
        if self.is_another {
            return Ok(());
        }
        let plans = items.into_iter().map(|item| self.plan(item)).collect();
        self.recording = Some(tokio::spawn(record_chunk(self.state.transactions.clone(), plans).in_current_span()));
        Ok(())
    }

    /// Waits for the chunk that is being recorded and answers it.
    async fn settle(&mut self) -> Result<(), Gone> {
        let Some(recording) = self.recording.take() else {
            return if self.answers.is_closed() { Err(Gone) } else { Ok(()) };
        };
        match recording.await {
            Ok((answers, is_another)) => {
                self.is_another = is_another;
                self.answer(answers).await
            }
            Err(error) => {
                tracing::error!(%error, "a chunk of a batch failed");
                Err(Gone)
            }
        }
    }

    async fn answer(&mut self, answers: Vec<ItemAnswer>) -> Result<(), Gone> {
        for answer in &answers {
            self.summary.lines += 1;
            match answer.status {
                "created" => self.summary.created += 1,
                "unchanged" => self.summary.unchanged += 1,
                _ => self.summary.refused += 1,
            }
        }
        self.answers.send(ndjson(&answers)).await.map_err(|_| Gone)
    }

    fn plan(&self, item: Item) -> Plan {
        let Some(bytes) = item.bytes else {
            return Plan::Refused(refused(item.number, None, Problem::too_large(MAX_ITEM_BYTES)));
        };
        let body = match json::parse::<RecordBody>(&bytes) {
            Ok(body) => body,
            Err(problem) => return Plan::Refused(refused(item.number, id_of(&bytes), problem)),
        };
        let id = body.transaction_id.clone();
        let context = self.command.item_context(&self.principal, &bytes, &item.number.to_string());
        let record = self.state.now().and_then(|received_at| body.command(new_id("txn", &context), received_at));
        match record {
            Ok(record) => Plan::Record(item.number, Box::new((record, context))),
            Err(problem) => Plan::Refused(refused(item.number, id.map(shortened), problem)),
        }
    }
}

/// What is to be done with an item.
enum Plan {
    Record(u64, Box<(Record, CommandContext)>),
    Refused(ItemAnswer),
}

/// Records the items before the first one that differs from what its key stands for. True if there is such an item; its
/// answer is the last one.
async fn record_chunk(transactions: Commands<Transaction>, mut plans: Vec<Plan>) -> (Vec<ItemAnswer>, bool) {
    let refused_at = match first_mismatch(&transactions, &plans).await {
        Ok(place) => place,
        // Nothing can be recorded either: let that say so line by line.
        Err(error) => {
            tracing::warn!(%error, "command ids could not be looked up");
            None
        }
    };
    let Some(place) = refused_at else {
        let answers = record_all(transactions, plans).await;
        let is_another = answers
            .iter()
            .any(|answer| answer.problem.as_ref().is_some_and(|problem| problem.code == IDEMPOTENCY_MISMATCH));
        return (answers, is_another);
    };
    let differing = plans.split_off(place).into_iter().next();
    let mut answers = record_all(transactions, plans).await;
    if let Some(Plan::Record(number, planned)) = differing {
        let id = planned.0.transaction_id.to_string();
        answers.push(item_answer(number, id, Err(CommandError::CommandMismatch)));
    }
    (answers, true)
}

/// The place of the first item whose command id stands for something else.
async fn first_mismatch(transactions: &Commands<Transaction>, plans: &[Plan]) -> Result<Option<usize>, StoreError> {
    let ledger = transactions.ledger();
    let keys = plans.iter().enumerate().filter_map(|(place, plan)| match plan {
        Plan::Record(_, planned) => Some((place, planned.1.command.as_ref()?)),
        Plan::Refused(_) => None,
    });
    let lookups = futures::stream::iter(keys).map(|(place, key)| async move {
        let known = ledger.store().command(ledger.id(), &key.id).await?;
        Ok(known.is_some_and(|known| known.digest != key.digest).then_some(place))
    });
    let mut differing = lookups.buffered(LOOKUPS_AT_ONCE).try_filter_map(|place| async move { Ok(place) }).boxed();
    differing.try_next().await
}

/// Records the items together. One that names a transaction again is decided when the first is in the ledger.
async fn record_all(transactions: Commands<Transaction>, plans: Vec<Plan>) -> Vec<ItemAnswer> {
    let together = plans.iter().filter_map(|plan| match plan {
        Plan::Record(_, planned) => {
            let (id, command) = command(&planned.0);
            Some((id, command, planned.1.clone()))
        }
        Plan::Refused(_) => None,
    });
    let mut results = transactions.execute_many(together.collect()).await.into_iter();
    let mut answers = Vec::with_capacity(plans.len());
    for plan in plans {
        answers.push(match plan {
            Plan::Refused(answer) => answer,
            Plan::Record(number, planned) => {
                let (record, context) = *planned;
                let (id, command) = command(&record);
                let result = match results.next() {
                    // Somebody else recorded it in this moment: perhaps the very same.
                    Some(Err(CommandError::Conflict { .. })) | None => {
                        transactions.execute_with_retry(&id, command, context, TRIES).await
                    }
                    Some(result) => result,
                };
                item_answer(number, id, result)
            }
        });
    }
    answers
}

/// The id of an item that is JSON but not a transaction.
fn id_of(bytes: &[u8]) -> Option<String> {
    let item: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    Some(shortened(item.get("transaction_id")?.as_str()?.to_owned()))
}

/// An id that is too long to be one is not repeated in full.
fn shortened(id: String) -> String {
    id.chars().take(MAX_ID_CHARACTERS).collect()
}

fn command(record: &Record) -> (String, TransactionCommand) {
    (record.transaction_id.to_string(), TransactionCommand::Record(Box::new(record.clone())))
}

fn item_answer(line: u64, id: String, result: CommandResult<Transaction>) -> ItemAnswer {
    match result {
        Ok(Outcome { id, receipt, unchanged, replayed, .. }) => ItemAnswer {
            line,
            status: if unchanged { "unchanged" } else { "created" },
            transaction_id: Some(id),
            receipt: Some(ReceiptView::from(&receipt)),
            replayed,
            problem: None,
        },
        Err(error) => refused(line, Some(id), refusal(error)),
    }
}

fn refused(line: u64, transaction_id: Option<String>, problem: Problem) -> ItemAnswer {
    ItemAnswer {
        line,
        status: "refused",
        transaction_id,
        receipt: None,
        replayed: false,
        problem: Some(ItemProblem::from(problem)),
    }
}

fn ndjson<T: Serialize>(lines: &[T]) -> Bytes {
    let mut text = Vec::with_capacity(lines.len() * 256);
    for line in lines {
        match serde_json::to_vec(line) {
            Ok(json) => {
                text.extend_from_slice(&json);
                text.push(b'\n');
            }
            Err(error) => tracing::error!(%error, "an answer of a batch could not be written"),
        }
    }
    Bytes::from(text)
}
