//! Personal data as handlers that know nothing of keys ask for it.

use async_trait::async_trait;
use daybook_http_kit::Problem;
use daybook_http_kit::sealer::{SealedValue, Sealer};

use crate::personal::{Opened, Personal, PersonalData};
use crate::vault::VaultError;

#[async_trait]
impl Sealer for PersonalData {
    async fn seal(&self, subject: &str, field: &str, text: &str) -> Result<String, Problem> {
        let personal = PersonalData::seal(self, subject, field, text).await.map_err(problem)?;
        Ok(personal.sealed)
    }

    async fn open_many(&self, values: &[SealedValue<'_>]) -> Result<Vec<String>, Problem> {
        let personal: Vec<Personal> = values
            .iter()
            .map(|value| Personal { subject: value.subject.to_owned(), sealed: value.sealed.to_owned() })
            .collect();
        let placed: Vec<(&Personal, &str)> =
            personal.iter().zip(values).map(|(personal, value)| (personal, value.field)).collect();
        let opened = PersonalData::open_many(self, &placed).await.map_err(problem)?;
        Ok(opened.into_iter().map(Opened::into_shown).collect())
    }
}

fn problem(error: VaultError) -> Problem {
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
