//! `daybook hold`: legal holds, which keep what they cover from being erased.

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, object, segment, word};
use crate::settings::Settings;

/// Place, list and release legal holds
///
///   daybook hold place --matter "Case 26-117" --reason "subpoena" --subject usr_…
///   daybook hold place --matter "Case 26-117" --reason "subpoena" --stream incident/inc_…
///   daybook hold list
///   daybook hold release hld_… --reason "case closed"
///
/// While a hold stands on a person, or on a record that tells of one, that person's data
/// cannot be erased.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Place a hold
    Place(Place),
    /// Show the holds
    List(Remote),
    /// Release a hold
    Release(Release),
}

/// What is held, and why.
#[derive(Debug, Args)]
pub struct Place {
    /// The matter that it is for
    #[arg(long)]
    matter: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// A person whose data is held (usr_…)
    #[arg(long = "subject", value_name = "USER")]
    subjects: Vec<String>,
    /// A record that is held, as <type>/<id>: incident/inc_…, transaction/…
    #[arg(long = "stream", value_name = "TYPE/ID")]
    streams: Vec<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which hold, and why.
#[derive(Debug, Args)]
pub struct Release {
    /// Id of the hold (hld_…)
    hold: String,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 5] =
    [("hold", "/id"), ("matter", "/matter"), ("status", "/status"), ("covers", "/covers"), ("placed", "/placed_at")];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Place(place) => {
            let covers = covers(&place.subjects, &place.streams)?;
            let session = place.remote.session(settings).await?;
            let body = object(&[
                ("matter", Some(json!(place.matter))),
                ("reason", Some(json!(place.reason))),
                ("covers", Some(covers)),
            ]);
            let answer = session.send(Method::POST, "/v1/legal-holds", &body).await?;
            let said = format!("{} stands", word(&answer, "/id"));
            recorded(&session, &answer, &said)?;
        }
        Arguments::List(remote) => {
            let session = remote.session(settings).await?;
            let items = session.all("/v1/legal-holds", &[]).await?;
            session.show_list(&items, &COLUMNS)?;
        }
        Arguments::Release(release) => {
            let session = release.remote.session(settings).await?;
            let path = format!("/v1/legal-holds/{}/release", segment(&release.hold));
            let answer = session.send(Method::POST, &path, &json!({ "reason": release.reason })).await?;
            recorded(&session, &answer, &format!("{} is released", release.hold))?;
        }
    }
    Ok(Outcome::Good)
}

/// What the hold covers, as the API takes it.
fn covers(subjects: &[String], streams: &[String]) -> anyhow::Result<Value> {
    ensure!(!subjects.is_empty() || !streams.is_empty(), "a hold covers something: name a --subject or a --stream");
    let mut covers: Vec<Value> = subjects.iter().map(|id| json!({ "kind": "subject", "id": id })).collect();
    for stream in streams {
        let (stream_type, stream_id) =
            stream.split_once('/').with_context(|| format!("{stream:?} is not of the form type/id"))?;
        covers.push(json!({ "kind": "stream", "stream_type": stream_type, "stream_id": stream_id }));
    }
    Ok(Value::Array(covers))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn hold_covers_people_and_records() {
        let covered = covers(&["usr_1".to_owned()], &["incident/inc/2".to_owned()]).unwrap();
        let expected = json!([
            { "kind": "subject", "id": "usr_1" },
            { "kind": "stream", "stream_type": "incident", "stream_id": "inc/2" },
        ]);
        assert_eq!(covered, expected);
        assert!(covers(&[], &[]).is_err());
        assert!(covers(&[], &["incident".to_owned()]).is_err());
    }
}
