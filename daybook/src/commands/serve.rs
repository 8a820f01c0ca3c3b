//! `daybook serve`: the server, until it is asked to stop.

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::commands::Outcome;
use crate::output;
use crate::runtime::server::Running;
use crate::runtime::store::Location;
use crate::runtime::{logging, signals, token};
use crate::settings::{OutsideOptions, ServerOptions, ServerSettings, Settings};

/// What is logged unless `RUST_LOG` says otherwise.
const LOG_FILTER: &str = "info,sqlx=warn,sqlx::pool=error,actix_server=warn,mio=warn,h2=warn";

/// Run the server
///
///   daybook serve                                     all roles, on ./daybook-data
///   daybook serve --listen 127.0.0.1:0                a free port, which is printed
///   daybook serve --dev-auth                          believe x-user-email and x-user-role
///   daybook serve --database-url postgres://… --roles write      one process a role
///
/// Roles: write takes commands; query answers queries; project folds the ledger into read
/// tables; react opens incidents by rule. Each process also answers its health and metrics.
///
/// SIGTERM or Ctrl-C ends it in order: no new connections, requests finished, batches
/// finished.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    outside: OutsideOptions,
}

/// Runs the server.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<Outcome> {
    let server = ServerSettings::resolve(arguments.server, arguments.outside, settings)?;
    logging::start(server.log, LOG_FILTER);
    let mut running = Running::start(settings, &server).await?;
    banner(settings, &server, &running).await?;
    tokio::select! {
        () = signals::asked_to_stop() => running.stop().await?,
        ended = running.ended() => {
            ended?;
            anyhow::bail!("the HTTP server has stopped");
        }
    }
    Ok(Outcome::Good)
}

async fn banner(settings: &Settings, server: &ServerSettings, running: &Running) -> anyhow::Result<()> {
    let head = running.reader.head().await.context("cannot read the ledger")?;
    let token = token_hint(settings, running);
    if settings.json {
        return output::json(&json!({
            "url": running.url,
            "data": settings.data,
            "roles": server.roles.names(),
            "ledger_id": head.ledger_id,
            "size": head.size,
            "hash": head.hash,
            "token": token,
            "owner_link": running.owner_link,
            "owner_missing": running.owner_missing || running.owner_link.is_some(),
        }));
    }
    output::line(format!("{} {}", output::bold("Daybook"), env!("CARGO_PKG_VERSION")))?;
    output::line(format!("  url      {}", output::bold(&running.url)))?;
    output::line(format!("  docs     {}/docs", running.url))?;
    output::line(format!("  data     {} ({})", settings.data.display(), Location::of(settings).describe()))?;
    output::line(format!("  ledger   {}, {} entries", head.ledger_id, output::count(head.size)))?;
    output::line(format!("  roles    {}", server.roles))?;
    output::line(format!("  token    {token}"))?;
    if let Some(link) = &running.owner_link {
        output::line(owner_hint(link))?;
    }
    if running.owner_missing {
        output::line("  owner    nobody yet; `daybook people owner-link` prints a one-time link for the first one")?;
    }
    if server.dev_auth {
        output::line("  dev-auth is ON: x-user-email and x-user-role are believed")?;
    }
    Ok(())
}

/// How the organisation gets its owner. For the terminal alone: whoever has the link becomes the owner.
pub fn owner_hint(link: &str) -> String {
    format!("  owner    nobody yet; whoever opens this becomes it, once: {link}")
}

/// Where the operator's token is. Never the token.
pub fn token_hint(settings: &Settings, running: &Running) -> String {
    if running.token_in_file {
        format!("in {}", token::token_file(&settings.data).display())
    } else {
        "as configured (DAYBOOK_OPERATOR_TOKEN, --operator-token or the configuration file)".to_owned()
    }
}
