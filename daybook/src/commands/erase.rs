//! `daybook erase`: erasing a person's data: asked for by one, approved by another, then carried out.

use clap::{ArgGroup, Args};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, Session, object, segment, with_detail, word};
use crate::settings::Settings;

/// Erase a person's data, once somebody else has approved it
///
///   daybook erase usr_… --reason "request of 2026-11-20"     asks for it
///   daybook erase --list
///   daybook erase --approve era_…                            by somebody else; then it is done
///   daybook erase --reject era_… --reason "wrong person"
///   daybook erase --perform era_…                            again, where it was cut off
///
/// Destroys the key that the person's name, address and texts are sealed with. Entries stay
/// and still verify; what they say about the person cannot be read by anybody any more. A
/// legal hold on the person, or on a record that tells of them, stands in the way.
///
/// Asking for it opens a request for approval (daybook approval inbox); --approve and --reject
/// are votes on that. They are a person's: they need --token (or DAYBOOK_TOKEN) with the access
/// token of somebody other than whoever asked, who may approve erasures. The operator cannot.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, group(ArgGroup::new("what").required(true)))]
pub struct Arguments {
    /// Id of the person (usr_…)
    #[arg(group = "what", value_name = "SUBJECT", requires = "reason")]
    subject: Option<String>,
    /// Show what was asked for, and what became of it
    #[arg(long, group = "what")]
    list: bool,
    /// Approve this erasure, and carry it out; needs a person's --token
    #[arg(long, group = "what", value_name = "ERASURE")]
    approve: Option<String>,
    /// Reject this erasure
    #[arg(long, group = "what", value_name = "ERASURE", requires = "reason")]
    reject: Option<String>,
    /// Carry out this erasure, which was approved before
    #[arg(long, group = "what", value_name = "ERASURE")]
    perform: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 5] = [
    ("erasure", "/id"),
    ("subject", "/subject"),
    ("status", "/status"),
    ("requested by", "/requested_by"),
    ("requested", "/requested_at"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let Arguments { subject, list, approve, reject, perform, reason, remote } = arguments;
    let session = remote.session(settings).await?;
    if list {
        let items = session.all("/v1/erasures", &[]).await?;
        session.show_list(&items, &COLUMNS)?;
        return Ok(Outcome::Good);
    }
    if let Some(subject) = subject {
        let body = object(&[("subject", Some(json!(subject))), ("reason", reason.clone().map(Into::into))]);
        let answer = session.send(Method::POST, "/v1/erasures", &body).await?;
        let id = word(&answer, "/id");
        let said = format!("{id} is asked for; somebody else approves it: daybook erase --approve {id}");
        recorded(&session, &answer, &said)?;
    }
    let reason = object(&[("reason", reason.map(Into::into))]);
    if let Some(id) = approve {
        let answer = session.send(Method::POST, &path(&id, "/approve"), &reason).await?;
        performed(&session, &answer, &id)?;
    }
    if let Some(id) = reject {
        let answer = session.send(Method::POST, &path(&id, "/reject"), &reason).await?;
        let said = match answer.pointer("/erasure") {
            Some(_) => {
                let approval = word(&answer, "/approval_request_id");
                with_detail(&format!("the vote counts; others have to vote on {approval} as well"), &answer)
            }
            None => format!("{id} is rejected"),
        };
        recorded(&session, &answer, &said)?;
    }
    if let Some(id) = perform {
        let answer = session.send(Method::POST, &path(&id, "/perform"), &Value::Null).await?;
        performed(&session, &answer, &id)?;
    }
    Ok(Outcome::Good)
}

fn performed(session: &Session, answer: &Value, id: &str) -> anyhow::Result<()> {
    if let Some(approval) = answer.pointer("/approval_request_id").and_then(Value::as_str)
        && answer.pointer("/erasure").is_some()
    {
        let said = format!("the vote counts; others have to vote on {approval} as well");
        return recorded(session, answer, &with_detail(&said, answer));
    }
    recorded(session, answer, &format!("{id} is carried out: the person's data cannot be read any more"))
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/erasures/{}{rest}", segment(id))
}
