//! One column of one row, as the store holds it, and the step from there to the fields of an entry.
//!
//! After tampering a column may hold anything: text where a number belongs, half a hash, bytes that are no UTF-8.
//! Nothing here fails on that; it is written down as a problem of the row.

use std::fmt;

use crate::report::FindingKind;

/// 32 bytes of BLAKE3 or SHA-256.
pub(crate) type Digest = [u8; 32];

/// Most bytes a stream id may have by the ledger format.
const MAX_STREAM_ID_BYTES: usize = 200;

/// The columns of `ledger_entries`, in the order in which both readers select them, of the table or alias `entry`.
pub(crate) const ENTRY_COLUMNS: &str = "entry.ledger_id, entry.position, entry.event_id, entry.stream_type, \
     entry.stream_id, entry.version, entry.event_type, entry.schema_version, entry.recorded_at, entry.actor_kind, \
     entry.actor_id, entry.metadata, entry.payload, entry.payload_digest, entry.previous_hash, entry.hash";

/// The columns of `ledger_heads`.
pub(crate) const HEAD_COLUMNS: &str = "ledger_id, size, hash, root, frontier, recorded_at";

/// A stored value, borrowed from the store's row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// SQL null.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text as its bytes, which need not be UTF-8.
    Text(&'a [u8]),
    /// Bytes; also a PostgreSQL uuid.
    Blob(&'a [u8]),
    /// A value of a type that no ledger column has; its type's name.
    Other(&'a str),
}

impl<'a> Cell<'a> {
    /// The bytes it borrows, where it borrows any.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => &[],
            Self::Text(bytes) | Self::Blob(bytes) => bytes,
            Self::Other(name) => name.as_bytes(),
        }
    }
}

impl Cell<'_> {
    fn type_name(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "an integer",
            Self::Real(_) => "a floating-point number",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
            Self::Other(name) => name,
        }
    }
}

/// The value for a report: short, printable, whatever was stored.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Real(value) => write!(formatter, "{value}"),
            Self::Text(bytes) => {
                let text = String::from_utf8_lossy(bytes.get(..60).unwrap_or(bytes));
                write!(formatter, "\"{}{}\"", text.escape_debug(), if bytes.len() > 60 { "…" } else { "" })
            }
            Self::Blob(bytes) => {
                let shown = bytes.get(..16).unwrap_or(bytes);
                write!(formatter, "x'{}{}'", hex::encode(shown), if bytes.len() > 16 { "…" } else { "" })
            }
            Self::Other(name) => write!(formatter, "a value of type {name}"),
        }
    }
}

/// What is wrong with the columns of one row. Empty on the way of every sound row, so it costs nothing there.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    kind: Option<FindingKind>,
    detail: String,
}

impl Problems {
    /// Notes a problem. The first one gives the finding its kind; the detail names them all.
    pub(crate) fn add(&mut self, kind: FindingKind, detail: fmt::Arguments<'_>) {
        use fmt::Write as _;
        self.kind.get_or_insert(kind);
        let separator = if self.detail.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        let _ = write!(self.detail, "{separator}{detail}");
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.kind.is_none()
    }

    /// The kind and the detail, if there was a problem.
    pub(crate) fn take(self) -> Option<(FindingKind, String)> {
        self.kind.map(|kind| (kind, self.detail))
    }

