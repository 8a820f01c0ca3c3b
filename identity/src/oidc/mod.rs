//! Login at other providers (OpenID Connect): who they are, what is asked of them, and what their answers are worth.
//!
//! The protocol is `openidconnect`'s business: discovery, PKCE, the token request, the checks of an ID token. Here is what
//! it leaves open: which addresses are asked, how long and how much of an answer is read, how long keys are trusted, which
//! algorithms count. Who may come in is decided elsewhere.

mod client;
mod error;
mod outbound;
mod provider;
mod settings;

use std::sync::Arc;

use daybook_ledger::LedgerId;

pub use self::client::{Person, Remembered};
pub use self::error::OidcError;
pub use self::provider::Provider;
pub use self::settings::{OidcSettings, OidcSettingsError, RawOidcSettings};

/// Every provider of the installation. Cheap to clone; all clones share what was fetched.
#[derive(Debug, Clone, Default)]
pub struct Providers(Arc<[Arc<Provider>]>);

impl Providers {
    /// Those of the settings. Nobody is asked anything yet. Names are unique.
    pub fn new(settings: impl IntoIterator<Item = OidcSettings>) -> Result<Self, OidcSettingsError> {
        let mut providers: Vec<Arc<Provider>> = Vec::new();
        for settings in settings {
            if providers.iter().any(|known| known.name() == settings.name.as_str()) {
                return Err(OidcSettingsError::Twice(settings.name.to_string()));
            }
            providers.push(Arc::new(Provider::new(settings)?));
        }
        Ok(Self(providers.into()))
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.iter().find(|provider| provider.name() == name)
    }

    /// Those whose people come into `organization`, in the order of the settings.
    pub fn of<'a>(&'a self, organization: &'a LedgerId) -> impl Iterator<Item = &'a Arc<Provider>> {
        self.0.iter().filter(move |provider| provider.settings().organization == *organization)
    }
}
