//! One provider, with what it says of itself: kept for an hour, used for a day where it cannot be renewed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, ProviderMetadata};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::error::OidcError;
use super::outbound::Outbound;
use super::settings::{OidcSettings, OidcSettingsError};

/// How long metadata and keys are used without asking again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long they are used where asking again fails.
const USABLE: Duration = Duration::from_secs(86_400);
/// Between two attempts, where the last one failed or a key was missing.
const PAUSE: Duration = Duration::from_secs(5);
/// For metadata and keys together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(15);

/// What is read of the metadata beside what the library knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    /// Whether answers name the issuer (RFC 9207).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Extra {}

/// What a provider says of itself, with its keys.
pub(super) type Metadata = ProviderMetadata<
    Extra,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Metadata, and since when.
#[derive(Debug, Clone)]
pub(super) struct Fetched {
    pub(super) metadata: Arc<Metadata>,
    pub(super) at: Instant,
}

#[derive(Debug, Default)]
struct Cache {
    fetched: Option<Fetched>,
    tried_at: Option<Instant>,
    failure: Option<String>,
}

/// One provider.
#[derive(Debug)]
pub struct Provider {
    settings: OidcSettings,
    issuer: IssuerUrl,
    outbound: Outbound,
    cache: Mutex<Cache>,
}

impl Provider {
    /// Asks nobody anything.
    pub(super) fn new(settings: OidcSettings) -> Result<Self, OidcSettingsError> {
        let invalid =
            |detail: String| OidcSettingsError::Invalid { name: settings.name.to_string(), field: "issuer", detail };
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|error| invalid(error.to_string()))?;
        let outbound = Outbound::new(issuer.url()).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { settings, issuer, outbound, cache: Mutex::default() })
    }

    /// What it is called here.
    pub fn name(&self) -> &str {
        self.settings.name.as_str()
    }

    /// What the installation says of it.
    pub fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    pub(super) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Makes sure that it is known what the provider says of itself.
    pub async fn reach(&self) -> Result<(), OidcError> {
        self.fetched(None).await.map(|_| ())
    }

    /// Whether the provider an answer came from, if the answer names one, is this one (RFC 9207).
    pub async fn is_issuer(&self, named: Option<&str>) -> Result<bool, OidcError> {
        match named {
            Some(named) => Ok(named == self.settings.issuer),
            None => {
                let metadata = self.fetched(None).await?.metadata;
                Ok(!metadata.additional_metadata().authorization_response_iss_parameter_supported)
            }
        }
    }

    /// Metadata and keys; those of `outdated` will not do. One task asks, the others wait for it.
    pub(super) async fn fetched(&self, outdated: Option<Instant>) -> Result<Fetched, OidcError> {
        let mut cache = self.cache.lock().await;
        let wanted = |fetched: &&Fetched| fetched.at.elapsed() < FRESH && outdated.is_none_or(|at| fetched.at > at);
        if let Some(fetched) = cache.fetched.as_ref().filter(wanted) {
            return Ok(fetched.clone());
        }
        if cache.tried_at.is_none_or(|at| at.elapsed() >= PAUSE) {
            cache.tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(metadata) => {
                    let fetched = Fetched { metadata: Arc::new(metadata), at: Instant::now() };
                    (cache.fetched, cache.failure) = (Some(fetched.clone()), None);
                    return Ok(fetched);
                }
                Err(failure) => {
                    tracing::warn!(provider = self.name(), failure, "an OIDC provider could not be asked");
                    cache.failure = Some(failure);
                }
            }
        }
        match cache.fetched.as_ref().filter(|fetched| fetched.at.elapsed() < USABLE) {
            Some(fetched) => Ok(fetched.clone()),
            None => Err(OidcError::Unavailable(cache.failure.clone().unwrap_or_default())),
        }
    }

    async fn fetch(&self) -> Result<Metadata, String> {
        let fetching = Metadata::discover_async(self.issuer.clone(), &self.outbound);
        let metadata = match tokio::time::timeout(FETCH_TIMEOUT, fetching).await {
            Ok(answer) => answer.map_err(|error| described(&error))?,
            Err(_) => return Err("not in time".to_owned()),
        };
        let token_endpoint = metadata.token_endpoint().map(|endpoint| endpoint.url());
        let userinfo_endpoint = metadata.userinfo_endpoint().map(|endpoint| endpoint.url());
        let endpoints: Vec<&Url> = [Some(metadata.authorization_endpoint().url()), token_endpoint, userinfo_endpoint]
            .into_iter()
            .flatten()
            .collect();
        if token_endpoint.is_none() {
            return Err("it names no token endpoint".to_owned());
        }
        match endpoints.into_iter().find(|endpoint| !self.outbound.allows(endpoint)) {
            Some(endpoint) => Err(format!("{endpoint} is not an address that it may have")),
            None => Ok(metadata),
        }
    }
}

/// An error with what led to it, for logs.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
