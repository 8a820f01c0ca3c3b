#![doc = include_str!("../README.md")]

mod cli;
mod commands;
mod intake;
mod load;
mod output;
mod progress;
mod runtime;
mod seed;
mod settings;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::commands::Outcome;

/// Room for the deep call chains of an unoptimised build.
const THREAD_STACK_BYTES: usize = 8 * 1024 * 1024;
/// What the program answers where it could not do what was asked at all.
const CANNOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors. A reader that went away has had enough of them.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(CANNOT_RUN) } else { ExitCode::SUCCESS };
        }
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(THREAD_STACK_BYTES).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: the program's threads cannot be started: {error}");
                return ExitCode::from(CANNOT_RUN);
            }
        };
    // On a thread of the runtime, whose stack has a known size.
    let finished = runtime.block_on(async { tokio::spawn(commands::run(cli)).await });
    match finished {
        Ok(Ok(Outcome::Good)) => ExitCode::SUCCESS,
        Ok(Ok(Outcome::CheckFailed)) => ExitCode::FAILURE,
        Ok(Err(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        // The program could run very well: it looked, and what it found is wrong.
        Ok(Err(error)) if runtime::signing::is_refusal(&error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            output::error(&error);
            ExitCode::from(CANNOT_RUN)
        }
        Err(error) => {
            eprintln!("error: the program has stopped unexpectedly: {error}");
            ExitCode::from(CANNOT_RUN)
        }
    }
}

/// Whoever reads our output went away: `daybook replay | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
