//! What can be wrong with a login by way of a provider, in the words of HTTP.

use daybook_http_kit::Problem;
use daybook_identity::oidc::OidcError;

/// Longest code of a provider that is shown.
const MAX_CODE: usize = 64;

/// 503 where the provider does not answer, else 401 with a code of its own. What the provider says goes to the log alone.
pub(super) fn oidc_problem(provider: &str, error: &OidcError) -> Problem {
    tracing::warn!(provider, code = error.code(), %error, "a login by way of an OIDC provider has failed");
    if error.is_unavailable() {
        return Problem::unavailable(error.code(), "the provider does not answer as it should", 10);
    }
    Problem::unauthorized(error.code(), "what the provider answered is not good; log in again")
}

/// 404: nobody is called so here.
pub(super) fn unknown_provider() -> Problem {
    Problem::not_found("oidc.unknown_provider", "there is no such provider")
}

/// 401: the login was not begun here, or is over.
pub(super) fn state_invalid() -> Problem {
    Problem::unauthorized("oidc.state_invalid", "this login is unknown, used or expired; begin again")
}

/// 401: the login was begun by another browser.
pub(super) fn other_browser() -> Problem {
    Problem::unauthorized("oidc.other_browser", "this login was begun in another browser; begin again")
}

/// 401: the answer is another provider's.
pub(super) fn wrong_issuer() -> Problem {
    Problem::unauthorized("oidc.wrong_issuer", "the answer is not of the provider that was asked")
}

/// 401: the provider lets nobody in. Its code is shown as far as it is one.
pub(super) fn denied(code: &str) -> Problem {
    let code: String = code.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(MAX_CODE).collect();
    Problem::unauthorized("oidc.denied_by_provider", "the provider has not let you in")
        .with_member("provider_error", code)
}

/// 403: the provider knows the person, and this organisation does not let him in.
pub(super) fn kept_out(code: &'static str) -> Problem {
    let detail = match code {
        "oidc.email_not_verified" => "the provider does not say that the e-mail address is yours",
        "oidc.domain_not_allowed" => "people with addresses of this domain do not come in by way of this provider",
        "oidc.address_unconfirmed" => {
            "there is an account with this address, and nobody has shown to whom the address belongs; use its password"
        }
        "oidc.other_identity" => "the account belongs to another identity at this provider; ask an administrator",
        _ => "nobody with this login may come in; ask an administrator to invite you",
    };
    Problem::new(403, code, detail)
}
