#![doc = include_str!("../README.md")]

pub mod api_keys;
pub mod authenticator;
pub mod custody;
pub mod directory;
pub mod mail;
pub mod oidc;
pub mod passkeys;
pub mod passwords;
pub mod personal;
pub mod recorder;
pub mod sealer;
pub mod secret;
pub mod tokens;
pub mod vault;
