//! The authorisation code flow with PKCE: where somebody is sent, and what comes of the code that he returns with.

use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, TokenResponse as _, UserInfoError,
};
use serde::{Deserialize, Serialize};

use super::error::OidcError;
use super::provider::{Fetched, Metadata, Provider, described};
use crate::secret::Secret;

/// Signatures that count: what every provider has to offer, and the short one.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 2] =
    [CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EcdsaP256Sha256];
/// How far the provider's clock may be off, in microseconds.
const CLOCK_SKEW: i64 = 60_000_000;
/// The method by which a provider says that somebody has shown more than one factor (RFC 8176).
const MULTIPLE_FACTORS: &str = "mfa";

type ReadyClient =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What has to be remembered between leaving and coming back. Secret: not for whoever is sent away.
#[derive(Clone, Serialize, Deserialize)]
pub struct Remembered {
    nonce: String,
    verifier: String,
}

impl Remembered {
    /// Fresh and random.
    pub fn new() -> Self {
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        Self { nonce: Nonce::new_random().secret().clone(), verifier: verifier.into_secret() }
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Remembered(…)")
    }
}

/// Somebody a provider vouches for. Without `Debug`: all of it is about a person.
#[derive(Clone)]
pub struct Person {
    /// What the provider calls him; it does not change.
    pub subject: String,
    /// His address.
    pub email: Option<String>,
    /// Whether the provider says that the address is his.
    pub is_email_verified: bool,
    /// His name.
    pub full_name: Option<String>,
    /// Whether he has shown more than one factor there.
    pub has_multiple_factors: bool,
}

