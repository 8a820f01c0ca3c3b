//! The commands, and the arguments that they share.

pub mod check;
pub mod diff;
pub mod export;
pub mod prove;
pub mod remember;
pub mod replay;
pub mod report;
pub mod verify;

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use daybook_auditor::Source;
use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::examine::{Assignment, Examination, examine};
use daybook_auditor::keys::TrustedKeys;
use daybook_auditor::memory::Memory;
use daybook_auditor::policy::Policy;
use daybook_auditor::seen::EntryViewer;
use daybook_auditor::trust::Brought;

use crate::progress::Progress;

/// Most bytes of a file that is read whole.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where to read.
#[derive(Debug, Clone, Args)]
pub struct SourceArguments {
    /// SQLite file, data folder, postgres://…, http(s)://… or bundle.zip
    source: String,
    /// Only this ledger
    #[arg(long, value_name = "ID")]
    ledger: Option<String>,
    /// Bearer token for a server
    #[arg(long, env = "DAYBOOK_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Most findings listed for one ledger; all are counted
    #[arg(long, default_value_t = 100, value_name = "N")]
    max_findings: usize,
}

impl SourceArguments {
    /// The source by the form of its name.
    pub fn source(&self) -> anyhow::Result<Source> {
        source_of(&self.source, self.token.as_deref())
    }

    /// The source's name without passwords.
    pub fn label(&self) -> String {
        label_of(&self.source)
    }

    /// The ledger that is meant where there must be one.
    pub fn one_ledger(&self) -> &str {
        self.ledger.as_deref().unwrap_or("main")
    }

    /// The same source, one ledger of it.
    pub fn with_ledger(&self, ledger: &str) -> Self {
        Self { ledger: Some(ledger.to_owned()), ..self.clone() }
    }

    /// What to examine.
    pub fn assignment(&self, viewer: Option<EntryViewer>) -> anyhow::Result<Assignment> {
        Ok(Assignment {
            source: self.source()?,
            label: self.label(),
            ledger: self.ledger.clone(),
            max_findings: self.max_findings,
            viewer,
        })
    }
}

/// What the auditor brings.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustArguments {
    /// A checkpoint that was kept
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
    /// PEM certificates of time-stamping authorities that count
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArguments,
}

/// Whose signatures count.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyArguments {
    /// Keys that count: one verifier key a line, with from=… and until=…, or PEM public keys
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Which witnesses must have cosigned (C2SP tlog-policy)
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
}

impl KeyArguments {
    /// Reads the files.
    pub fn read(&self) -> anyhow::Result<Brought> {
        Ok(Brought {
            keys: parsed(self.keys.as_deref(), TrustedKeys::parse)?,
            policy: parsed(self.witness_policy.as_deref(), Policy::parse)?,
            ..Brought::default()
        })
    }
}

/// Where earlier visits are remembered.
#[derive(Debug, Clone, Default, Args)]
pub struct MemoryArguments {
    /// Folder of what `remember` kept [default: ~/.daybook-auditor]
    #[arg(long, value_name = "DIR")]
    memory: Option<PathBuf>,
}

impl MemoryArguments {
    /// The folder that holds one folder a log.
    pub fn folder(&self) -> Option<PathBuf> {
        let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
        self.memory.clone().or_else(|| home().map(|home| home.join(".daybook-auditor")))
    }

    /// Reads all memories. Those of other logs are left out when the source is known.
    pub fn read(&self, brought: &mut Brought) -> anyhow::Result<()> {
        if let Some(folder) = self.folder() {
            brought.memories = Memory::load_all(&folder)?;
        }
        Ok(())
    }
}

impl TrustArguments {
    /// Reads the files.
    pub fn read(&self) -> anyhow::Result<Brought> {
        let mut brought = self.keys.read()?;
        brought.checkpoint = parsed(self.checkpoint.as_deref(), Checkpoint::parse)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        brought.tsa_roots = parsed(self.tsa_roots.as_deref(), text)?;
        if let Some(roots) = &brought.tsa_roots {
            daybook_time_stamping::check_roots(roots).context("--tsa-roots")?;
        }
        self.memory.read(&mut brought)?;
        Ok(brought)
    }
}

/// Examines a source and shows progress.
pub async fn examined(
    arguments: &SourceArguments,
    brought: &Brought,
    viewer: Option<EntryViewer>,
) -> anyhow::Result<Examination> {
    let progress = Progress::new();
    examine(arguments.assignment(viewer)?, brought, |step| progress.show(&step))
        .await
        .with_context(|| format!("cannot read {}", arguments.label()))
}

/// Reads a small file whole, `-` for standard input.
pub fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        bail!("{} is longer than {MAX_FILE_BYTES} bytes", path.display());
    }
    Ok(bytes)
}

/// Reads and parses a file that may have been named.
pub fn parsed<T, E: std::error::Error + Send + Sync + 'static>(
    path: Option<&Path>,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> anyhow::Result<Option<T>> {
    let Some(path) = path else { return Ok(None) };
    let bytes = read_file(path)?;
    parse(&bytes).map(Some).with_context(|| path.display().to_string())
}

/// Writes to a file, or to standard output. A reader that has gone away is no failure.
pub fn write_out(path: Option<&Path>, text: &str) -> anyhow::Result<()> {
    if let Some(path) = path {
        return std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()));
    }
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
    }
}

/// A value as JSON on standard output or in a file.
pub fn write_json(path: Option<&Path>, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write_out(path, &text)
}

fn source_of(text: &str, token: Option<&str>) -> anyhow::Result<Source> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Source::Postgres(text.to_owned()));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        let url = text.trim_end_matches('/').to_owned();
        return Ok(Source::Server { url, token: token.map(str::to_owned) });
    }
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(Source::Sqlite(path.join("ledger.db")));
    }
    let mut magic = [0; 4];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) if magic == *b"PK\x03\x04" || magic == *b"PK\x05\x06" => Ok(Source::Bundle(path)),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
            Err(error).with_context(|| format!("cannot read {text}"))
        }
        _ => Ok(Source::Sqlite(path)),
    }
}

/// The source's name without what stands before an `@` in its address, and without what a query may hide.
fn label_of(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        let path = std::path::absolute(text).unwrap_or_else(|_| PathBuf::from(text));
        return path.display().to_string();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) =
        rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_hold_no_password() {
        for (url, label) in [
            ("postgres://user:p@ss@db.example:5432/ledger?password=x", "postgres://db.example:5432/ledger"),
            ("postgres:///ledger?host=/run", "postgres:///ledger"),
            ("https://u:p@ledger.example", "https://ledger.example"),
        ] {
            assert_eq!(label_of(url), label);
        }
    }
}
