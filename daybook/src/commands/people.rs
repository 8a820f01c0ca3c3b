//! `daybook people`: who is in an organisation of a running server, and what they may do.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::commands::remote::{Remote, Session, object, segment, word};
use crate::settings::Settings;

/// List and invite people, grant and revoke roles, deactivate accounts
///
///   daybook people owner-link                            a one-time link for the first owner
///   daybook people invite ada@example.com --role analyst
///   daybook people list --status active
///   daybook people grant usr_… auditor --until 2027-03-31T00:00:00Z
///   daybook people revoke usr_… analyst --reason "changed teams"
///   daybook people deactivate usr_… --reason "left"
///
/// Asks the server of the data folder (or of --url). Every change is an entry of the
/// organisation's ledger and takes effect on every process within a second.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show who is in the organisation
    List(List),
    /// Show one person
    Show(Person),
    /// Invite somebody; the link goes by mail, and is printed where there is none
    Invite(Invite),
    /// Give a role
    Grant(Grant),
    /// Take a role back
    Revoke(Revoke),
    /// Lock an account: its sessions end at once
    Deactivate(Change),
    /// Unlock an account
    Reactivate(Change),
    /// Print a one-time link with which an organisation without owner gets one; only the operator can
    OwnerLink(Remote),
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this status: invited, active, deactivated or erased
    #[arg(long)]
    status: Option<String>,
    /// Only those with this role
    #[arg(long)]
    role: Option<String>,
    /// Only those in this department
    #[arg(long, value_name = "DEPARTMENT")]
    department: Option<String>,
    /// Only those whose name or address has this in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Person {
    /// Id of the person (usr_…)
    user: String,
    #[command(flatten)]
    remote: Remote,
}

/// Whom.
#[derive(Debug, Args)]
pub struct Invite {
    /// E-mail address
    email: String,
    /// Role
    #[arg(long)]
    role: String,
    /// Give the role within this department only
    #[arg(long, value_name = "DEPARTMENT")]
    department: Option<String>,
    /// End the role then (RFC 3339); an auditor's must end
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which role, to whom.
#[derive(Debug, Args)]
pub struct Grant {
    /// Id of the person (usr_…)
    user: String,
    /// Role: owner, admin, compliance, analyst, viewer, auditor, or one of the organisation's own
    role: String,
    /// Within this department only
    #[arg(long, value_name = "DEPARTMENT")]
    department: Option<String>,
    /// Until then (RFC 3339); an auditor's must end
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which role, from whom.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Id of the person (usr_…)
    user: String,
    /// Role
    role: String,
    /// The one that holds within this department
    #[arg(long, value_name = "DEPARTMENT")]
    department: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Whose account.
#[derive(Debug, Args)]
pub struct Change {
    /// Id of the person (usr_…)
    user: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 6] = [
    ("person", "/id"),
    ("name", "/full_name"),
    ("e-mail", "/email"),
    ("role", "/role"),
    ("status", "/status"),
    ("last login", "/last_login_at"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::List(list) => {
            let session = list.remote.session(settings).await?;
            let filters = [
                ("status", list.status),
                ("role", list.role),
                ("department", list.department),
                ("search", list.search),
            ];
            let filters: Vec<(&str, String)> =
                filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            let items = session.all("/v1/users", &filters).await?;
            session.show_list(&items, &COLUMNS)?;
        }
        Arguments::Show(Person { user, remote }) => {
            let session = remote.session(settings).await?;
            let answer = session.get(&path(&user, "")).await?;
            let more = [("roles", "/grants"), ("second factors", "/second_factors"), ("created", "/created_at")];
            session.show_fields(&answer, &[&COLUMNS[..], &more[..]].concat())?;
        }
        Arguments::Invite(invite) => invited(settings, invite).await?,
        Arguments::Grant(grant) => {
            let session = grant.remote.session(settings).await?;
            let body = object(&[
                ("role", Some(json!(grant.role))),
                ("department_id", grant.department.map(Into::into)),
                ("expires_at", grant.until.map(Into::into)),
                ("reason", grant.reason.map(Into::into)),
            ]);
            let answer = session.send(Method::POST, &path(&grant.user, "/grants"), &body).await?;
            recorded(&session, &answer, &format!("{} has the role {}", grant.user, grant.role))?;
        }
        Arguments::Revoke(revoke) => {
            let session = revoke.remote.session(settings).await?;
            let body = object(&[
                ("role", Some(json!(revoke.role))),
                ("department_id", revoke.department.map(Into::into)),
                ("reason", revoke.reason.map(Into::into)),
            ]);
            let answer = session.send(Method::POST, &path(&revoke.user, "/grants/revoke"), &body).await?;
            recorded(&session, &answer, &format!("{} does not have the role {} any more", revoke.user, revoke.role))?;
        }
        Arguments::Deactivate(change) => changed(settings, change, "/deactivate", "is deactivated").await?,
        Arguments::Reactivate(change) => changed(settings, change, "/reactivate", "is active again").await?,
        Arguments::OwnerLink(remote) => {
            let session = remote.session(settings).await?;
            let path = format!("/v1/organizations/{}/owner-link", segment(session.organization().as_str()));
            let answer = session.send(Method::POST, &path, &Value::Null).await?;
            session.show(&answer, |answer| {
                let link = word(answer, "/owner_link");
                format!("{link}\nWhoever opens it becomes the owner. It works once, within a week; earlier ones do not any more.")
            })?;
        }
    }
    Ok(Outcome::Good)
}

fn path(user: &str, rest: &str) -> String {
    format!("/v1/users/{}{rest}", segment(user))
}

async fn invited(settings: &Settings, invite: Invite) -> anyhow::Result<()> {
    let session = invite.remote.session(settings).await?;
    let body = object(&[
        ("email", Some(json!(invite.email))),
        ("role", Some(json!(invite.role))),
        ("department_id", invite.department.map(Into::into)),
        ("role_expires_at", invite.until.map(Into::into)),
    ]);
    let answer = session.send(Method::POST, "/v1/users/invite", &body).await?;
    session.show(&answer, |answer| {
        let person = word(answer, "/id");
        let by_mail = answer.pointer("/letter_sent").and_then(Value::as_bool) == Some(true);
        let sent = if by_mail { ", by mail" } else { "; no mail leaves" };
        match answer.pointer("/invitation_url").and_then(Value::as_str) {
            Some(link) => format!("{person} is invited{sent}. The link works once:\n{link}"),
            None => format!("{person} is invited{sent}"),
        }
    })
}

async fn changed(settings: &Settings, change: Change, rest: &str, said: &str) -> anyhow::Result<()> {
    let session = change.remote.session(settings).await?;
    let body = object(&[("reason", change.reason.map(Into::into))]);
    let answer = session.send(Method::POST, &path(&change.user, rest), &body).await?;
    recorded(&session, &answer, &format!("{} {said}", change.user))
}

/// Says what was done, and where it stands.
pub fn recorded(session: &Session, answer: &Value, said: &str) -> anyhow::Result<()> {
    session.show(answer, |answer| match answer.pointer("/receipt/position") {
        Some(position) => format!("{said} (entry {position})"),
        None => said.to_owned(),
    })
}
