//! What ties the steps of a login to one browser, and where a browser may be sent in the end.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;
use daybook_identity::secret::Secret;
use rand::RngCore as _;

use crate::state::IdentitySettings;

/// Longest path that somebody is sent to.
const MAX_RETURN_TO_BYTES: usize = 1_024;
/// Seconds that the cookie is kept: as long as a login may take at the provider, and a little.
const MAX_AGE_SECONDS: u32 = 900;

/// The cookie of an installation. Behind https its name says that no other host can have set it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    is_secure: bool,
}

impl Cookie {
    pub(super) fn of(settings: &IdentitySettings) -> Self {
        Self { is_secure: settings.public_url.starts_with("https://") }
    }

    fn name(self) -> &'static str {
        if self.is_secure { "__Host-daybook-oidc" } else { "daybook-oidc" }
    }

    fn attributes(self) -> &'static str {
        if self.is_secure { "Path=/; HttpOnly; SameSite=Lax; Secure" } else { "Path=/; HttpOnly; SameSite=Lax" }
    }

    /// The header that sets it.
    pub(super) fn set(self, value: &Secret) -> String {
        format!("{}={}; Max-Age={MAX_AGE_SECONDS}; {}", self.name(), value.expose(), self.attributes())
    }

    /// The header that takes it away.
    pub(super) fn clear(self) -> String {
        format!("{}=; Max-Age=0; {}", self.name(), self.attributes())
    }

    /// What the browser sent.
    pub(super) fn read(self, request: &HttpRequest) -> Option<Secret> {
        let headers = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
        let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name()).map(|(_, value)| Secret::new(value))
    }
}

/// 32 random bytes, hexadecimal.
pub(super) fn fresh() -> Secret {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    Secret::new(hex::encode(bytes))
}

/// A path of this installation: nothing that a browser could take for another host.
pub(super) fn is_own_path(path: &str) -> bool {
    let rest = path.strip_prefix('/');
    path.len() <= MAX_RETURN_TO_BYTES
        && rest.is_some_and(|rest| !rest.starts_with('/'))
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_paths_of_this_installation_are_returned_to() {
        for path in ["/", "/app", "/app/inbox?filter=open&x=%2F", "/a//b"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "app",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a\r\nset-cookie: x=y",
            "/\t/evil.example",
            "/a b",
            "/a#token=x",
            "/ä",
        ] {
            assert!(!is_own_path(path), "{path:?}");
        }
        assert!(!is_own_path(&format!("/{}", "a".repeat(MAX_RETURN_TO_BYTES))));
    }

    #[test]
    fn cookie_is_read_among_others_and_by_its_own_name_only() {
        let secure = Cookie::of(&IdentitySettings { public_url: "https://a.example".into(), ..Default::default() });
        let plain = Cookie::of(&IdentitySettings::default());
        let request = actix_web::test::TestRequest::default()
            .insert_header(("cookie", "a=b; daybook-oidc=one; __Host-daybook-oidc=two"))
            .to_http_request();
        assert!(secure.read(&request).unwrap().matches("two"));
        assert!(plain.read(&request).unwrap().matches("one"));
        assert!(secure.set(&Secret::new("x")).contains("HttpOnly; SameSite=Lax; Secure"));
        assert!(!plain.set(&Secret::new("x")).contains("Secure"));
        assert!(plain.clear().contains("Max-Age=0"));
    }
}