    /// Text that is UTF-8.
    pub(crate) fn text<'a>(&mut self, column: &str, cell: Cell<'a>) -> Option<&'a str> {
        match cell {
            Cell::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(_) => {
                    self.add(FindingKind::InvalidUtf8, format_args!("{column} is not UTF-8: {cell}"));
                    None
                }
            },
            _ => self.wrong_type(column, "text", cell),
        }
    }

    /// An integer of zero or more.
    pub(crate) fn number(&mut self, column: &str, cell: Cell<'_>) -> Option<u64> {
        match cell {
            Cell::Integer(value) => match u64::try_from(value) {
                Ok(value) => Some(value),
                Err(_) => {
                    self.add(FindingKind::NegativeValue, format_args!("{column} is negative: {value}"));
                    None
                }
            },
            _ => self.wrong_type(column, "an integer", cell),
        }
    }

    /// Bytes of any length.
    pub(crate) fn bytes<'a>(&mut self, column: &str, cell: Cell<'a>) -> Option<&'a [u8]> {
        match cell {
            Cell::Blob(bytes) => Some(bytes),
            _ => self.wrong_type(column, "bytes", cell),
        }
    }

    /// Exactly `N` bytes.
    pub(crate) fn exact<'a, const N: usize>(&mut self, column: &str, cell: Cell<'a>) -> Option<&'a [u8; N]> {
        let bytes = self.bytes(column, cell)?;
        let exact = <&[u8; N]>::try_from(bytes).ok();
        if exact.is_none() {
            self.add(FindingKind::WrongLength, format_args!("{column} has {} bytes, not {N}", bytes.len()));
        }
        exact
    }

    fn json<'a>(&mut self, column: &str, cell: Cell<'a>) -> Option<&'a [u8]> {
        let bytes = self.bytes(column, cell)?;
        // Most are plain ASCII, which takes less to see.
        if !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
            self.add(FindingKind::InvalidUtf8, format_args!("{column} is not UTF-8"));
        }
        Some(bytes)
    }

    fn wrong_type<T>(&mut self, column: &str, wanted: &str, cell: Cell<'_>) -> Option<T> {
        let kind = if matches!(cell, Cell::Null) { FindingKind::NullValue } else { FindingKind::WrongType };
        self.add(kind, format_args!("{column} is {}, not {wanted}", cell.type_name()));
        None
    }
}

/// The columns of one row of `ledger_entries`, in the order of [`ENTRY_COLUMNS`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryRow<'a>(pub(crate) [Cell<'a>; 16]);

impl<'a> EntryRow<'a> {
    /// `position` as stored.
    pub(crate) fn position(&self) -> Cell<'a> {
        let [_, position, ..] = self.0;
        position
    }

    /// `payload` as stored.
    pub(crate) fn payload(&self) -> Cell<'a> {
        let [.., payload, _, _, _] = self.0;
        payload
    }

    /// The fields, where every one can be read as what it should be. What cannot is noted in `problems`.
    pub(crate) fn fields(&self, problems: &mut Problems) -> Option<Fields<'a>> {
        fields_of(&self.0, problems)
    }
}

/// [`EntryRow::fields`] of columns that need not be moved for it.
pub(crate) fn fields_of<'a>(cells: &[Cell<'a>; 16], problems: &mut Problems) -> Option<Fields<'a>> {
    let [
        ledger_id,
        position,
        event_id,
        stream_type,
        stream_id,
        version,
        event_type,
        schema_version,
        recorded_at,
        actor_kind,
        actor_id,
        metadata,
        payload,
        payload_digest,
        previous_hash,
        hash,
    ] = *cells;
    // Every column is looked at before any is given up on, so that the detail is complete.
    let hash = problems.exact("hash", hash);
    let ledger_id = problems.text("ledger_id", ledger_id);
    let position = problems.number("position", position);
    let event_id = problems.exact("event_id", event_id);
    let stream_type = problems.text("stream_type", stream_type);
    let stream_id = problems.text("stream_id", stream_id);
    let version = problems.number("version", version);
    let event_type = problems.text("event_type", event_type);
    let schema_version = problems.number("schema_version", schema_version);
    let recorded_at = problems.number("recorded_at", recorded_at);
    let actor_kind = problems.text("actor_kind", actor_kind);
    let actor_id = problems.text("actor_id", actor_id);
    let metadata = problems.json("metadata", metadata);
    let payload = match payload {
        Cell::Null => Some(None),
        present => problems.json("payload", present).map(Some),
    };
    let payload_digest = problems.exact("payload_digest", payload_digest);
    let previous_hash = problems.exact("previous_hash", previous_hash);
    Some(Fields {
        hash: hash?,
        ledger_id: ledger_id?,
        position: position?,
        event_id: event_id?,
        stream_type: stream_type?,
        stream_id: stream_id?,
        version: version?,
        event_type: event_type?,
        schema_version: schema_version?,
        recorded_at: recorded_at?,
        actor_kind: actor_kind?,
        actor_id: actor_id?,
        metadata: metadata?,
        payload: payload?,
        payload_digest: payload_digest?,
        previous_hash: previous_hash?,
    })
}

