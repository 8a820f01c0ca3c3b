//! `daybook org`: the organisations of a running server.

use clap::{Args, Subcommand};
use daybook_ledger::LedgerId;
use reqwest::Method;
use serde_json::json;

use crate::commands::Outcome;
use crate::commands::remote::{Remote, segment, word};
use crate::settings::Settings;

/// List, create and look at organisations
///
///   daybook org list
///   daybook org create acme --name "Acme Ltd"        a ledger, members and keys of its own
///   daybook org show acme
///   daybook people owner-link --organization acme    another link for its first owner
///
/// Each organisation is a ledger; nobody but the operator sees more than one. Asks the
/// server of the data folder (or of --url), with the operator's token.
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub enum Arguments {
    /// Show every organisation that the token may see
    List(Remote),
    /// Create one; only the operator can
    Create(Create),
    /// Show one
    Show(Show),
}

/// What to create.
#[derive(Debug, Args)]
pub struct Create {
    /// Its id, and its ledger's: [a-z0-9-]{1,63}
    id: LedgerId,
    /// What people call it [default: the id]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Which one.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id
    id: LedgerId,
    #[command(flatten)]
    remote: Remote,
}

const COLUMNS: [(&str, &str); 5] = [
    ("organization", "/id"),
    ("name", "/name"),
    ("members", "/member_count"),
    ("owners", "/owners"),
    ("created", "/created_at"),
];

/// Does what was asked.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    match arguments {
        Arguments::List(remote) => {
            let session = remote.session(settings).await?;
            let items = session.all("/v1/organizations", &[]).await?;
            session.show_list(&items, &COLUMNS)?;
        }
        Arguments::Create(Create { id, name, remote }) => {
            let session = remote.session(settings).await?;
            let body = json!({ "id": id, "name": name.unwrap_or_else(|| id.to_string()) });
            let answer = session.send(Method::POST, "/v1/organizations", &body).await?;
            session.show(&answer, |answer| {
                let link = word(answer, "/owner_link");
                format!("{id} is there. Whoever opens this becomes its owner, once:\n{link}")
            })?;
        }
        Arguments::Show(Show { id, remote }) => {
            let session = remote.session(settings).await?;
            let answer = session.get(&format!("/v1/organizations/{}", segment(id.as_str()))).await?;
            session.show_fields(&answer, &COLUMNS)?;
        }
    }
    Ok(Outcome::Good)
}
