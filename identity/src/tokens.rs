//! Access tokens: ES256, short-lived, keys published as JWKS.