/// An entry's columns as the types they should have, borrowed from the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) hash: &'a Digest,
    pub(crate) ledger_id: &'a str,
    pub(crate) position: u64,
    pub(crate) event_id: &'a [u8; 16],
    pub(crate) stream_type: &'a str,
    pub(crate) stream_id: &'a str,
    pub(crate) version: u64,
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: u64,
    pub(crate) recorded_at: u64,
    pub(crate) actor_kind: &'a str,
    pub(crate) actor_id: &'a str,
    pub(crate) metadata: &'a [u8],
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) payload_digest: &'a Digest,
    pub(crate) previous_hash: &'a Digest,
}

impl Fields<'_> {
    /// Rules on values that a hash cannot enforce, because a faulty writer would hash a bad value as well.
    pub(crate) fn check(&self, problems: &mut Problems) {
        if !matches!(self.actor_kind, "human" | "agent" | "system") {
            let shown = Cell::Text(self.actor_kind.as_bytes());
            problems.add(FindingKind::InvalidValue, format_args!("actor_kind is {shown}, not human, agent or system"));
        }
        if self.stream_id.len() > MAX_STREAM_ID_BYTES {
            problems.add(
                FindingKind::InvalidValue,
                format_args!("stream_id has {} bytes, more than {MAX_STREAM_ID_BYTES}", self.stream_id.len()),
            );
        }
    }
}

/// Whether a text is a ledger id: `[a-z0-9-]{1,63}`.
pub(crate) fn is_ledger_id(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// What groups rows into ledgers: the stored `ledger_id`, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LedgerKey {
    type_rank: u8,
    bytes: Vec<u8>,
    shown: String,
}

impl LedgerKey {
    /// The key of a stored `ledger_id`.
    pub(crate) fn of(cell: Cell<'_>) -> Self {
        let (type_rank, bytes) = match cell {
            Cell::Text(bytes) => (0, bytes.to_vec()),
            Cell::Blob(bytes) => (1, bytes.to_vec()),
            Cell::Integer(value) => (2, value.to_be_bytes().to_vec()),
            Cell::Real(value) => (3, value.to_bits().to_be_bytes().to_vec()),
            Cell::Null => (4, Vec::new()),
            Cell::Other(name) => (5, name.as_bytes().to_vec()),
        };
        let shown = match std::str::from_utf8(&bytes) {
            Ok(text) if type_rank == 0 && is_ledger_id(text) => text.to_owned(),
            _ => cell.to_string(),
        };
        Self { type_rank, bytes, shown }
    }

    /// Whether a row belongs to this ledger. Allocates nothing for text, which is what all sound rows have.
    pub(crate) fn matches(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Text(bytes) => self.type_rank == 0 && self.bytes == bytes,
            other => *self == Self::of(other),
        }
    }

    /// The id where it is a valid one.
    pub(crate) fn valid_id(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok().filter(|text| self.type_rank == 0 && is_ledger_id(text))
    }

    /// The stored text, whatever it is, where it is text.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        (self.type_rank == 0).then_some(self.bytes.as_slice())
    }

    /// The stored bytes, which the genesis hash is taken over.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The id for a report.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }
}
