//! One running server process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::store::Store;
use crate::waiting::{PATIENCE, eventually_within};
use crate::{MASTER_KEY, OPERATOR_TOKEN, command_line, secrets};

/// Lines of a failed server's output that are shown.
const SHOWN_LINES: usize = 80;

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--roles`; all unless given.
    pub roles: Option<&'static str>,
    /// `--dev-auth`.
    pub dev_auth: bool,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
    /// A data folder other than the store's.
    pub folder: Option<PathBuf>,
    /// A way to the store's database other than the store's own URL.
    pub database_url: Option<String>,
}

impl Options {
    /// All defaults but the roles, in a data folder of its own.
    pub fn roles(roles: &'static str, folder: &Path) -> Self {
        Self { roles: Some(roles), folder: Some(folder.to_owned()), ..Self::default() }
    }
}

/// A running server; killed when dropped. What it printed is shown where the test fails.
pub struct Server {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
    /// A secret that it printed, and where.
    leak: Arc<Mutex<Option<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
    folder: PathBuf,
    url: String,
}

impl Server {
    /// Starts a server on `store` with all roles and waits until it is ready.
    pub async fn start(store: &Store) -> Self {
        Self::start_with(store, Options::default()).await
    }

    /// Starts a server and waits until it is ready.
    pub async fn start_with(store: &Store, options: Options) -> Self {
        let mut server = Self::spawn(store, options);
        server.wait_until_ready().await;
        server
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(store: &Store, options: Options) -> Self {
        let folder = options.folder.clone().unwrap_or_else(|| store.folder().to_owned());
        let mut command = command_line::command().into_std();
        command.arg("serve").args(["--listen", "127.0.0.1:0"]);
        match &options.database_url {
            Some(url) => command.args(["--database-url", url, "--data"]).arg(&folder),
            None => command.args(store.arguments_in(&folder)),
        };
        if let Some(roles) = options.roles {
            command.args(["--roles", roles]);
        }
        if options.dev_auth {
            command.arg("--dev-auth");
        }
        // A ledger that writes about itself would have more entries than a test counts.
        command.env("DAYBOOK_CHECKPOINT_INTERVAL", "0");
        if store.is_postgres() {
            command.env("DAYBOOK_MASTER_KEY", MASTER_KEY);
        }
        command.args(&options.arguments).envs(options.environment);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let output = Arc::new(Mutex::new(Vec::new()));
        let leak = Arc::new(Mutex::new(None));
        let readers = vec![
            collect(child.stdout.take().expect("piped"), Arc::clone(&output), Arc::clone(&leak)),
            collect(child.stderr.take().expect("piped"), Arc::clone(&output), Arc::clone(&leak)),
        ];
        Self { child, output, leak, readers, folder, url: String::new() }
    }

    /// Waits until it says that it is ready.
    pub async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.url.is_empty() {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                panic!("the server ended at its start with {status}\n{}", self.printed());
            }
            assert!(Instant::now() < deadline, "the server named no URL\n{}", self.printed());
            match self.own_url() {
                Some(url) => self.url = url,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        let client = self.client();
        let left = deadline.saturating_duration_since(Instant::now());
        eventually_within(left, "the server is ready", async || {
            let answer = client.try_send(client.request("GET", "/health/ready")).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// The address from `server.json`, where this process wrote it and not one that was killed.
    fn own_url(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.description_file()).ok()?;
        let description: serde_json::Value = serde_json::from_str(&text).ok()?;
        (description["pid"].as_u64()? == u64::from(self.child.id())).then_some(())?;
        Some(description["url"].as_str()?.trim_end_matches('/').to_owned())
    }

    /// Where a running server says what it is.
    pub fn description_file(&self) -> PathBuf {
        self.folder.join("server.json")
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// A client with the operator's token.
    pub fn client(&self) -> Client {
        Client::new(&self.url, Some(OPERATOR_TOKEN))
    }

    /// A client without credentials.
    pub fn stranger(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// SIGKILL: the process has no say in it.
    pub fn kill9(mut self) {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("the process ends");
    }

    /// SIGTERM; answers how it ended. Panics where it does not end in time.
    pub async fn terminate(&mut self) -> ExitStatus {
        let asked = std::process::Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("kill can be run").success(), "the process could not be asked to end");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not end on SIGTERM\n{}", printed_of(&self.output));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it ends by itself, and until all that it printed is read. Panics where it does not end in time.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end\n{}", printed_of(&self.output));
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        for reader in self.readers.drain(..) {
            let _ = tokio::task::spawn_blocking(move || reader.join()).await;
        }
        status
    }

    /// Whether it printed this, and not too long ago.
    pub fn printed_contains(&self, text: &str) -> bool {
        self.output.lock().expect("no reader panics").iter().any(|line| line.contains(text))
    }

    /// The last lines that it printed.
    pub fn printed(&self) -> String {
        printed_of(&self.output)
    }

    /// A line of `/proc/<pid>/status` in KiB, such as `RssAnon`; `None` where there is no such file.
    pub fn memory_kib(&self, field: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server on {} printed\n{}", self.url, self.printed());
            return;
        }
        let leak = self.leak.lock().map(|leak| leak.clone()).unwrap_or_default();
        assert!(leak.is_none(), "the server printed a secret: {leak:?}");
    }
}

fn printed_of(output: &Mutex<Vec<String>>) -> String {
    let lines = output.lock().expect("no reader panics");
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// Keeps what the process prints, so that its pipe never fills up.
fn collect(
    pipe: impl Read + Send + 'static,
    output: Arc<Mutex<Vec<String>>>,
    leak: Arc<Mutex<Option<String>>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            if let Some(what) = secrets::found_in(&line) {
                *leak.lock().expect("no reader panics") = Some(format!("{what}: {}", String::from_utf8_lossy(&line)));
            }
            let mut lines = output.lock().expect("no reader panics");
            // Only the end is ever shown; a long test must not collect every access-log line.
            if lines.len() >= 2_000 {
                lines.drain(..1_000);
            }
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
