//! `daybook retention`: how long records are kept, and what is said of one record.

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::commands::remote::{Remote, object, segment, with_detail, word};
use crate::settings::Settings;

/// See and set how long records are kept
///
///   daybook retention list
///   daybook retention set transaction --class six_years --reason "records under 17a-4(a)"
///   daybook retention set transaction --class six_years --years 10 --keep-identities --reason "…"
///   daybook retention of transaction/tx-1001
///
/// A rule is set once somebody else has approved it, and the same command is given again
/// then. It can only ever keep for longer: nobody shortens it, with no approval.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show the rules
    List(Remote),
    /// Keep records of a type for longer
    Set(Set),
    /// Show until when a record is kept, and which holds cover it
    Of(Of),
}

/// Which records, for how long, and why.
#[derive(Debug, Args)]
pub struct Set {
    /// The type of the records: transaction, incident, approval, export, user…
    record_type: String,
    /// Under which law: three_years, five_years, six_years or seven_years
    #[arg(long)]
    class: String,
    /// How many years after its last entry a record is kept [default: as many as the class says]
    #[arg(long)]
    years: Option<u32>,
    /// Whoever made an entry of such a record stays known for as many years after it
    #[arg(long)]
    keep_identities: bool,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which record.
#[derive(Debug, Args)]
pub struct Of {
    /// The record, as <type>/<id>: incident/inc_…, transaction/…
    #[arg(value_name = "TYPE/ID")]
    record: String,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 6] = [
    ("records", "/record_type"),
    ("years", "/years"),
    ("class", "/class"),
    ("keeps identities", "/keeps_identities"),
    ("version", "/rule_version"),
    ("since", "/set_at"),
];

const FIELDS: [(&str, &str); 7] = [
    ("last entry", "/last_entry_at"),
    ("rule", "/rule/class"),
    ("years", "/rule/years"),
    ("kept until", "/keep_until"),
    ("holds", "/holds"),
    ("named in", "/retained"),
    ("may be disposed of", "/may_be_disposed_of"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::List(remote) => {
            let session = remote.session(settings).await?;
            let retention = session.get("/v1/retention").await?;
            let rules = retention.pointer("/rules").and_then(Value::as_array).cloned().unwrap_or_default();
            session.show_list(&rules, &COLUMNS)?;
        }
        Arguments::Set(set) => {
            let session = set.remote.session(settings).await?;
            let body = object(&[
                ("class", Some(json!(set.class))),
                ("years", set.years.map(Value::from)),
                ("keeps_identities", Some(json!(set.keep_identities))),
                ("reason", Some(json!(set.reason))),
            ]);
            let path = format!("/v1/retention/{}", segment(&set.record_type));
            let answer = session.send(Method::PUT, &path, &body).await?;
            session.show(&answer, |answer| told(answer, &set.record_type))?;
        }
        Arguments::Of(of) => {
            let (stream_type, stream_id) =
                of.record.split_once('/').with_context(|| format!("{:?} is not of the form type/id", of.record))?;
            let session = of.remote.session(settings).await?;
            let path = format!("/v1/retention/records/{}/{}", segment(stream_type), segment(stream_id));
            session.show_fields(&session.get(&path).await?, &FIELDS)?;
        }
    }
    Ok(Outcome::Good)
}

/// What became of a change: it holds, or it waits for somebody else.
fn told(answer: &Value, record_type: &str) -> String {
    match answer.pointer("/status").and_then(Value::as_str) {
        Some(_) => {
            let approval = word(answer, "/approval_request_id");
            with_detail(&format!("somebody else approves {approval}, then the same command sets the rule"), answer)
        }
        None => format!(
            "records of the type {record_type} are kept for {} years (version {})",
            word(answer, "/years"),
            word(answer, "/rule_version")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_that_waits_is_told_from_one_that_was_made() {
        let waits =
            json!({"detail": "It waits; nobody can decide it", "approval_request_id": "apr_1", "status": "pending"});
        assert_eq!(
            told(&waits, "transaction"),
            "somebody else approves apr_1, then the same command sets the rule\nIt waits; nobody can decide it"
        );
        let made = json!({"record_type": "transaction", "years": 6, "rule_version": 2, "approval_request_id": "apr_1"});
        assert_eq!(told(&made, "transaction"), "records of the type transaction are kept for 6 years (version 2)");
    }
}
