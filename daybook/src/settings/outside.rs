//! Who outside is shown the checkpoints: a time-stamping authority, and witnesses.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use daybook_reactors::{TimeStampAuthority, Witness, witnesses_of_policy};
use serde::Deserialize;

/// Seconds between two looks at whether a checkpoint lacks signatures of witnesses, unless said otherwise.
const DEFAULT_WITNESS_INTERVAL: u64 = 10;
/// Most seconds of either interval: a month.
const MAX_INTERVAL: u64 = 31 * 86_400;
/// Most witnesses.
const MAX_WITNESSES: usize = 100;

/// Time-stamping authority and witnesses. `serve` and `anchor` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct OutsideOptions {
    /// Time-stamping authority (RFC 3161) that confirms checkpoints
    #[arg(long, value_name = "URL", env = "DAYBOOK_TSA_URL", hide_env_values = true, help_heading = "Outside")]
    pub tsa_url: Option<String>,
    /// Root certificates (PEM) that the authority's tokens must lead to; there are none by default
    #[arg(long, value_name = "FILE", env = "DAYBOOK_TSA_ROOTS", help_heading = "Outside")]
    pub tsa_roots: Option<PathBuf>,
    /// Get a token over the newest checkpoint every so many seconds; 0 only on request [default: 0]
    #[arg(long = "anchor-interval", value_name = "SECONDS", env = "DAYBOOK_ANCHOR_INTERVAL", help_heading = "Outside")]
    pub anchor_interval_seconds: Option<u64>,
    /// Have checkpoints signed by the witnesses of this policy file (C2SP tlog-policy) that have a URL
    #[arg(long, value_name = "FILE", env = "DAYBOOK_WITNESS_POLICY", help_heading = "Outside")]
    pub witness_policy: Option<PathBuf>,
    /// Seconds between two looks at whether a witness has yet to sign [default: 10]
    #[arg(
        long = "witness-interval",
        value_name = "SECONDS",
        env = "DAYBOOK_WITNESS_INTERVAL",
        help_heading = "Outside"
    )]
    pub witness_interval_seconds: Option<u64>,
    /// Witnesses in the file.
    #[arg(skip)]
    pub witness: Vec<WitnessOptions>,
}

/// One `[[witness]]` of the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessOptions {
    /// Its submission prefix.
    url: String,
    /// Its verifier key.
    key: String,
}

/// All told.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideSettings {
    /// Whose tokens are recorded.
    pub authority: Option<TimeStampAuthority>,
    /// Root certificates, where some were given: enough to verify what was recorded.
    pub roots_pem: Option<String>,
    /// Time between tokens; none where there are none by themselves.
    pub anchor_interval: Option<Duration>,
    /// Who signs checkpoints.
    pub witnesses: Vec<Witness>,
    /// Time between two looks at whether a witness has yet to sign.
    pub witness_interval: Duration,
}

impl OutsideSettings {
    /// From flags and environment (`options`) and the file. Reads the files that they name.
    pub(super) fn resolve(options: OutsideOptions, file: OutsideOptions) -> anyhow::Result<Self> {
        let roots = options.tsa_roots.or(file.tsa_roots).filter(|path| !path.as_os_str().is_empty());
        let roots_pem = roots
            .map(|path| {
                std::fs::read_to_string(&path)
                    .with_context(|| format!("the root certificates in {} cannot be read", path.display()))
            })
            .transpose()?;
        let url = options.tsa_url.or(file.tsa_url).filter(|url| !url.is_empty());
        let authority = match (url, &roots_pem) {
            (Some(url), Some(roots)) => Some(TimeStampAuthority::new(&url, roots.clone())?),
            (Some(_), None) => {
                anyhow::bail!("tsa_url needs tsa_roots: a token that leads to no known root certificate proves nothing")
            }
            (None, _) => None,
        };
        let interval = options.anchor_interval_seconds.or(file.anchor_interval_seconds).filter(|seconds| *seconds > 0);
        ensure!(interval.is_none() || authority.is_some(), "anchor_interval_seconds needs tsa_url and tsa_roots");
        let looks = options.witness_interval_seconds.or(file.witness_interval_seconds);
        let looks = looks.unwrap_or(DEFAULT_WITNESS_INTERVAL);
        for (name, seconds) in [("anchor_interval_seconds", interval.unwrap_or(1)), ("witness_interval_seconds", looks)]
        {
            ensure!((1..=MAX_INTERVAL).contains(&seconds), "{name} must be 1 to {MAX_INTERVAL}");
        }
        Ok(Self {
            authority,
            roots_pem,
            anchor_interval: interval.map(Duration::from_secs),
            witnesses: witnesses(options.witness_policy.or(file.witness_policy), &file.witness)?,
            witness_interval: Duration::from_secs(looks),
        })
    }
}

