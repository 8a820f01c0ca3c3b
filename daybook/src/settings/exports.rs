//! Exports: where their files are, and how often making and delivering them is tried.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use daybook_ledger::LedgerId;
use daybook_reactors::{ExportSettings, Pacing};
use serde::Deserialize;

/// Attempts to make a file, unless said otherwise.
const DEFAULT_EXPORT_ATTEMPTS: u32 = 5;
/// Seconds after the first failure to make one.
const DEFAULT_EXPORT_PAUSE: u64 = 10;
/// Attempts of a delivery.
const DEFAULT_DELIVERY_ATTEMPTS: u32 = 12;
/// Seconds after the first failure of one. With twelve attempts and pauses that double, one is given up after about a day.
const DEFAULT_DELIVERY_PAUSE: u64 = 30;
/// Longest pause of either, in seconds.
const LONGEST_PAUSE: u64 = 4 * 3_600;
/// Longest time for which files are kept before they are removed: a hundred years.
const MAX_DAYS: u32 = 36_525;
/// Most attempts of either.
const MAX_ATTEMPTS: u32 = 100;

/// Flags and file entries. `serve` and `demo` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct ExportOptions {
    /// Folder of the files of exports, the same for all processes [default: <DIR>/exports]
    #[arg(long, value_name = "DIR", env = "DAYBOOK_EXPORT_FOLDER", help_heading = "Exports")]
    pub export_folder: Option<PathBuf>,
    /// How often making a file is tried before the export fails [default: 5]
    #[arg(long, value_name = "N", env = "DAYBOOK_EXPORT_ATTEMPTS", help_heading = "Exports")]
    pub export_attempts: Option<u32>,
    /// Seconds before it is tried again; twice as long each time, up to four hours [default: 10]
    #[arg(long = "export-pause", value_name = "SECONDS", env = "DAYBOOK_EXPORT_PAUSE", help_heading = "Exports")]
    pub export_pause_seconds: Option<u64>,
    /// How often a delivery is tried before it is given up [default: 12]
    #[arg(long, value_name = "N", env = "DAYBOOK_DELIVERY_ATTEMPTS", help_heading = "Exports")]
    pub delivery_attempts: Option<u32>,
    /// Seconds before it is tried again; twice as long each time, up to four hours [default: 30]
    #[arg(long = "delivery-pause", value_name = "SECONDS", env = "DAYBOOK_DELIVERY_PAUSE", help_heading = "Exports")]
    pub delivery_pause_seconds: Option<u64>,
    /// After how many days the files of exports are removed, unless a hold or a retention rule keeps them [default: never]
    #[arg(long, value_name = "DAYS", env = "DAYBOOK_EXPORT_KEEP_FILES_DAYS", help_heading = "Exports")]
    pub export_keep_files_days: Option<u32>,
}

/// All told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportsSettings {
    /// The folder with a folder for each organisation.
    pub folder: PathBuf,
    /// Attempts and pauses.
    pub driver: ExportSettings,
}

impl ExportsSettings {
    /// From flags and environment (`options`), and the file; `public_url` is where people reach the installation.
    pub(super) fn resolve(
        options: ExportOptions,
        file: ExportOptions,
        data: &Path,
        public_url: Option<&str>,
    ) -> anyhow::Result<Self> {
        let folder = options.export_folder.or(file.export_folder).filter(|folder| !folder.as_os_str().is_empty());
        let generation = pacing(
            "export",
            options.export_attempts.or(file.export_attempts).unwrap_or(DEFAULT_EXPORT_ATTEMPTS),
            options.export_pause_seconds.or(file.export_pause_seconds).unwrap_or(DEFAULT_EXPORT_PAUSE),
        )?;
        let delivery = pacing(
            "delivery",
            options.delivery_attempts.or(file.delivery_attempts).unwrap_or(DEFAULT_DELIVERY_ATTEMPTS),
            options.delivery_pause_seconds.or(file.delivery_pause_seconds).unwrap_or(DEFAULT_DELIVERY_PAUSE),
        )?;
        Ok(Self {
            folder: folder.unwrap_or_else(|| data.join("exports")),
            driver: ExportSettings {
                generation,
                delivery,
                keep_files_days: keep_files_days(options.export_keep_files_days.or(file.export_keep_files_days))?,
                software: env!("CARGO_PKG_VERSION").to_owned(),
                public_url: public_url.map(str::parse).transpose()?,
            },
        })
    }

    /// The folder of one organisation's files.
    pub fn folder_of(&self, ledger: &LedgerId) -> PathBuf {
        self.folder.join(ledger.as_str())
    }
}

fn keep_files_days(days: Option<u32>) -> anyhow::Result<Option<u32>> {
    let is_sensible = days.is_none_or(|days| (1..=MAX_DAYS).contains(&days));
    ensure!(is_sensible, "export_keep_files_days must be 1 to {MAX_DAYS}; files are kept for ever where it is not set");
    Ok(days)
}

fn pacing(name: &str, attempts: u32, pause: u64) -> anyhow::Result<Pacing> {
    ensure!((1..=MAX_ATTEMPTS).contains(&attempts), "{name}_attempts must be 1 to {MAX_ATTEMPTS}");
    ensure!((1..=LONGEST_PAUSE).contains(&pause), "{name}_pause_seconds must be 1 to {LONGEST_PAUSE}");
    Ok(Pacing { attempts, first: Duration::from_secs(pause), longest: Duration::from_secs(LONGEST_PAUSE) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn resolve(text: &str) -> anyhow::Result<ExportsSettings> {
        ExportsSettings::resolve(
            ExportOptions::default(),
            toml::from_str(text)?,
            Path::new("/data"),
            Some("https://daybook.example"),
        )
    }

    #[test]
    fn files_are_in_the_data_folder_apart_for_each_organisation_unless_said() {
        let settings = resolve("").unwrap();
        assert_eq!(settings.folder_of(&"acme".parse().unwrap()), PathBuf::from("/data/exports/acme"));
        assert_eq!((settings.driver.generation.attempts, settings.driver.delivery.attempts), (5, 12));
        let settings =
            resolve("export_folder = \"/srv/out\"\ndelivery_attempts = 2\ndelivery_pause_seconds = 1").unwrap();
        assert_eq!(settings.folder_of(&LedgerId::main()), PathBuf::from("/srv/out/main"));
        assert_eq!(settings.driver.delivery.pause(5), Duration::from_secs(16));
        assert_eq!(settings.driver.keep_files_days, None);
        assert_eq!(resolve("export_keep_files_days = 90").unwrap().driver.keep_files_days, Some(90));
    }

    #[test]
    fn attempts_and_pauses_are_bounded() {
        for text in [
            "export_attempts = 0",
            "delivery_attempts = 101",
            "export_pause_seconds = 0",
            "delivery_pause_seconds = 14401",
            "export_keep_files_days = 0",
            "export_keep_files_days = 36526",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
