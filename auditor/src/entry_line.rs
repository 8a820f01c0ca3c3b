//! An entry as one line of JSON, as a server and a bundle give it, turned back into the columns it was made of.
//!
//! Payload and metadata are taken byte for byte as they stand in the line: their hashes are over those bytes.

use std::borrow::Cow;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cell::Cell;

/// Longest line that is read. A store's row has no bound; a line has one, so that memory has.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 20;

/// A line that is no entry.
#[derive(Debug, thiserror::Error)]
#[error("a line of entries cannot be read: {0}")]
pub(crate) struct LineError(#[from] serde_json::Error);

/// What stands in the line.
#[derive(Debug, Deserialize)]
pub(crate) struct EntryLine<'a> {
    #[serde(borrow)]
    ledger_id: Cow<'a, str>,
    position: u64,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    stream_type: Cow<'a, str>,
    #[serde(borrow)]
    stream_id: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    schema_version: u64,
    #[serde(borrow)]
    recorded_at: Cow<'a, str>,
    recorded_at_us: i64,
    #[serde(borrow)]
    actor_kind: Cow<'a, str>,
    #[serde(borrow)]
    actor_id: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata_text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    payload_text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload_digest: Cow<'a, str>,
    #[serde(borrow)]
    previous_hash: Cow<'a, str>,
    #[serde(borrow)]
    hash: Cow<'a, str>,
}

impl<'a> EntryLine<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, LineError> {
        Ok(serde_json::from_slice(line)?)
    }

    /// Its position as it stands there.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Position, time, stream, version, event, actor and hash, as people are shown them.
    pub(crate) fn shown(&self) -> [String; 8] {
        [
            self.position.to_string(),
            self.recorded_at.to_string(),
            self.stream_type.to_string(),
            self.stream_id.to_string(),
            self.version.to_string(),
            self.event_type.to_string(),
            self.actor_id.to_string(),
            self.hash.to_string(),
        ]
    }

    /// Whether the readable time is the hashed one.
    pub(crate) fn times_agree(&self) -> bool {
        micros(&self.recorded_at) == Some(self.recorded_at_us)
    }

    /// The digests and the event id as bytes, which the columns borrow.
    pub(crate) fn decoded(&self) -> Decoded {
        let bytes = |text: &str| hex::decode(text).unwrap_or_default();
        Decoded {
            event_id: match self.event_id.len() {
                36 => bytes(&self.event_id.replace('-', "")),
                _ => Vec::new(),
            },
            payload_digest: bytes(&self.payload_digest),
            previous_hash: bytes(&self.previous_hash),
            hash: bytes(&self.hash),
        }
    }

    /// The columns. A digest that is no hexadecimal number is empty, which is a finding like any wrong length.
    pub(crate) fn cells<'b>(&'b self, decoded: &'b Decoded) -> [Cell<'b>; 16] {
        let text = |text: &'b Cow<'_, str>| Cell::Text(text.as_bytes());
        let number = |number: u64| i64::try_from(number).map_or(Cell::Other("number beyond 63 bits"), Cell::Integer);
        let json = |raw: &Option<&'b RawValue>, as_text: &'b Option<Cow<'_, str>>| match (raw, as_text) {
            (_, Some(text)) => Cell::Blob(text.as_bytes()),
            (Some(raw), None) => Cell::Blob(raw.get().as_bytes()),
            (None, None) => Cell::Null,
        };
        [
            text(&self.ledger_id),
            number(self.position),
            Cell::Blob(&decoded.event_id),
            text(&self.stream_type),
            text(&self.stream_id),
            number(self.version),
            text(&self.event_type),
            number(self.schema_version),
            Cell::Integer(self.recorded_at_us),
            text(&self.actor_kind),
            text(&self.actor_id),
            json(&self.metadata, &self.metadata_text),
            json(&self.payload, &self.payload_text),
            Cell::Blob(&decoded.payload_digest),
            Cell::Blob(&decoded.previous_hash),
            Cell::Blob(&decoded.hash),
        ]
    }
}

/// What the columns of a line borrow.
#[derive(Debug)]
pub(crate) struct Decoded {
    event_id: Vec<u8>,
    payload_digest: Vec<u8>,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
}

/// Microseconds since 1970-01-01T00:00:00Z of an RFC 3339 time.
pub(crate) fn micros(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

/// Cuts what arrives in pieces into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Adds what arrived.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.drain(..self.taken);
        self.taken = 0;
        self.rest.extend_from_slice(bytes);
    }

    /// The next complete line, without its end.
    pub(crate) fn next_line(&mut self) -> Option<&[u8]> {
        let rest = self.rest.get(self.taken..)?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.taken..self.taken + end;
        self.taken = line.end + 1;
        self.rest.get(line)
    }

    /// How much of a line has come whose end has not.
    pub(crate) fn incomplete(&self) -> usize {
        self.rest.len() - self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ledger_id":"main","position":7,"event_id":"0193f3a1-7c00-7000-8000-000000000001",
        "stream_type":"transaction","stream_id":"TX-\u00e4","version":1,"event_type":"transaction.recorded",
        "schema_version":1,"recorded_at":"2024-01-01T00:00:00.000000Z","recorded_at_us":1704067200000000,
        "actor_kind":"human","actor_id":"usr","metadata":{"a": 1.50},"payload":null,"payload_text":" {}",
        "payload_digest":"00ff","previous_hash":"zz","hash":"","more":[1]}"#;

    #[test]
    fn columns_are_the_bytes_that_stand_in_the_line() {
        let line = EntryLine::parse(LINE.as_bytes()).unwrap();
        assert!(line.times_agree());
        let decoded = line.decoded();
        let cells = line.cells(&decoded);
        let shown: Vec<String> = cells.iter().map(ToString::to_string).collect();
        assert_eq!(shown[1], "7");
        assert_eq!(shown[2], "x'0193f3a17c0070008000000000000001'");
        assert_eq!(cells[4].bytes(), "TX-ä".as_bytes());
        assert_eq!(cells[11].bytes(), br#"{"a": 1.50}"#);
        assert_eq!(cells[12].bytes(), b" {}");
        assert_eq!((shown[13].as_str(), shown[14].as_str()), ("x'00ff'", "x''"));
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        for size in 1..12 {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in b"one\ntwo\n\nthree\nfo".chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next_line() {
                    found.push(String::from_utf8_lossy(line).into_owned());
                }
            }
            assert_eq!((found, lines.incomplete()), (["one", "two", "", "three"].map(str::to_owned).to_vec(), 2));
        }
    }
}
