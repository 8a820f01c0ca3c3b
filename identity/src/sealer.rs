//! Personal data as handlers that know nothing of keys ask for it.

use async_trait::async_trait;
use daybook_http_kit::Problem;
use daybook_http_kit::sealer::{SealedValue, Sealer};

use crate::personal::{Opened, Personal, PersonalData};
use crate::vault::VaultError;

#[async_trait]
impl Sealer for PersonalData {
    async fn seal(&self, subject: &str, field: &str, text: &str) -> Result<String, Problem> {
        let personal = PersonalData::seal(self, subject, field, text).await.map_err(vault_problem)?;
        Ok(personal.sealed)
    }

    async fn open_many(&self, values: &[SealedValue<'_>]) -> Result<Vec<String>, Problem> {
        let personal: Vec<Personal> = values
            .iter()
            .map(|value| Personal { subject: value.subject.to_owned(), sealed: value.sealed.to_owned() })
            .collect();
        let placed: Vec<(&Personal, &str)> =
            personal.iter().zip(values).map(|(personal, value)| (personal, value.field)).collect();
        let opened = PersonalData::open_many(self, &placed).await.map_err(vault_problem)?;
        Ok(opened.into_iter().map(Opened::into_shown).collect())
    }
}

/// The vault's refusals and failures in the words of HTTP.
pub fn vault_problem(error: VaultError) -> Problem {
    match &error {
        VaultError::Database(_) | VaultError::Random(_) | VaultError::Busy(_) | VaultError::File { .. } => {
            Problem::store_unavailable(&error)
        }
        VaultError::SubjectErased => Problem::conflict("user.erased", "the person's data was erased"),
        VaultError::TooLong { limit } => {
            Problem::bad_request("request.invalid", format!("a text about a person has at most {limit} bytes"))
        }
        _ => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use daybook_http_kit::sealer::{INCIDENT_COMMENT, TRANSACTION_NOTE};
    use daybook_ledger::LedgerId;

    use super::*;
    use crate::vault::{MasterKey, Vault};

    #[tokio::test]
    async fn handlers_get_texts_back_until_their_author_is_erased() {
        let folder = tempfile::tempdir().unwrap();
        let master = MasterKey::from_hex(&"07".repeat(32)).unwrap();
        let vault = Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap();
        let personal = PersonalData::new(vault, LedgerId::main());
        let sealer: &dyn Sealer = &personal;
        let sealed = sealer.seal("usr_1", INCIDENT_COMMENT, "She called.").await.unwrap();
        let other = sealer.seal("usr_2", INCIDENT_COMMENT, "He did not.").await.unwrap();
        assert_ne!(sealer.seal("usr_1", INCIDENT_COMMENT, "She called.").await.unwrap(), sealed);
        let value = |subject, sealed, field| SealedValue { subject, sealed, field };
        let values = [
            value("usr_1", &sealed, INCIDENT_COMMENT),
            value("usr_1", &sealed, TRANSACTION_NOTE),
            value("usr_2", &sealed, INCIDENT_COMMENT),
            value("usr_2", &other, INCIDENT_COMMENT),
        ];
        let shown = sealer.open_many(&values).await.unwrap();
        assert_eq!(shown, ["She called.", "unreadable", "unreadable", "He did not."]);
        personal.destroy("usr_1", 1).await.unwrap();
        let shown = sealer.open_many(&values).await.unwrap();
        assert_eq!(shown, ["erased", "erased", "unreadable", "He did not."]);
        let refusal = sealer.seal("usr_1", INCIDENT_COMMENT, "More.").await.unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (409, "user.erased"));
    }
}
