//! Running the program's subcommands.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::store::Store;

/// Longest that a subcommand which ends by itself may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a subcommand left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

impl Finished {
    /// Panics with all that was printed unless the exit code is `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("not JSON: {error}\n{}\n--- stderr\n{}", self.stdout, self.stderr))
    }

    /// Standard output as one JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}\n{line}"));
        self.stdout.lines().filter(|line| !line.is_empty()).map(read).collect()
    }

    /// All that was printed.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The program under test: `daybook` beside the test executables' folder.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("tests run from target/<profile>/deps");
    let program = target.join(format!("daybook{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is missing; build first: cargo build --workspace", program.display());
    program
}

/// The program with an environment free of settings and with the tests' operator token.
pub fn command() -> Command {
    let mut command = Command::new(program());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DAYBOOK_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env("DAYBOOK_OPERATOR_TOKEN", crate::OPERATOR_TOKEN);
    command.env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn finish(command: &mut Command) -> Finished {
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .unwrap_or_else(|_| panic!("did not end within {PATIENCE:?}: {command:?}"))
        .expect("the program starts");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `daybook <arguments>` without naming a store.
pub async fn daybook(arguments: &[&str]) -> Finished {
    finish(command().args(arguments)).await
}

impl Store {
    /// Runs `daybook <arguments>` on this store.
    pub async fn daybook(&self, arguments: &[&str]) -> Finished {
        finish(command().args(arguments).args(self.arguments())).await
    }

    /// `daybook verify` must find everything in order; answers its JSON report.
    pub async fn verified(&self) -> Value {
        self.daybook(&["verify", "--json"]).await.expect(0).json()
    }
}
