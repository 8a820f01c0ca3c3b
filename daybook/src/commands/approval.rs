//! `daybook approval`: what waits for somebody's decision, deciding it, and who has to decide what.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, Session, object, segment, text, with_detail, word};
use crate::output;
use crate::settings::Settings;

/// Decide approval requests, and say who decides what
///
///   daybook approval inbox                          what you can decide, and why not the rest
///   daybook approval show apr_…
///   daybook approval vote apr_… approve --reason "checked against the ticket"
///   daybook approval policy show export.users
///   daybook approval policy set policy.json --reason "two pairs of eyes"     itself approved first
///   daybook approval delegate --to usr_… --until 2026-12-24T00:00:00Z --reason "out of office"
///   daybook approval break-glass apr_… --reason "regulator on the phone"
///
/// Only people vote: --token (or DAYBOOK_TOKEN) is the access token of a person. Whoever asked
/// for something never decides it, under no role, delegation or second account.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show what waits for a decision: what you can decide, and why not the rest
    Inbox(Remote),
    /// Show approval requests
    List(List),
    /// Show one approval request: what exactly is to be done, and who has decided what
    Show(Which),
    /// Vote on an approval request
    Vote(Vote),
    /// Ask for an approval by hand, for something outside of Daybook
    Request(Request),
    /// Show or change who decides what
    #[command(subcommand)]
    Policy(Policy),
    /// Let somebody else decide for you, for a time
    Delegate(Delegate),
    /// Accept a delegation that somebody gave you: it has effect from then on
    AcceptDelegation(AcceptDelegation),
    /// Grant a request without the votes it needs: loud, reasoned, and reviewed afterwards
    BreakGlass(BreakGlass),
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this status: draft, pending, approved, rejected, withdrawn, expired, consumed or voided
    #[arg(long)]
    status: Option<String>,
    /// Only those for this action, such as export.users
    #[arg(long)]
    action: Option<String>,
    /// Only those that this person or key asked for
    #[arg(long, value_name = "USER")]
    requested_by: Option<String>,
    /// Only those that are late
    #[arg(long)]
    overdue: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Which {
    /// Id of the request (apr_…)
    approval: String,
    #[command(flatten)]
    remote: Remote,
}

/// What somebody says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// Let it be done
    Approve,
    /// Do not let it be done
    Reject,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// Which request, and what is said to it.
