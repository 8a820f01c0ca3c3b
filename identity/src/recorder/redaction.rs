//! What somebody asked for, without what must not be recorded even sealed: credentials, and names and addresses that were
//! searched for, which are other people's data and would outlive their keys under the reader's. That there was a search
//! stays.

use daybook_domain::access::MAX_QUERY_BYTES;

/// In the place of what was taken out.
const REDACTED: &str = "[redacted]";
/// Parameters whose values are taken out, wherever the word occurs in the name.
const SECRET_WORDS: [&str; 8] = ["token", "password", "secret", "code", "key", "authorization", "email", "mail"];
/// Words of parameters' names whose values may be people's names.
const SEARCH_WORDS: [&str; 8] = ["search", "q", "query", "name", "names", "fullname", "username", "text"];
/// How credentials begin.
const SECRET_PREFIXES: [&str; 4] = ["dbk_", "dbr_", "dbo_", "eyJ"];

/// Path and query as one text of at most [`MAX_QUERY_BYTES`].
pub(super) fn target(path: &str, query: &str) -> String {
    let mut text = String::with_capacity(path.len() + query.len() + 1);
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            text.push('/');
        }
        text.push_str(if is_secret(segment) { REDACTED } else { segment });
    }
    for (index, parameter) in query.split('&').filter(|parameter| !parameter.is_empty()).enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, value)) if is_taken_out(name) || is_secret(value) => {
                text.push_str(if is_secret(name) { REDACTED } else { name });
                text.push('=');
                text.push_str(REDACTED);
            }
            _ if is_secret(parameter) => text.push_str(REDACTED),
            _ => text.push_str(parameter),
        }
    }
    cut(text)
}

/// Whether a parameter's value is not to be kept, however its name is spelled: the server decodes it.
fn is_taken_out(name: &str) -> bool {
    let decoded = form_urlencoded::parse(name.as_bytes()).next();
    let name = decoded.map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    SECRET_WORDS.iter().any(|word| name.contains(word)) || words.any(|word| SEARCH_WORDS.contains(&word))
}

fn is_secret(value: &str) -> bool {
    let has_address = value.contains('@') || value.to_ascii_lowercase().contains("%40");
    has_address || SECRET_PREFIXES.iter().any(|prefix| value.contains(prefix))
}

/// At most as long as a query may be, cut between two characters.
fn cut(mut text: String) -> String {
    let mut end = MAX_QUERY_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_and_credentials_go() {
        assert_eq!(target("/v1/transactions/tx-1", ""), "/v1/transactions/tx-1");
        assert_eq!(
            target("/v1/transactions", "limit=5&status=failed&flag"),
            "/v1/transactions?limit=5&status=failed&flag"
        );
        assert_eq!(
            target("/x", "token=abc&Api-Key=dbk_1&q=dbr_x&cursor=eyJhbGci"),
            "/x?token=[redacted]&Api-Key=[redacted]&q=[redacted]&cursor=[redacted]"
        );
    }

    #[test]
    fn addresses_of_people_are_not_kept_under_the_readers_key() {
        assert_eq!(target("/users", "search=ann%40example.com&page=2"), "/users?search=[redacted]&page=2");
        assert_eq!(target("/users/ann@example.com", "email=ann"), "/users/[redacted]?email=[redacted]");
        assert_eq!(target("/users", "ann@example.com"), "/users?[redacted]");
    }

    #[test]
    fn names_that_were_searched_for_are_not_kept_and_that_there_was_a_search_is() {
        for name in ["search", "q", "query", "email", "name", "full_name", "Full-Name", "se%61rch"] {
            let (asked, kept) = (format!("limit=5&{name}=Ann+Smith"), format!("/users?limit=5&{name}=[redacted]"));
            assert_eq!(target("/users", &asked), kept);
        }
    }

    #[test]
    fn long_queries_are_cut_between_characters() {
        let text = target("/x", &"é".repeat(MAX_QUERY_BYTES));
        assert!(text.len() <= MAX_QUERY_BYTES && text.len() > MAX_QUERY_BYTES - 4);
    }
}