/// The witnesses of the policy file and of the configuration file; each name once.
fn witnesses(policy: Option<PathBuf>, listed: &[WitnessOptions]) -> anyhow::Result<Vec<Witness>> {
    let mut witnesses = Vec::new();
    if let Some(path) = policy.filter(|path| !path.as_os_str().is_empty()) {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the witness policy {} cannot be read", path.display()))?;
        witnesses = witnesses_of_policy(&text)
            .with_context(|| format!("the witness policy {} is not valid", path.display()))?;
    }
    for WitnessOptions { url, key } in listed {
        let witness = key.parse().map_err(anyhow::Error::new).and_then(|key| Ok(Witness::new(url, key)?));
        witnesses.push(witness.with_context(|| format!("the witness with the key {key:?} is not valid"))?);
    }
    ensure!(witnesses.len() <= MAX_WITNESSES, "there are more than {MAX_WITNESSES} witnesses");
    for (index, witness) in witnesses.iter().enumerate() {
        let is_repeated = witnesses.iter().take(index).any(|other| other.name() == witness.name());
        ensure!(!is_repeated, "the witness {} is there twice", witness.name());
    }
    Ok(witnesses)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    const KEY: &str = "witness.example/w1+eb762cc2+BNdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

    fn resolve(text: &str) -> anyhow::Result<OutsideSettings> {
        OutsideSettings::resolve(OutsideOptions::default(), toml::from_str(text)?)
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", resolve(text).unwrap_err())
    }

    #[test]
    fn nobody_outside_is_asked_unless_said() {
        let settings = resolve("").unwrap();
        assert!(settings.authority.is_none() && settings.anchor_interval.is_none() && settings.witnesses.is_empty());
        assert_eq!(settings.witness_interval, Duration::from_secs(10));
    }

    #[test]
    fn authority_needs_roots_and_a_schedule_needs_an_authority() {
        assert!(refusal("tsa_url = \"http://tsa.example\"").contains("tsa_roots"));
        assert!(refusal("anchor_interval_seconds = 60").contains("tsa_url"));
        assert!(refusal("tsa_roots = \"/nowhere/roots.pem\"").contains("/nowhere/roots.pem"));
        assert!(resolve("anchor_interval_seconds = 0").unwrap().anchor_interval.is_none());
        assert!(refusal("witness_interval_seconds = 0").contains("witness_interval_seconds"));
    }

    #[test]
    fn roots_that_are_none_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let roots = folder.path().join("roots.pem");
        std::fs::write(&roots, "nothing").unwrap();
        let text = format!("tsa_url = \"http://tsa.example\"\ntsa_roots = {:?}", roots.display().to_string());
        assert!(refusal(&text).contains("root certificates cannot be used"));
    }

    #[test]
    fn witnesses_come_from_both_files_and_each_once() {
        let witness = |url: &str| format!("[[witness]]\nurl = \"{url}\"\nkey = \"{KEY}\"\n");
        let found = resolve(&witness("https://w.example/")).unwrap().witnesses;
        assert_eq!(found.iter().map(Witness::name).collect::<Vec<_>>(), ["witness.example/w1"]);
        assert!(refusal(&format!("{0}{0}", witness("https://w.example"))).contains("twice"));
        assert!(refusal(&witness("w.example")).contains("not a URL"));
        assert!(refusal("[[witness]]\nurl = \"http://w\"\nkey = \"w\"\n").contains("has the form"));
        assert!(refusal("[[witness]]\nurl = \"http://w\"\n").contains("key"));

        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy");
        std::fs::write(&policy, format!("witness one {KEY} http://w.example/\nquorum one\n")).unwrap();
        let from_policy = format!("witness_policy = {:?}\n", policy.display().to_string());
        assert_eq!(resolve(&from_policy).unwrap().witnesses, resolve(&witness("http://w.example")).unwrap().witnesses);
        assert!(refusal(&format!("{from_policy}{}", witness("http://w.example"))).contains("twice"));
    }
}