#[derive(Debug, Args)]
pub struct Vote {
    /// Id of the request (apr_…)
    approval: String,
    /// What you say to it
    #[arg(value_enum)]
    decision: Decision,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// Vote for this person, who has delegated to you
    #[arg(long, value_name = "USER")]
    on_behalf_of: Option<String>,
    /// Refuse to vote if the request was edited since this revision
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

/// What somebody wants to do.
#[derive(Debug, Args)]
pub struct Request {
    /// What kind of thing it is about, such as wire_transfer
    resource_type: String,
    /// Which one
    resource_id: String,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// What is done to policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Show the policies, or the one of an action
    Show(PolicyShow),
    /// Put a policy in force, once somebody else has approved it
    Set(PolicySet),
}

/// Which one.
#[derive(Debug, Args)]
pub struct PolicyShow {
    /// The action, such as export.users [default: all]
    action: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, and what it is to say.
#[derive(Debug, Args)]
pub struct PolicySet {
    /// The policy as JSON, as `policy show --json ACTION` prints it
    file: PathBuf,
    /// The action it is for [default: the one that the file names]
    #[arg(long)]
    action: Option<String>,
    /// Why [default: the reason in the file]
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// To whom, and for how long.
#[derive(Debug, Args)]
pub struct Delegate {
    /// Who decides instead (usr_…)
    #[arg(long, value_name = "USER")]
    to: String,
    /// From when on (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until then (RFC 3339), at most 366 days
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Only for these actions [default: all]
    #[arg(long = "action", value_name = "ACTION", value_delimiter = ',')]
    actions: Vec<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which delegation.
#[derive(Debug, Args)]
pub struct AcceptDelegation {
    /// Id of the delegation
    delegation: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which request, and why it cannot wait.
#[derive(Debug, Args)]
pub struct BreakGlass {
    /// Id of the request (apr_…)
    approval: String,
    /// Why it cannot wait; others review it
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Items of an inbox that are asked for at once.
const PAGE: usize = 200;

const LIST_COLUMNS: [(&str, &str); 6] = [
    ("approval", "/approval_id"),
    ("action", "/action"),
    ("what", "/summary"),
    ("status", "/status"),
    ("requested by", "/requested_by"),
    ("decide by", "/decide_by"),
];

const FIELDS: [(&str, &str); 14] = [
    ("approval", "/approval_id"),
    ("what", "/summary"),
    ("action", "/action"),
    ("about", "/resource_id"),
    ("parameters", "/parameters"),
    ("changes", "/changes"),
    ("digest", "/digest"),
    ("revision", "/revision"),
    ("status", "/status"),
    ("requested by", "/requested_by"),
    ("reason", "/reason"),
    ("votes", "/votes"),
    ("still needed", "/still_needed"),
    ("decide by", "/decide_by"),
];

const POLICY_COLUMNS: [(&str, &str); 3] =
    [("action", "/action"), ("version", "/policy_version"), ("built in", "/is_built_in")];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Inbox(remote) => {
            let session = remote.session(settings).await?;
            let items = whole_inbox(&session).await?;
            if settings.json { session.show_list(&items, &[])? } else { output::line(inbox(&items))? }
        }
        Arguments::List(list) => {
            let session = list.remote.session(settings).await?;
            let overdue = list.overdue.then(|| "true".to_owned());
            let given = [
                ("status", list.status),
                ("action", list.action),
                ("requested_by", list.requested_by),
                ("overdue", overdue),
            ];
            let parameters: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            session.show_list(&session.all("/v1/approvals", &parameters).await?, &LIST_COLUMNS)?;
        }
        Arguments::Show(which) => {
            let session = which.remote.session(settings).await?;
            session.show_fields(&session.get(&path(&which.approval, "")).await?, &FIELDS)?;
        }
        Arguments::Vote(vote) => {
            let session = vote.remote.session(settings).await?;
            let body = object(&[
                ("decision", Some(json!(vote.decision.as_str()))),
                ("reason", vote.reason.map(Into::into)),
                ("on_behalf_of", vote.on_behalf_of.map(Into::into)),
                ("revision", vote.revision.map(Into::into)),
            ]);
            let answer = session.send(Method::POST, &path(&vote.approval, "/vote"), &body).await?;
            now_is(&session, &answer, &vote.approval)?;
        }
        Arguments::Request(asked) => {
            let session = asked.remote.session(settings).await?;
            let body = json!({
                "resource_type": asked.resource_type,
                "resource_id": asked.resource_id,
                "reason": asked.reason,
            });
            let answer = session.send(Method::POST, "/v1/approvals", &body).await?;
            recorded(&session, &answer, &format!("{} is asked for", word(&answer, "/approval_id")))?;
        }
        Arguments::Policy(Policy::Show(show)) => show_policy(settings, show).await?,
        Arguments::Policy(Policy::Set(set)) => set_policy(settings, set).await?,
        Arguments::Delegate(delegate) => {
            let session = delegate.remote.session(settings).await?;
            let body = object(&[
                ("to", Some(json!(delegate.to))),
                ("starts_at", delegate.since.map(Into::into)),
                ("ends_at", Some(json!(delegate.until))),
                ("actions", (!delegate.actions.is_empty()).then(|| json!(delegate.actions))),
                ("reason", delegate.reason.map(Into::into)),
            ]);
            let answer = session.send(Method::POST, "/v1/delegations", &body).await?;
            let given = format!("{} has effect once {} accepts it", word(&answer, "/delegation_id"), delegate.to);
            recorded(&session, &answer, &given)?;
        }
        Arguments::AcceptDelegation(accepted) => {
            let session = accepted.remote.session(settings).await?;
            let path = format!("/v1/delegations/{}/accept", segment(&accepted.delegation));
            let answer = session.send(Method::POST, &path, &json!({})).await?;
            recorded(&session, &answer, &format!("{} has effect now", accepted.delegation))?;
        }
        Arguments::BreakGlass(asked) => {
            let session = asked.remote.session(settings).await?;
            let body = json!({ "reason": asked.reason });
            let answer = session.send(Method::POST, &path(&asked.approval, "/break-glass"), &body).await?;
            now_is(&session, &answer, &asked.approval)?;
        }
    }
    Ok(Outcome::Good)
}

fn now_is(session: &Session, answer: &Value, approval: &str) -> anyhow::Result<()> {
    recorded(session, answer, &format!("{approval} is {}", word(answer, "/status")))
}

/// Everything that waits for somebody, what the caller cannot decide included.
async fn whole_inbox(session: &Session) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    loop {
        let path = format!("/v1/approvals/inbox?include=others&limit={PAGE}&offset={}", items.len());
        let answer = session.get(&path).await?;
        let page = answer.pointer("/items").and_then(Value::as_array).context("the server's answer has no items")?;
        items.extend(page.iter().cloned());
        let total = answer.pointer("/total").and_then(Value::as_u64).unwrap_or(0);
        if page.is_empty() || u64::try_from(items.len()).unwrap_or(u64::MAX) >= total {
            return Ok(items);
        }
    }
}

/// What waits: first what the caller can decide, then the rest and what stands against it.
fn inbox(items: &[Value]) -> String {
    let can = |item: &Value| item.pointer("/is_eligible").and_then(Value::as_bool).unwrap_or(false);
    let row = |item: &Value, last: &str| {
        let pointers = [
            "/approval/approval_id",
            "/kind",
            "/approval/action",
            "/approval/summary",
            "/approval/requested_by",
            "/due",
            last,
        ];
        pointers.map(|pointer| word(item, pointer)).to_vec()
    };
    let heading = |last: &str| {
        ["approval", "wanted", "action", "what", "requested by", "until", last].map(str::to_owned).to_vec()
    };
    let table = |wanted: bool, title: &str, name: &str, last: &str| {
        let rows: Vec<_> = items.iter().filter(|item| can(item) == wanted).map(|item| row(item, last)).collect();
        match rows.is_empty() {
            true => None,
            false => Some(format!("{title}\n{}", output::table(&[vec![heading(name)], rows].concat()))),
        }
    };
    let parts = [
        table(true, "You can decide:", "step", "/step"),
        table(false, "You cannot decide:", "because", "/reason/detail"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing waits for a decision".to_owned() } else { parts.join("\n\n") }
}

async fn show_policy(settings: &Settings, show: PolicyShow) -> anyhow::Result<()> {
    let session = show.remote.session(settings).await?;
    let Some(action) = show.action else {
        let answer = session.get("/v1/approval-policies").await?;
        let items = answer.pointer("/items").and_then(Value::as_array).context("the server's answer has no items")?;
        return session.show_list(items, &POLICY_COLUMNS);
    };
    let policy = session.get(&policy_path(&action)).await?;
    session.show(&policy, described)
}

/// A policy for people: a line an action and version, then its rules member by member.
fn described(policy: &Value) -> String {
    let mut lines = vec![format!("{} (version {})", word(policy, "/action"), word(policy, "/policy_version"))];
    for rule in policy.pointer("/rules").and_then(Value::as_array).into_iter().flatten() {
        lines.push("rule".to_owned());
        for (name, value) in rule.as_object().into_iter().flatten() {
            lines.push(format!("  {name}: {}", text(Some(value))));
        }
    }
    lines.join("\n")
}

async fn set_policy(settings: &Settings, set: PolicySet) -> anyhow::Result<()> {
    let (action, mut policy) = read_policy(&set.file, set.action)?;
    if let Some(reason) = set.reason {
        policy.insert("reason".to_owned(), reason.into());
    }
    ensure!(policy.contains_key("reason"), "say why with --reason, or in the file");
    let session = set.remote.session(settings).await?;
    let answer = session.send(Method::PUT, &policy_path(&action), &Value::Object(policy)).await?;
    session.show(&answer, |answer| match answer.pointer("/approval_request_id").and_then(Value::as_str) {
        Some(approval) => {
            let said = format!("somebody else approves {approval}, then the same command puts the policy in force");
            with_detail(&said, answer)
        }
        None => format!("the policy of {action} is in force (version {})", word(answer, "/policy_version")),
    })
}

/// The action and the policy for it. What `policy show` prints besides the policy is taken out: the action is named by the
/// path, and versions are counted by the server.
fn read_policy(file: &Path, action: Option<String>) -> anyhow::Result<(String, Map<String, Value>)> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let policy: Value = serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", file.display()))?;
    let Value::Object(mut policy) = policy else { anyhow::bail!("{} is not a JSON object", file.display()) };
    let named = policy.remove("action").and_then(|named| named.as_str().map(str::to_owned));
    for shown in ["resource_type", "policy_version", "is_built_in", "versions", "versions_total"] {
        policy.remove(shown);
    }
    if let (Some(action), Some(named)) = (&action, &named) {
        ensure!(action == named, "--action says {action}, {} says {named}", file.display());
    }
    let action =
        action.or(named).with_context(|| format!("{} names no action: say it with --action", file.display()))?;
    Ok((action, policy))
}

fn policy_path(action: &str) -> String {
    format!("/v1/approval-policies/{}", segment(action))
}

fn path(approval: &str, rest: &str) -> String {
    format!("/v1/approvals/{}{rest}", segment(approval))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn inbox_says_what_can_be_decided_and_why_not_the_rest() {
        let items = [
            json!({"approval": {"approval_id": "apr_1"}, "is_eligible": true, "step": 1}),
            json!({"approval": {"approval_id": "apr_2"}, "is_eligible": false, "reason": {"detail": "you asked for it"}}),
        ];
        let text = inbox(&items);
        let (first, second) = text.split_once("You cannot decide:").unwrap();
        assert!(first.contains("apr_1") && !first.contains("apr_2"), "{text}");
        assert!(second.contains("apr_2") && second.contains("you asked for it"), "{text}");
        assert_eq!(inbox(&[]), "nothing waits for a decision");
    }

    #[test]
    fn policy_file_names_its_action_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.json");
        std::fs::write(&file, r#"{"action":"export.users","policy_version":3,"rules":[]}"#).unwrap();
        let (action, policy) = read_policy(&file, None).unwrap();
        assert_eq!((action.as_str(), Value::Object(policy)), ("export.users", json!({"rules": []})));
        assert!(read_policy(&file, Some("export.users".to_owned())).is_ok());
        assert!(read_policy(&file, Some("erasure.perform".to_owned())).is_err());
        std::fs::write(&file, r#"{"rules":[]}"#).unwrap();
        assert!(read_policy(&file, None).is_err());
        std::fs::write(&file, "[]").unwrap();
        assert!(read_policy(&file, Some("export.users".to_owned())).is_err());
    }
}