impl Provider {
    /// Where to send somebody who wants to come in. `state` comes back with him.
    pub async fn authorization_url(
        &self,
        remembered: &Remembered,
        state: &Secret,
        redirect_uri: &str,
    ) -> Result<String, OidcError> {
        let fetched = self.fetched(None).await?;
        let client = self.client(&fetched.metadata, redirect_uri)?;
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(remembered));
        let (state, nonce) = (state.expose().to_owned(), remembered.nonce.clone());
        let scopes = self.settings().scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .url();
        Ok(url.into())
    }

    /// Exchanges a code and checks everything that came for it. `now` is in microseconds.
    pub async fn exchange(
        &self,
        code: &Secret,
        remembered: &Remembered,
        redirect_uri: &str,
        now: i64,
    ) -> Result<Person, OidcError> {
        let fetched = self.fetched(None).await?;
        let client = self.client(&fetched.metadata, redirect_uri)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .map_err(|error| OidcError::Unavailable(described(&error)))?
            .set_pkce_verifier(verifier(remembered))
            .request_async(self.outbound())
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(answer) => OidcError::CodeRefused(answer.error().to_string()),
                // What could not be read may be a token: it is not quoted.
                RequestTokenError::Parse(..) => OidcError::Unavailable("its answer cannot be read".to_owned()),
                error => OidcError::Unavailable(described(&error)),
            })?;
        let id_token = tokens.id_token().ok_or(OidcError::NoIdToken)?;
        let claims = self.checked(&fetched, redirect_uri, id_token, remembered, &tokens, now).await?;
        let mut person = Person {
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            is_email_verified: claims.email_verified().unwrap_or(false),
            full_name: name_of(claims.name(), claims.given_name(), claims.family_name()),
            has_multiple_factors: claims
                .auth_method_refs()
                .is_some_and(|methods| methods.iter().any(|method| method.as_str() == MULTIPLE_FACTORS)),
        };
        if person.email.is_none() && fetched.metadata.userinfo_endpoint().is_some() {
            self.complete(&client, &tokens, claims, &mut person).await?;
        }
        Ok(person)
    }

    /// The claims of an ID token that is good: signature, issuer, audience, time, nonce, party, access token. Where no key
    /// fits, keys are fetched anew once: providers change them.
    async fn checked<'t>(
        &self,
        fetched: &Fetched,
        redirect_uri: &str,
        id_token: &'t CoreIdToken,
        remembered: &Remembered,
        tokens: &CoreTokenResponse,
        now: i64,
    ) -> Result<&'t CoreIdTokenClaims, OidcError> {
        let claims = match self.verified(&fetched.metadata, redirect_uri, id_token, remembered, tokens, now) {
            Err(OidcError::IdToken(ClaimsVerificationError::SignatureVerification(_))) => {
                let newer = self.fetched(Some(fetched.at)).await?;
                self.verified(&newer.metadata, redirect_uri, id_token, remembered, tokens, now)?
            }
            verified => verified?,
        };
        match claims.authorized_party() {
            Some(party) if party.as_str() != self.settings().client_id => Err(OidcError::OtherParty),
            _ => Ok(claims),
        }
    }

    fn verified<'t>(
        &self,
        metadata: &Metadata,
        redirect_uri: &str,
        id_token: &'t CoreIdToken,
        remembered: &Remembered,
        tokens: &CoreTokenResponse,
        now: i64,
    ) -> Result<&'t CoreIdTokenClaims, OidcError> {
        let client = self.client(metadata, redirect_uri)?;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || time(now.saturating_sub(CLOCK_SKEW)))
            .set_issue_time_verifier_fn(move |issued| {
                if issued <= time(now.saturating_add(CLOCK_SKEW)) {
                    Ok(())
                } else {
                    Err("issued in the future".to_owned())
                }
            });
        let nonce = Nonce::new(remembered.nonce.clone());
        let claims = id_token.claims(&verifier, &nonce).map_err(OidcError::IdToken)?;
        if let Some(expected) = claims.access_token_hash() {
            let signature = |error| OidcError::IdToken(ClaimsVerificationError::SignatureVerification(error));
            let algorithm = id_token.signing_alg().map_err(signature)?;
            let key = id_token.signing_key(&verifier).map_err(signature)?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                .map_err(|_| OidcError::OtherAccessToken)?;
            if actual != *expected {
                return Err(OidcError::OtherAccessToken);
            }
        }
        Ok(claims)
    }

    /// Many providers tell the address at their userinfo endpoint only.
    async fn complete(
        &self,
        client: &ReadyClient,
        tokens: &CoreTokenResponse,
        claims: &CoreIdTokenClaims,
        person: &mut Person,
    ) -> Result<(), OidcError> {
        let request = client
            .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
            .map_err(|error| OidcError::Unavailable(described(&error)))?;
        let told: CoreUserInfoClaims = request.request_async(self.outbound()).await.map_err(|error| match error {
            error @ UserInfoError::ClaimsVerification(_) => OidcError::UserInfo(described(&error)),
            UserInfoError::Parse(_) => OidcError::UserInfo("it cannot be read".to_owned()),
            error => OidcError::Unavailable(described(&error)),
        })?;
        person.email = told.email().map(|email| email.to_string());
        person.is_email_verified = told.email_verified().unwrap_or(false);
        let told_name = || name_of(told.name(), told.given_name(), told.family_name());
        person.full_name = person.full_name.take().or_else(told_name);
        Ok(())
    }

    fn client(&self, metadata: &Metadata, redirect_uri: &str) -> Result<ReadyClient, OidcError> {
        let settings = self.settings();
        let redirect = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|error| OidcError::Unavailable(format!("the address to return to: {error}")))?;
        let secret = settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let client =
            CoreClient::from_provider_metadata(metadata.clone(), ClientId::new(settings.client_id.clone()), secret);
        Ok(client.set_redirect_uri(redirect).set_auth_type(auth_type(metadata)))
    }
}

/// How the secret is shown: in a header, as the standard has it, unless the provider takes it in the body only.
fn auth_type(metadata: &Metadata) -> AuthType {
    match metadata.token_endpoint_auth_methods_supported() {
        Some(methods)
            if methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic) =>
        {
            AuthType::RequestBody
        }
        _ => AuthType::BasicAuth,
    }
}

fn verifier(remembered: &Remembered) -> PkceCodeVerifier {
    PkceCodeVerifier::new(remembered.verifier.clone())
}

fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

type Localized<'a, T> = Option<&'a openidconnect::LocalizedClaim<T>>;

/// The name as a whole, else its parts.
fn name_of(
    name: Localized<'_, openidconnect::EndUserName>,
    given: Localized<'_, openidconnect::EndUserGivenName>,
    family: Localized<'_, openidconnect::EndUserFamilyName>,
) -> Option<String> {
    if let Some(name) = name.and_then(|name| name.get(None)) {
        return Some(name.to_string());
    }
    let given = given.and_then(|given| given.get(None)).map(|given| given.to_string());
    let family = family.and_then(|family| family.get(None)).map(|family| family.to_string());
    let parts: Vec<String> = [given, family].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
