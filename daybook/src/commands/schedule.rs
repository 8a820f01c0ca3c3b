//! `daybook schedule`: exports that are made again and again, at times that a cron expression says.

use anyhow::ensure;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::Outcome;
use crate::commands::export::filters;
use crate::commands::people::recorded;
use crate::commands::remote::{Remote, Session, object, segment, text, word};
use crate::settings::Settings;

/// Have exports made on a schedule
///
///   daybook schedule add "Month end" transactions --cron "0 6 1 * *" --time-zone Europe/Berlin --period month
///   daybook schedule list
///   daybook schedule show sch_…                       when it runs next, and what it rests on
///   daybook schedule approve sch_… --until 2027-06-30T00:00:00Z --reason "monthly report"
///   daybook schedule run sch_…                        once now, besides its times
///   daybook schedule runs sch_…
///   daybook schedule pause sch_… --reason "quarter end freeze"
///   daybook schedule end sch_… --reason "the report is gone"
///
/// Each run is an export, and takes an approval as any other: one of its own, or a standing
/// approval, which somebody else gives once for all runs until a time. It ends when the
/// schedule or the policy is changed.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Make a schedule
    Add(Add),
    /// Show the schedules
    List(List),
    /// Show one schedule: its next times, its standing approval and its last run
    Show(Which),
    /// Show the runs of a schedule
    Runs(Which),
    /// Do not run it until it is resumed; what falls due meanwhile is not caught up
    Pause(Why),
    /// Run it at its times again
    Resume(Which),
    /// Run it once now
    Run(Which),
    /// End it for good
    End(Why),
    /// Ask for an approval of all runs until a time
    Approve(Approve),
    /// Take the standing approval, or the request for it, back
    Unapprove(Which),
}

