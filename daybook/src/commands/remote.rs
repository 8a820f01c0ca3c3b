//! What the commands that administer a running server have in common: which server, as whom, for which organisation, and
//! showing what it answered.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use daybook_ledger::LedgerId;
use reqwest::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::output;
use crate::runtime::client::Client;
use crate::settings::Settings;
use crate::settings::hidden::Hidden;

/// Items that are asked for at once.
const PAGE: usize = 200;
/// Most pages that are read of one list.
const MAX_PAGES: usize = 1_000;

/// Which server, and as whom.
#[derive(Debug, Args)]
pub struct Remote {
    /// Act in this organisation [default: the ledger of --ledger, else the server's]
    #[arg(long, value_name = "ID", env = "DAYBOOK_ORGANIZATION", help_heading = "Server")]
    organization: Option<LedgerId>,
    /// Ask this server
    #[arg(long, value_name = "URL", env = "DAYBOOK_URL", help_heading = "Server")]
    url: Option<String>,
    /// Act with this access token or API key, instead of the operator's token
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_TOKEN", hide_env_values = true, help_heading = "Server")]
    token: Option<Hidden>,
    /// The operator's token, where it is not in the data folder
    #[arg(
        long,
        value_name = "TOKEN",
        env = "DAYBOOK_OPERATOR_TOKEN",
        hide_env_values = true,
        conflicts_with = "token",
        help_heading = "Server"
    )]
    operator_token: Option<Hidden>,
}

/// A server that answers, and how what it answers is shown.
pub struct Session {
    client: Client,
    json: bool,
}

impl Remote {
    /// Finds the server.
    pub async fn session(self, settings: &Settings) -> anyhow::Result<Session> {
        let operator = self.operator_token.map(|token| token.expose().to_owned());
        let found = Client::find(settings, self.url.as_deref(), operator).await?;
        let Some(mut client) = found else {
            bail!(
                "no server runs on {}: start one with `daybook serve`, or name one with --url",
                settings.data.display()
            );
        };
        if let Some(token) = self.token {
            // Such a token names its organisation itself.
            client = client.with_token(token).in_organization(settings.named_ledger.clone());
        }
        if self.organization.is_some() {
            client = client.in_organization(self.organization);
        }
        Ok(Session { client, json: settings.json })
    }
}

impl Session {
    /// The organisation in which this acts; `main` where nothing else is known.
    pub fn organization(&self) -> LedgerId {
        self.client.organization().cloned().unwrap_or_else(LedgerId::main)
    }

    /// GET of JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.client.get(path).await
    }

    /// Sends `body`, unless it is null, and answers what came back; null where nothing did.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, path);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = self.client.send(request).await?;
        let text = answer.text().await.context("the server's answer was cut off")?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).context("the server's answer is not JSON")
    }

    /// Saves what a GET answers; the file must not exist yet, and is there only once it is whole. Answers its length in
    /// bytes.
    pub async fn save(&self, path: &str, file: &Path) -> anyhow::Result<u64> {
        let failed = || format!("cannot write {}", file.display());
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        let beside = file.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        let answer = self.client.send(self.client.request(Method::GET, path)).await?;
        let written = write_pieces(answer, &beside).await.with_context(failed);
        // A link does not replace what somebody else has put there meanwhile.
        let saved = written.and_then(|bytes| {
            std::fs::hard_link(&beside, file).with_context(failed)?;
            Ok(bytes)
        });
        // Where it is linked it has its name; where it is not, a piece that cannot be removed does no harm.
        let _ = std::fs::remove_file(&beside);
        saved
    }

    /// Every item of a list that comes in pages.
    pub async fn all(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut request = self.client.request(Method::GET, path).query(&[("limit", PAGE)]).query(parameters);
            if let Some(cursor) = &cursor {
                request = request.query(&[("cursor", cursor)]);
            }
            let answer: Value =
                self.client.send(request).await?.json().await.context("the server's answer is not JSON")?;
            let page = answer.get("items").and_then(Value::as_array).context("the server's answer has no items")?;
            items.extend(page.iter().cloned());
            match answer.get("next_cursor").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
        bail!("the list does not end")
    }

    /// Shows a list: as JSON, else these columns of each item (heading, JSON pointer).
    pub fn show_list(&self, items: &[Value], columns: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.json {
            return output::json(&serde_json::json!({ "items": items }));
        }
        let mut rows = vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect::<Vec<_>>()];
        for item in items {
            rows.push(columns.iter().map(|(_, pointer)| text(item.pointer(pointer))).collect());
        }
        output::line(output::table(&rows))
    }

    /// Shows one answer: as JSON, else `said` for people.
    pub fn show(&self, answer: &Value, said: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.json { output::json(answer) } else { output::line(said(answer)) }
    }

    /// Shows one answer: as JSON, else these of its values, one a line (heading, JSON pointer).
    pub fn show_fields(&self, answer: &Value, fields: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.json {
            return output::json(answer);
        }
        let width = fields.iter().map(|(heading, _)| heading.chars().count()).max().unwrap_or(0);
        for (heading, pointer) in fields {
            let value = text(answer.pointer(pointer));
            output::line(format!("{heading:width$}  {value}"))?;
        }
        Ok(())
    }
}

async fn write_pieces(mut answer: reqwest::Response, path: &Path) -> anyhow::Result<u64> {
    let mut file = tokio::fs::File::create(path).await?;
    let mut bytes = 0_u64;
    while let Some(piece) = answer.chunk().await.context("the server broke off; what came is not whole")? {
        file.write_all(&piece).await?;
        bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    file.sync_all().await?;
    Ok(bytes)
}

/// A JSON value as people read it in a table.
pub fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| text(Some(item))).collect();
            if items.is_empty() { "-".to_owned() } else { items.join(", ") }
        }
        Some(Value::Object(fields)) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", text(Some(value)))).collect();
            fields.join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// What people typed somewhere must not move the cursor of whoever reads it.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// A string of an answer, to be shown.
pub fn word(answer: &Value, pointer: &str) -> String {
    text(answer.pointer(pointer))
}

/// What was said, and what the server says is waited for.
pub fn with_detail(said: &str, answer: &Value) -> String {
    match answer.pointer("/detail") {
        Some(detail) => format!("{said}\n{}", text(Some(detail))),
        None => said.to_owned(),
    }
}

/// A part of a path, with everything escaped that would end it.
pub fn segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':');
    let escaped: String = text
        .bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    // A segment of dots alone would be taken for a way up.
    if escaped.bytes().all(|byte| byte == b'.') { escaped.replace('.', "%2E") } else { escaped }
}

/// An object of those fields that have a value.
pub fn object(fields: &[(&str, Option<Value>)]) -> Value {
    let given = fields.iter().filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
    Value::Object(given.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_people_read_them() {
        assert_eq!(text(None), "-");
        assert_eq!(text(Some(&json!(["a", 2, null]))), "a, 2, -");
        assert_eq!(text(Some(&json!({"role": "admin"}))), "role=admin");
        assert_eq!(text(Some(&json!("a\u{1b}[31m\nb"))), "a [31m b");
    }

    #[test]
    fn path_segments_stay_segments() {
        assert_eq!(segment("usr_1a"), "usr_1a");
        assert_eq!(segment("a/b?c d"), "a%2Fb%3Fc%20d");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        assert_eq!(object(&[("a", Some(json!(1))), ("b", None)]), json!({"a": 1}));
    }
}
