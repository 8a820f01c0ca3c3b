//! `daybook-auditor`: the auditor as a program, for somebody who trusts nobody.
//!
//! Exit codes: 0 where nothing failed, 1 where something did, 2 where something could not be read. What was not
//! checked has not failed: the output says which question was left open, and what it would take to answer it.

mod commands;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Verify a Daybook ledger without trusting who runs it
///
/// SOURCE is a SQLite file, a data folder, postgres://…, http(s)://… or an exported bundle (.zip).
/// Nothing is ever written to it.
#[derive(Debug, Parser)]
#[command(name = "daybook-auditor", version, verbatim_doc_comment, max_term_width = 110)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(commands::verify::Arguments),
    Remember(commands::remember::Arguments),
    Prove(commands::prove::Arguments),
    Check(commands::check::Arguments),
    Replay(commands::replay::Arguments),
    Diff(commands::diff::Arguments),
    Report(commands::report::Arguments),
    Export(commands::export::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Program::parse().command {
        Command::Verify(arguments) => commands::verify::run(arguments).await,
        Command::Remember(arguments) => commands::remember::run(arguments).await,
        Command::Prove(arguments) => commands::prove::run(arguments).await,
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Replay(arguments) => commands::replay::run(arguments).await,
        Command::Diff(arguments) => commands::diff::run(arguments).await,
        Command::Report(arguments) => commands::report::run(arguments).await,
        Command::Export(arguments) => commands::export::run(arguments).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("daybook-auditor: {error:#}");
            ExitCode::from(2)
        }
    }
}