/// What, when, and for which period.
#[derive(Debug, Args)]
pub struct Add {
    /// What people call it
    name: String,
    /// What is exported: transactions, incidents, users, agent_actions, audit_trail, entries or evidence_pack
    kind: String,
    /// When: minute, hour, day of month, month and day of week; not more often than every 15 minutes
    #[arg(long, value_name = "EXPRESSION")]
    cron: String,
    /// In which time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Which records: none (all that the filters name), since_previous, day, week or month
    #[arg(long, default_value = "none")]
    period: String,
    /// csv, ndjson, json or parquet; zip for an evidence pack [default: csv, or zip]
    #[arg(long)]
    format: Option<String>,
    /// Only records with this value, as <name>=<value>; may be given several times
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// Only these columns, in this order [default: all that the kind has by default]
    #[arg(long = "column", value_name = "NAME", value_delimiter = ',')]
    columns: Vec<String>,
    /// Deliver to this destination of the server's configuration
    #[arg(long = "deliver-to", value_name = "DESTINATION", value_delimiter = ',')]
    deliver_to: Vec<String>,
    /// Ask for an approval of all runs until then (RFC 3339), at most 400 days ahead
    #[arg(long, value_name = "TIME")]
    standing_until: Option<String>,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this status: active, paused or ended
    #[arg(long)]
    status: Option<String>,
    /// Only those of this kind
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Which {
    /// Id of the schedule (sch_…)
    schedule: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, and why.
#[derive(Debug, Args)]
pub struct Why {
    /// Id of the schedule (sch_…)
    schedule: String,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    remote: Remote,
}

/// Which one, until when, and why.
#[derive(Debug, Args)]
pub struct Approve {
    /// Id of the schedule (sch_…)
    schedule: String,
    /// Until when (RFC 3339), at most 400 days ahead
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 8] = [
    ("schedule", "/schedule_id"),
    ("name", "/name"),
    ("kind", "/kind"),
    ("status", "/status"),
    ("cron", "/cron"),
    ("time zone", "/time_zone"),
    ("next", "/next_runs/0"),
    ("standing", "/standing/status"),
];

const FIELDS: [(&str, &str); 20] = [
    ("schedule", "/schedule_id"),
    ("name", "/name"),
    ("status", "/status"),
    ("held up by", "/held_up_by"),
    ("paused by", "/paused_by"),
    ("kind", "/kind"),
    ("format", "/format"),
    ("filters", "/filters"),
    ("columns", "/columns"),
    ("deliver to", "/deliver_to"),
    ("cron", "/cron"),
    ("time zone", "/time_zone"),
    ("period", "/period"),
    ("created by", "/created_by"),
    ("next runs", "/next_runs"),
    ("standing", "/standing/status"),
    ("approval", "/standing/approval_id"),
    ("until", "/standing/until"),
    ("runs", "/runs"),
    ("last export", "/last_run/export_id"),
];

const RUN_COLUMNS: [(&str, &str); 7] = [
    ("run", "/schedule_run"),
    ("export", "/id"),
    ("asked", "/created_at"),
    ("status", "/status"),
    ("rows", "/rows"),
    ("delivery", "/delivery_status"),
    ("approval", "/approval_id"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::Add(add) => self::add(settings, add).await?,
        Arguments::List(list) => {
            let session = list.remote.session(settings).await?;
            let given = [("status", list.status), ("kind", list.kind)];
            let parameters: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            session.show_list(&session.all(COLLECTION, &parameters).await?, &COLUMNS)?;
        }
        Arguments::Show(which) => {
            let session = which.remote.session(settings).await?;
            session.show_fields(&session.get(&path(&which.schedule, "")).await?, &FIELDS)?;
        }
        Arguments::Runs(which) => {
            let session = which.remote.session(settings).await?;
            session.show_list(&session.all(&path(&which.schedule, "/runs"), &[]).await?, &RUN_COLUMNS)?;
        }
        Arguments::Pause(why) => change(settings, why, "/pause", "is paused").await?,
        Arguments::End(why) => change(settings, why, "/end", "has ended").await?,
        Arguments::Resume(which) => {
            let session = which.remote.session(settings).await?;
            let answer = session.send(Method::POST, &path(&which.schedule, "/resume"), &Value::Null).await?;
            let next = text(answer.pointer("/next_runs/0"));
            recorded(&session, &answer, &format!("{} runs again, the next time at {next}", which.schedule))?;
        }
        Arguments::Run(which) => run_now(settings, which).await?,
        Arguments::Approve(approve) => {
            let session = approve.remote.session(settings).await?;
            let body = object(&[("until", Some(json!(approve.until))), ("reason", approve.reason.map(Into::into))]);
            let path = path(&approve.schedule, "/standing-approval");
            let answer = session.send(Method::POST, &path, &body).await?;
            show_standing(&session, &answer, &approve.schedule)?;
        }
        Arguments::Unapprove(which) => {
            let session = which.remote.session(settings).await?;
            let path = path(&which.schedule, "/standing-approval");
            let answer = session.send(Method::DELETE, &path, &Value::Null).await?;
            recorded(&session, &answer, &format!("{} has no standing approval any more", which.schedule))?;
        }
    }
    Ok(Outcome::Good)
}

async fn add(settings: &Settings, add: Add) -> anyhow::Result<()> {
    ensure!(add.cron.split_whitespace().count() == 5, "--cron takes five fields, such as \"0 6 1 * *\" in quotes");
    let filters = filters(&add.filters)?;
    let given = |values: Vec<String>| (!values.is_empty()).then(|| json!(values));
    let session = add.remote.session(settings).await?;
    let body = object(&[
        ("name", Some(json!(add.name))),
        ("kind", Some(json!(add.kind))),
        ("cron", Some(json!(add.cron))),
        ("time_zone", Some(json!(add.time_zone))),
        ("period", Some(json!(add.period))),
        ("format", add.format.map(Into::into)),
        ("filters", (!filters.is_empty()).then_some(Value::Object(filters))),
        ("columns", given(add.columns)),
        ("deliver_to", given(add.deliver_to)),
        ("standing_until", add.standing_until.map(Into::into)),
        ("reason", add.reason.map(Into::into)),
    ]);
    let answer = session.send(Method::POST, COLLECTION, &body).await?;
    session.show(&answer, |answer| {
        let (id, next) = (word(answer, "/schedule_id"), text(answer.pointer("/next_runs/0")));
        let warnings = answer.pointer("/warnings").and_then(Value::as_array).into_iter().flatten();
        let warnings: String = warnings.filter_map(Value::as_str).map(|warning| format!("\nmind: {warning}")).collect();
        let made = format!("{id} runs at {next} for the first time{warnings}");
        match answer.pointer("/approval_request_id").and_then(Value::as_str) {
            Some(approval) => format!("{made}\n{}", decided_by_others(approval)),
            None => made,
        }
    })
}

async fn change(settings: &Settings, why: Why, rest: &str, done: &str) -> anyhow::Result<()> {
    let session = why.remote.session(settings).await?;
    let answer = session.send(Method::POST, &path(&why.schedule, rest), &json!({ "reason": why.reason })).await?;
    recorded(&session, &answer, &format!("{} {done}", why.schedule))?;
    Ok(())
}

async fn run_now(settings: &Settings, which: Which) -> anyhow::Result<()> {
    let session = which.remote.session(settings).await?;
    let answer = session.send(Method::POST, &path(&which.schedule, "/run"), &Value::Null).await?;
    session.show(&answer, |answer| {
        let export = word(answer, "/last_run/export_id");
        match answer.pointer("/approval_request_id").and_then(Value::as_str) {
            Some(approval) => format!("{export} is asked for; {}", decided_by_others(approval)),
            None => format!("{export} is being made"),
        }
    })
}

fn show_standing(session: &Session, answer: &Value, schedule: &str) -> anyhow::Result<()> {
    session.show(answer, |answer| match answer.pointer("/approval_request_id").and_then(Value::as_str) {
        Some(approval) => decided_by_others(approval),
        None => format!("the runs of {schedule} are approved until {}", word(answer, "/standing/until")),
    })
}

fn decided_by_others(approval: &str) -> String {
    format!("somebody else approves {approval}: daybook approval vote {approval} approve")
}

/// Where schedules are.
const COLLECTION: &str = "/v1/export-schedules";

fn path(schedule: &str, rest: &str) -> String {
    format!("{COLLECTION}/{}{rest}", segment(schedule))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let all = ["daybook", "schedule"].iter().chain(arguments);
        Cli::try_parse_from(all).map(|cli| match cli.command {
            Command::Schedule(arguments) => arguments,
            _ => unreachable!("the line says schedule"),
        })
    }

    #[test]
    fn schedule_has_a_time_and_defaults_for_the_rest() {
        let line = ["add", "Month end", "transactions", "--cron", "0 6 1 * *", "--column", "amount,currency"];
        let Arguments::Add(add) = parsed(&line).unwrap() else { unreachable!("the line says add") };
        assert_eq!((add.time_zone.as_str(), add.period.as_str(), add.format), ("UTC", "none", None));
        assert_eq!(add.columns, ["amount", "currency"]);
        assert!(parsed(&["add", "Month end", "transactions"]).is_err(), "without a time");
    }

    #[test]
    fn whoever_stops_a_schedule_says_why() {
        for verb in ["pause", "end"] {
            assert!(parsed(&[verb, "sch_1"]).is_err());
            assert!(parsed(&[verb, "sch_1", "--reason", "enough"]).is_ok());
        }
        assert!(parsed(&["approve", "sch_1"]).is_err(), "until when");
    }

    #[test]
    fn ids_stay_within_their_segment() {
        assert_eq!(path("sch_1", "/run"), "/v1/export-schedules/sch_1/run");
        assert_eq!(path("a/b", ""), "/v1/export-schedules/a%2Fb");
    }
}
