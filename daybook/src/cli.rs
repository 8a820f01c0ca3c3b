//! The command line: what can be said, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    adopt, anchor, api_key, approval, bundle, checkpoint, demo, erase, export, hold, import, keys, load_test, org,
    people, projections, prove, replay, retention, schedule, seed, serve, sessions, verify,
};
use crate::settings::{SigningOptions, StoreOptions};

const EXAMPLES: &str = "\
Getting started:
  daybook demo                          a running server with data in it, verified
  daybook serve                         an empty server on ./daybook-data
  daybook import payments.csv           record transactions from a file
  daybook verify                        recompute every hash of the ledger
  daybook people invite ADDRESS --role analyst

Commands find a running server through the data folder (--data), and use its token from there.

Exit codes: 0 done; 1 a check failed (verify, projections check, a ledger that does not
extend the checkpoint signed last) or rows were refused (import); 2 the command could not run.

Settings come from flags, else from the environment (DAYBOOK_...), else from
<DIR>/daybook.toml, else from defaults: see docs/configuration.md.";

/// Daybook: an append-only, verifiable ledger of financial transactions and incidents.
///
/// Every transaction and every incident is recorded as events in a hash-chained ledger. Read tables are folded from it,
/// rules open incidents, and anyone with the store can check that nothing was changed.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, after_long_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct GlobalOptions {
    #[command(flatten)]
    pub store: StoreOptions,
    #[command(flatten)]
    pub signing: SigningOptions,
    /// Configuration file [default: <DIR>/daybook.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "DAYBOOK_CONFIG", help_heading = "Store")]
    pub config: Option<PathBuf>,
    /// Print results as JSON, for machines
    #[arg(long, global = true)]
    pub json: bool,
}

/// What the program can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Arguments),
    Serve(serve::Arguments),
    Import(import::Arguments),
    Seed(seed::Arguments),
    Replay(replay::Arguments),
    Verify(verify::Arguments),
    Checkpoint(checkpoint::Arguments),
    Prove(prove::Arguments),
    Bundle(bundle::Arguments),
    Anchor(anchor::Arguments),
    #[command(subcommand)]
    Keys(keys::Arguments),
    #[command(subcommand)]
    Projections(projections::Arguments),
    #[command(subcommand)]
    Org(org::Arguments),
    #[command(subcommand)]
    People(people::Arguments),
    #[command(subcommand)]
    ApiKey(api_key::Arguments),
    #[command(subcommand)]
    Sessions(sessions::Arguments),
    #[command(subcommand)]
    Hold(hold::Arguments),
    #[command(subcommand)]
    Retention(retention::Arguments),
    Erase(erase::Arguments),
    #[command(subcommand)]
    Approval(approval::Arguments),
    #[command(subcommand)]
    Export(export::Arguments),
    #[command(subcommand)]
    Schedule(schedule::Arguments),
    /// Show the ledgers, how far projectors and reactors are, and the running server
    ///
    ///   daybook status
    ///   daybook status --json | jq .projectors
    ///
    /// Reads the store itself; works whether a server runs or not.
    #[command(verbatim_doc_comment)]
    Status,
    /// Print the OpenAPI document of the whole API
    ///
    ///   daybook openapi > openapi.json
    ///
    /// A running server has the same at /openapi.json, and a page to browse it at /docs.
    #[command(verbatim_doc_comment)]
    Openapi,
    LoadTest(load_test::Arguments),
    Adopt(adopt::Arguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn store_options_are_taken_after_the_subcommand() {
        let cli = Cli::try_parse_from(["daybook", "verify", "--json", "--data", "/x"]);
        assert!(cli.is_ok_and(|cli| cli.global.json && cli.global.store.data == Some("/x".into())));
    }
}
