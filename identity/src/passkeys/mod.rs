//! Passkeys (WebAuthn): the two ceremonies, each in two steps, and what is remembered between them.
//!
//! The checks are `webauthn-rs`' business. Here is decided that a passkey can be found without naming an account, that
//! whoever uses it has shown the authenticator who he is (so that it counts as two factors), and that no attestation is
//! asked for. What is remembered between two steps stays with the server.

mod error;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_ledger::LedgerId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;
use webauthn_rs::prelude::{
    COSEEC2Key, COSEKeyType, CredentialID, DiscoverableAuthentication, ECDSACurve, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

pub use self::error::PasskeyError;

/// What authenticators show as the site.
const SITE: &str = "Daybook";
/// For the handle by which authenticators know an account.
const HANDLE_CONTEXT: &str = "daybook passkeys 2026 user handle v1";

/// The first step of a ceremony.
#[derive(Clone)]
pub struct Begun {
    /// For the browser: `{"publicKey": …}`, binary values in base64url.
    pub options: Value,
    /// For the second step; not for the browser.
    pub remembered: Value,
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id, base64url.
    pub credential_id: String,
    /// What is to be kept of it, JSON.
    pub public_key: String,
    /// The authenticator's counter.
    pub sign_count: u32,
}

/// A passkey that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// What is to be kept of it from now on, JSON.
    pub public_key: String,
    /// The authenticator's counter.
    pub sign_count: u32,
}

/// Which passkey an answer says it is of; to be believed once [`RelyingParty::finish_login`] has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The passkey's id, base64url.
    pub credential_id: String,
    /// The account's handle.
    pub handle: Uuid,
}

/// This installation, as authenticators know it.
#[derive(Debug, Clone)]
pub struct RelyingParty(Webauthn);

impl RelyingParty {
    /// The site at `public_url`: its host is the relying party's id, its scheme, host and port the origin.
    ///
    /// Fails where browsers would not offer passkeys: they want https and a name (or `localhost`), not an address.
    pub fn of(public_url: &str) -> Result<Self, PasskeyError> {
        let url: Url = public_url.parse().map_err(|_| PasskeyError::NoSite)?;
        let domain = url.domain().ok_or(PasskeyError::NoSite)?;
        if url.scheme() != "https" && domain != "localhost" {
            return Err(PasskeyError::NoSite);
        }
        let builder = WebauthnBuilder::new(domain, &url).map_err(|_| PasskeyError::NoSite)?;
        Ok(Self(builder.rp_name(SITE).build().map_err(|_| PasskeyError::NoSite)?))
    }

    /// Asks for a passkey of an account. `name` and `display_name` are what the authenticator shows; `existing` are the
    /// public keys the account has, so that one authenticator is not enrolled twice.
    pub fn begin_registration(
        &self,
        handle: Uuid,
        name: &str,
        display_name: &str,
        existing: &[String],
    ) -> Result<Begun, PasskeyError> {
        let existing = existing.iter().map(|key| Ok(stored(key)?.cred_id().clone()));
        let existing = existing.collect::<Result<Vec<CredentialID>, PasskeyError>>()?;
        let (options, state) = self.0.start_passkey_registration(handle, name, display_name, Some(existing))?;
        let mut options = json(&options)?;
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection").and_then(Value::as_object_mut)
        {
            selection.insert("residentKey".to_owned(), "required".into());
            selection.insert("requireResidentKey".to_owned(), true.into());
        }
        Ok(Begun { options, remembered: json(&state)? })
    }

    /// Checks what the browser answered.
    pub fn finish_registration(&self, remembered: Value, answer: Value) -> Result<Made, PasskeyError> {
        let state: PasskeyRegistration = serde_json::from_value(remembered).map_err(PasskeyError::Remembered)?;
        let answer: RegisterPublicKeyCredential = from_browser(answer)?;
        let passkey = self.0.finish_passkey_registration(&answer, &state)?;
        Ok(Made {
            credential_id: encoded(passkey.cred_id()),
            sign_count: sign_count(&passkey)?,
            public_key: text(&passkey)?,
        })
    }

    /// Asks for any passkey of this site.
    pub fn begin_login(&self) -> Result<Begun, PasskeyError> {
        let (mut options, state) = self.0.start_discoverable_authentication()?;
        // Whether to offer it beside the form or by a button is the page's choice.
        options.mediation = None;
        Ok(Begun { options: json(&options)?, remembered: json(&state)? })
    }

    /// Which passkey the browser's answer says it is of.
    pub fn claimed(&self, answer: &Value) -> Result<Claimed, PasskeyError> {
        let answer: PublicKeyCredential = from_browser(answer.clone())?;
        let (handle, credential_id) = self.0.identify_discoverable_authentication(&answer)?;
        Ok(Claimed { credential_id: encoded(credential_id), handle })
    }

    /// Checks the browser's answer against the public key that was kept.
    pub fn finish_login(&self, remembered: Value, answer: Value, public_key: &str) -> Result<Used, PasskeyError> {
        let state: DiscoverableAuthentication = serde_json::from_value(remembered).map_err(PasskeyError::Remembered)?;
        let answer: PublicKeyCredential = from_browser(answer)?;
        let mut passkey = stored(public_key)?;
        let result = self.0.finish_discoverable_authentication_v2(&answer, state, &passkey)?;
        if !result.user_verified() {
            return Err(PasskeyError::NotVerified);
        }
        passkey.update_credential(&result);
        Ok(Used { public_key: text(&passkey)?, sign_count: result.counter() })
    }
}

/// The handle by which authenticators know a person's account. It says nothing about the person.
pub fn user_handle(organization: &LedgerId, user_id: &str) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(HANDLE_CONTEXT);
    hasher.update(organization.as_str().as_bytes()).update(b"\0").update(user_id.as_bytes());
    let mut bytes = [0_u8; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

/// A point on P-256: its affine coordinates.
pub type Point = ([u8; 32], [u8; 32]);

/// The point of a passkey's public key, from what was kept of it; `None` where it is not a key on the curve P-256.
pub fn p256_point(public_key: &str) -> Result<Option<Point>, PasskeyError> {
    let passkey = stored(public_key)?;
    let COSEKeyType::EC_EC2(COSEEC2Key { curve: ECDSACurve::SECP256R1, x, y }) = &passkey.get_public_key().key else {
        return Ok(None);
    };
    Ok(x.as_slice().try_into().ok().zip(y.as_slice().try_into().ok()))
}

fn encoded(credential_id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(credential_id)
}

fn from_browser<T: DeserializeOwned>(answer: Value) -> Result<T, PasskeyError> {
    serde_json::from_value(answer).map_err(|error| PasskeyError::Unreadable(error.to_string()))
}

fn stored(public_key: &str) -> Result<Passkey, PasskeyError> {
    serde_json::from_str(public_key).map_err(PasskeyError::Remembered)
}

fn json(value: &impl Serialize) -> Result<Value, PasskeyError> {
    serde_json::to_value(value).map_err(PasskeyError::Remembered)
}

fn text(passkey: &Passkey) -> Result<String, PasskeyError> {
    serde_json::to_string(passkey).map_err(PasskeyError::Remembered)
}

/// The library shows the counter of a fresh passkey in its stored form only.
fn sign_count(passkey: &Passkey) -> Result<u32, PasskeyError> {
    let counter = json(passkey)?.pointer("/cred/counter").and_then(Value::as_u64);
    counter.and_then(|counter| u32::try_from(counter).ok()).ok_or(PasskeyError::NoCounter)
}
