//! `daybook api-key`: keys with which programs call a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, object, segment, word};
use crate::settings::Settings;

/// Create, list, rotate and revoke API keys
///
///   daybook api-key create "nightly import" --scope transaction:create --scope incident:read
///   daybook api-key list
///   daybook api-key rotate key_… --overlap-hours 24      the old secret works that much longer
///   daybook api-key revoke key_… --reason "laptop lost"
///
/// A key is shown once, when it is created or rotated: only its digest is kept. Scopes are
/// names of permissions, or read, write, admin. A revoked key is refused at once.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Make a key, and print it once
    Create(Create),
    /// Show the keys, without their secrets
    List(Remote),
    /// Give a key a new secret, and print it once
    Rotate(Rotate),
    /// Refuse a key from now on
    Revoke(Revoke),
}

/// What the key is for.
#[derive(Debug, Args)]
pub struct Create {
    /// What people call it
    name: String,
    /// What it may do: names of permissions, or read, write, admin
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',')]
    scopes: Vec<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Days until it is refused, at most 366 [default: 90]
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    #[command(flatten)]
    remote: Remote,
}

/// Which key.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Id of the key (key_…)
    key: String,
    /// Hours that the old secret works beside the new one, at most 168
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    overlap_hours: u32,
    #[command(flatten)]
    remote: Remote,
}

/// Which key, and why.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Id of the key (key_…)
    key: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 6] = [
    ("key", "/id"),
    ("name", "/name"),
    ("scopes", "/scopes"),
    ("status", "/status"),
    ("until", "/expires_at"),
    ("last used", "/last_used_at"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Create(create) => {
            let session = create.remote.session(settings).await?;
            let body = object(&[
                ("name", Some(json!(create.name))),
                ("description", create.description.map(Into::into)),
                ("scopes", Some(json!(create.scopes))),
                ("expires_in_days", create.days.map(Into::into)),
            ]);
            let answer = session.send(Method::POST, "/v1/api-keys", &body).await?;
            session.show(&answer, |answer| {
                format!("{}\nThis is {}. It is not shown again.", word(answer, "/key_value"), word(answer, "/id"))
            })?;
        }
        Arguments::List(remote) => {
            let session = remote.session(settings).await?;
            let items = session.all("/v1/api-keys", &[]).await?;
            session.show_list(&items, &COLUMNS)?;
        }
        Arguments::Rotate(rotate) => {
            let session = rotate.remote.session(settings).await?;
            let body = json!({ "overlap_seconds": rotate.overlap_hours.saturating_mul(3_600) });
            let answer = session.send(Method::POST, &path(&rotate.key, "/rotate"), &body).await?;
            session.show(&answer, |answer| {
                format!("{}\nThis is {}. It is not shown again.", word(answer, "/key_value"), rotate.key)
            })?;
        }
        Arguments::Revoke(revoke) => {
            let session = revoke.remote.session(settings).await?;
            let body = object(&[("reason", revoke.reason.map(Into::into))]);
            let answer = session.send(Method::POST, &path(&revoke.key, "/revoke"), &body).await?;
            recorded(&session, &answer, &format!("{} is revoked", revoke.key))?;
        }
    }
    Ok(Outcome::Good)
}

fn path(key: &str, rest: &str) -> String {
    format!("/v1/api-keys/{}{rest}", segment(key))
}
