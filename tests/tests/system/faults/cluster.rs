//! A PostgreSQL of a test's own, which may be broken.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::inject::Injector;

/// A running cluster; stopped and gone when dropped.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    is_root: bool,
    environment: Vec<(String, String)>,
}

impl Cluster {
    /// Makes and starts one, durable as in production. Says so and answers `None` where there is no PostgreSQL to start.
    pub fn start(injector: &Injector) -> Option<Self> {
        if std::env::var_os("DAYBOOK_TEST_POSTGRES_URL").is_none() {
            println!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        }
        let Some(programs) = programs() else {
            println!("skipped: there is no initdb and pg_ctl here (apt-get install postgresql)");
            return None;
        };
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let cluster = Self { folder, programs, port, is_root, environment: injector.environment() };
        if is_root {
            // The server refuses to run as root; its user has to reach what this one made.
            run(Command::new("chown").arg("postgres").arg(cluster.folder.path()));
            run(Command::new("chmod").arg("-R").arg("a+rwX").arg(injector.folder()));
        }
        let data = cluster.data();
        run(cluster
            .command("initdb")
            .args(["-N", "-U", "daybook", "-A", "trust", "--locale=C", "-E", "UTF8", "-D"])
            .arg(&data));
        cluster.resume();
        Some(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if self.is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }

    /// Starts it after [`Cluster::stop`]; waits until it answers.
    pub fn resume(&self) {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=on -c synchronous_commit=on -c max_connections=60 \
             -c shared_buffers=32MB -c checkpoint_timeout=1h -c log_min_messages=warning",
            self.port
        );
        let mut command = self.command("pg_ctl");
        // Around the program that starts the server, and so around the server and all its processes.
        command.envs(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let log = self.log_file();
        // The server keeps what it inherits open for as long as it runs.
        let started = command
            .args(["-w", "-t", "60", "start", "-o", &options, "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(&log)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
        assert!(started.is_ok_and(|status| status.success()), "{}", self.log());
    }

    /// Stops it in the way named: `fast`, or `immediate` as at a crash.
    pub fn stop(&self, how: &str) {
        run(self.command("pg_ctl").args(["-w", "-t", "60", "stop", "-m", how, "-D"]).arg(self.data()));
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the server has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://daybook@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.command("pg_ctl").args(["-w", "stop", "-m", "immediate", "-D"]).arg(self.data()).output();
    }
}

/// The folder of the newest PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    let all = |folder: &Path| ["initdb", "pg_ctl"].iter().all(|program| folder.join(program).is_file());
    on_path.chain(versions.into_iter().rev()).find(|folder| all(folder))
}

fn run(command: &mut Command) {
    let Output { status, stdout, stderr } = command.output().expect("the program can be run");
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {said}");
}
