//! `daybook sessions`: where somebody is logged in.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, segment};
use crate::settings::Settings;

/// Show where a person is logged in, and end it
///
///   daybook sessions list usr_…
///   daybook sessions revoke usr_…                     every session of the person
///
/// An ended session is refused on every process within a second.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show a person's sessions
    List(Person),
    /// End all sessions of a person
    Revoke(Person),
}

/// Whose.
#[derive(Debug, Args)]
pub struct Person {
    /// Id of the person (usr_…)
    user: String,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 5] = [
    ("session", "/session_id"),
    ("client", "/client"),
    ("started", "/started_at"),
    ("last used", "/last_used_at"),
    ("until", "/expires_at"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::List(Person { user, remote }) => {
            let session = remote.session(settings).await?;
            let items = session.all(&format!("/v1/users/{}/sessions", segment(&user)), &[]).await?;
            session.show_list(&items, &COLUMNS)?;
        }
        Arguments::Revoke(Person { user, remote }) => {
            let session = remote.session(settings).await?;
            let path = format!("/v1/users/{}/sessions", segment(&user));
            let answer = session.send(Method::DELETE, &path, &Value::Null).await?;
            recorded(&session, &answer, &format!("{user} is logged out everywhere"))?;
        }
    }
    Ok(Outcome::Good)
}
