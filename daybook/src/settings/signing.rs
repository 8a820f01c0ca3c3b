//! Who signs checkpoints, and as whom. Every command takes these: the server signs, the others list keys and compare.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::{ArgAction, Args};
use daybook_ledger::LedgerId;
use daybook_ledger::checkpoint::CheckpointMemory;
use daybook_ledger::keys::{KeyRingOptions, SecretPem, SigningKeySource};
use daybook_ledger::note::is_key_name;
use serde::Deserialize;

/// What checkpoints are signed as unless said otherwise; the ledger's id follows.
const DEFAULT_ORIGIN: &str = "daybook.local";
/// The environment variable with a whole private key in it.
pub const SIGNING_KEY_VARIABLE: &str = "DAYBOOK_SIGNING_KEY";
/// Days that a key signs beside its successor unless said otherwise.
pub const DEFAULT_OVERLAP_DAYS: u32 = 7;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Keys and names.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct SigningOptions {
    /// What checkpoints are signed as: <NAME>/<ledger>, a domain of yours for example [default: daybook.local]
    #[arg(long, global = true, value_name = "NAME", env = "DAYBOOK_ORIGIN", help_heading = "Signing")]
    pub origin: Option<String>,
    /// Folder of the signing keys and of the checkpoint signed last [default: <DIR>/keys]
    #[arg(long, global = true, value_name = "DIR", env = "DAYBOOK_KEYS", help_heading = "Signing")]
    pub keys: Option<PathBuf>,
    /// Sign with this P-256 key (PKCS#8 PEM) instead of one made in the folder; DAYBOOK_SIGNING_KEY holds the PEM itself
    #[arg(long, global = true, value_name = "FILE", help_heading = "Signing")]
    pub signing_key: Option<PathBuf>,
    /// Add an Ed25519 signature, for witnesses that know nothing else [default: false]
    #[arg(
        long,
        global = true,
        env = "DAYBOOK_ED25519_SIGNATURE",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Signing"
    )]
    pub ed25519_signature: Option<bool>,
}

/// All told.
#[derive(Debug, Clone, PartialEq)]
pub struct SigningSettings {
    /// What comes before the ledger's id.
    pub origin: String,
    /// The folder.
    pub keys: PathBuf,
    /// Where the P-256 key comes from.
    pub source: SigningKeySource,
    /// Whether an Ed25519 key signs as well.
    pub ed25519: bool,
}

impl SigningSettings {
    /// From flags and environment (`options`), the PEM in the environment, and the file.
    pub(super) fn resolve(
        options: SigningOptions,
        given: Option<String>,
        file: SigningOptions,
        data: &Path,
    ) -> anyhow::Result<Self> {
        let given = given.filter(|pem| !pem.trim().is_empty());
        let source = match (options.signing_key, given, file.signing_key) {
            (Some(file), _, _) | (None, None, Some(file)) => SigningKeySource::File(file),
            (None, Some(pem), _) => SigningKeySource::Given(SecretPem::new(pem)),
            (None, None, None) => SigningKeySource::Folder,
        };
        let origin = options.origin.or(file.origin).unwrap_or_else(|| DEFAULT_ORIGIN.to_owned());
        let origin = origin.trim_end_matches('/').to_owned();
        ensure!(
            is_key_name(&origin),
            "origin must be a name such as ledger.example.com, without spaces and plus signs"
        );
        Ok(Self {
            origin,
            keys: options.keys.or(file.keys).unwrap_or_else(|| data.join("keys")),
            source,
            ed25519: options.ed25519_signature.or(file.ed25519_signature).unwrap_or(false),
        })
    }

    /// What the checkpoints of `ledger` are signed as.
    pub fn origin_of(&self, ledger: &LedgerId) -> String {
        format!("{}/{ledger}", self.origin)
    }

    /// Where the keys of `ledger` and the checkpoint signed last are: a folder of its own, named after it. The ledger that the
    /// installation names (`is_named`), and one that signed there before, have the folder itself.
    pub fn folder_of(&self, ledger: &LedgerId, is_named: bool) -> PathBuf {
        let own = self.keys.join(ledger.as_str());
        let signed_here = || CheckpointMemory::new(&self.keys, ledger, &self.origin_of(ledger)).path().is_file();
        if !own.is_dir() && (is_named || signed_here()) { self.keys.clone() } else { own }
    }

    /// What a key ring of `ledger` is opened with.
    pub fn ring_options(&self, ledger: &LedgerId, is_named: bool, overlap_days: u32) -> KeyRingOptions {
        KeyRingOptions {
            folder: self.folder_of(ledger, is_named),
            origin: self.origin_of(ledger),
            source: self.source.clone(),
            ed25519: self.ed25519,
            overlap_micros: i64::from(overlap_days) * MICROS_PER_DAY,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn resolve(options: SigningOptions, given: Option<&str>, file: SigningOptions) -> SigningSettings {
        SigningSettings::resolve(options, given.map(str::to_owned), file, Path::new("/data")).unwrap()
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = resolve(SigningOptions::default(), Some(" \n"), SigningOptions::default());
        assert_eq!(settings.keys, PathBuf::from("/data/keys"));
        assert_eq!(settings.origin_of(&LedgerId::main()), "daybook.local/main");
        assert_eq!((settings.source, settings.ed25519), (SigningKeySource::Folder, false));
    }

    #[test]
    fn ledgers_have_folders_of_their_own_but_for_those_that_signed_before() {
        let folder = tempfile::tempdir().unwrap();
        let options = SigningOptions { keys: Some(folder.path().to_owned()), ..SigningOptions::default() };
        let settings = resolve(options, None, SigningOptions::default());
        let (main, other) = (LedgerId::main(), "other".parse::<LedgerId>().unwrap());
        assert_eq!(settings.folder_of(&main, true), folder.path());
        assert_eq!(settings.folder_of(&other, false), folder.path().join("other"));
        std::fs::write(folder.path().join("last-checkpoint-main.txt"), "").unwrap();
        assert_eq!(settings.folder_of(&main, false), folder.path(), "another ledger is named now");
        std::fs::create_dir(folder.path().join("other")).unwrap();
        assert_eq!(settings.folder_of(&other, true), folder.path().join("other"));
    }

    #[test]
    fn flag_goes_before_environment_and_environment_before_the_file() {
        let options = |file: &str| SigningOptions { signing_key: Some(file.into()), ..SigningOptions::default() };
        let none = SigningOptions::default;
        let flag = resolve(options("/flag.pem"), Some("PEM"), options("/file.pem"));
        assert_eq!(flag.source, SigningKeySource::File("/flag.pem".into()));
        let environment = resolve(none(), Some("PEM"), options("/file.pem"));
        assert_eq!(environment.source, SigningKeySource::Given(SecretPem::new("PEM".to_owned())));
        assert!(!format!("{environment:?}").contains("PEM\""), "a key is never printed");
        assert_eq!(resolve(none(), None, options("/file.pem")).source, SigningKeySource::File("/file.pem".into()));
    }

    #[test]
    fn origin_that_cannot_name_a_key_is_refused() {
        for origin in ["", "a b", "a+b", "/"] {
            let options = SigningOptions { origin: Some(origin.to_owned()), ..SigningOptions::default() };
            let resolved = SigningSettings::resolve(options, None, SigningOptions::default(), Path::new("/data"));
            assert!(resolved.is_err(), "{origin:?}");
        }
    }
}
