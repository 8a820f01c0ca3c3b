//! Where exports can be brought: one table `[[destinations]]` each, in the file. Secrets stand in files or in the environment,
//! never there.

use anyhow::{Context, ensure};
use daybook_exports::delivery::{DestinationConfig, Destinations};
use daybook_ledger::LedgerId;
use serde::Deserialize;

/// Most destinations of an installation.
const MAX_DESTINATIONS: usize = 256;

/// One destination, as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DestinationEntry {
    /// The organisation whose exports may go there; the server's ledger where it is not said.
    pub organization: Option<LedgerId>,
    /// Its name, its kind, and what the kind needs.
    #[serde(flatten)]
    pub config: DestinationConfig,
}

/// All told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveriesSettings {
    destinations: Vec<(LedgerId, DestinationConfig)>,
}

impl DeliveriesSettings {
    /// From the file. Every secret is read once, so that a mistake shows at the start and not when something is delivered.
    pub(super) fn resolve(entries: Vec<DestinationEntry>, ledger: &LedgerId) -> anyhow::Result<Self> {
        ensure!(entries.len() <= MAX_DESTINATIONS, "there may be at most {MAX_DESTINATIONS} tables [[destinations]]");
        let of = |entry: DestinationEntry| (entry.organization.unwrap_or_else(|| ledger.clone()), entry.config);
        let settings = Self { destinations: entries.into_iter().map(of).collect() };
        let mut organizations: Vec<&LedgerId> = settings.destinations.iter().map(|(id, _)| id).collect();
        organizations.sort_unstable_by_key(|id| id.as_str());
        organizations.dedup();
        for id in organizations {
            settings.open(id)?;
        }
        Ok(settings)
    }

    /// The destinations of one organisation, with their secrets. Two may not have one name.
    pub fn open(&self, organization: &LedgerId) -> anyhow::Result<Destinations> {
        let configs: Vec<DestinationConfig> =
            self.destinations.iter().filter(|(id, _)| id == organization).map(|(_, config)| config.clone()).collect();
        Destinations::open(&configs).with_context(|| format!("a destination of {organization} is not valid"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[derive(Deserialize)]
    struct File {
        destinations: Vec<DestinationEntry>,
    }

    fn resolve(text: &str) -> anyhow::Result<DeliveriesSettings> {
        DeliveriesSettings::resolve(toml::from_str::<File>(text)?.destinations, &LedgerId::main())
    }

    fn names(settings: &DeliveriesSettings, organization: &str) -> Vec<String> {
        let destinations = settings.open(&organization.parse().unwrap()).unwrap();
        destinations.iter().map(|destination| destination.name().to_string()).collect()
    }

    #[test]
    fn each_organisation_has_its_own_destinations() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr\n").unwrap();
        let text = format!(
            "[[destinations]]\nname = \"archive\"\nkind = \"folder\"\npath = {:?}\n\
             [[destinations]]\nname = \"archive\"\norganization = \"acme\"\nkind = \"folder\"\npath = {:?}\n\
             [[destinations]]\nname = \"hook\"\norganization = \"acme\"\nkind = \"webhook\"\n\
             url = \"https://example.com/hook\"\nsecret = {{ file = {:?} }}\n",
            folder.path().join("a"),
            folder.path().join("b"),
            secret,
        );
        let settings = resolve(&text).unwrap();
        assert_eq!(names(&settings, "main"), ["archive"]);
        assert_eq!(names(&settings, "acme"), ["archive", "hook"]);
        assert!(names(&settings, "other").is_empty());
        assert!(!format!("{settings:?}").contains("MfKQ9"), "secrets are not printed");
        let twice = text.replace("\"hook\"", "\"archive\"");
        assert!(format!("{:#}", resolve(&twice).unwrap_err()).contains("archive"));
    }

    #[test]
    fn mistakes_show_at_the_start() {
        let base = "[[destinations]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://example.com/hook\"\n";
        for text in [
            format!("{base}secret = {{ file = \"/nowhere/secret\" }}"),
            format!("{base}secret = {{ environment = \"DAYBOOK_NO_SUCH_VARIABLE\" }}"),
            format!("{base}secret = \"whsec_inline\""),
            "[[destinations]]\nname = \"a\"\nkind = \"pigeon\"".to_owned(),
            "[[destinations]]\nname = \"a\"\nkind = \"folder\"".to_owned(),
            "[[destinations]]\nname = \"Not A Name\"\nkind = \"folder\"\npath = \"/tmp\"".to_owned(),
            "[[destinations]]\nname = \"a\"\nkind = \"folder\"\npath = \"/tmp\"\nbucket = \"b\"".to_owned(),
        ] {
            assert!(resolve(&text).is_err(), "{text}");
        }
    }
}
