//! The subcommands, one a file.

pub mod adopt;
pub mod anchor;
pub mod api_key;
pub mod approval;
pub mod bundle;
pub mod checkpoint;
pub mod demo;
pub mod erase;
pub mod export;
pub mod hold;
pub mod import;
pub mod keys;
pub mod load_test;
pub mod openapi;
pub mod org;
pub mod people;
pub mod projections;
pub mod prove;
pub mod remote;
pub mod replay;
pub mod retention;
pub mod schedule;
pub mod seed;
pub mod serve;
pub mod sessions;
pub mod status;
pub mod verify;

use crate::cli::{Cli, Command};
use crate::settings::Settings;

/// How a command that could run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should: exit code 0.
    Good,
    /// Something that was looked at is not as it should be: exit code 1.
    CheckFailed,
}

impl Outcome {
    /// Good if so.
    pub fn good_if(good: bool) -> Self {
        if good { Self::Good } else { Self::CheckFailed }
    }
}

/// Carries out what the command line says.
pub async fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let settings =
        Settings::resolve(cli.global.store, cli.global.signing, cli.global.config.as_deref(), cli.global.json)?;
    match cli.command {
        Command::Demo(arguments) => demo::run(&settings, arguments).await,
        Command::Serve(arguments) => serve::run(&settings, arguments).await,
        Command::Import(arguments) => import::run(&settings, arguments).await,
        Command::Seed(arguments) => seed::run(&settings, arguments).await,
        Command::Replay(arguments) => replay::run(&settings, arguments).await,
        Command::Verify(arguments) => verify::run(&settings, arguments).await,
        Command::Checkpoint(arguments) => checkpoint::run(&settings, arguments).await,
        Command::Prove(arguments) => prove::run(&settings, arguments).await,
        Command::Bundle(arguments) => bundle::run(&settings, arguments).await,
        Command::Anchor(arguments) => anchor::run(&settings, arguments).await,
        Command::Keys(arguments) => keys::run(&settings, arguments),
        Command::Projections(arguments) => projections::run(&settings, arguments).await,
        Command::Org(arguments) => org::run(&settings, arguments).await,
        Command::People(arguments) => people::run(&settings, arguments).await,
        Command::ApiKey(arguments) => api_key::run(&settings, arguments).await,
        Command::Sessions(arguments) => sessions::run(&settings, arguments).await,
        Command::Hold(arguments) => hold::run(&settings, arguments).await,
        Command::Retention(arguments) => retention::run(&settings, arguments).await,
        Command::Erase(arguments) => erase::run(&settings, arguments).await,
        Command::Approval(arguments) => approval::run(&settings, arguments).await,
        Command::Export(arguments) => export::run(&settings, arguments).await,
        Command::Schedule(arguments) => schedule::run(&settings, arguments).await,
        Command::Status => status::run(&settings).await,
        Command::Openapi => openapi::run(),
        Command::LoadTest(arguments) => load_test::run(&settings, arguments).await,
        Command::Adopt(arguments) => adopt::run(&settings, arguments).await,
    }
}
