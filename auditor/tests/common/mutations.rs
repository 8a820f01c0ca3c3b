//! Ways to tamper with a ledger, by a seed, and what a verification must say about each.

use daybook_auditor::{Report, Verdict};
use daybook_ledger::canonical::{CanonicalFields, digest};
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::image::*;

/// A change, and what is to be found.
#[derive(Debug)]
pub struct Mutation {
    pub name: String,
    pub changes: Vec<Change>,
    /// One of these ledgers must fail.
    pub ledgers: Vec<String>,
    /// Where entries were touched: the first finding of such a ledger names one of these positions.
    pub positions: Vec<i64>,
}

impl Mutation {
    /// What is wrong with a report on the changed ledger; none where it is as it must be.
    pub fn complaint(&self, report: &Report) -> Option<String> {
        let complain = |what: &str| Some(format!("{what}: {}\n{self:#?}\n{report}", self.name));
        if report.exit_code() != 1 {
            return complain("not detected");
        }
        let failed = |ledger: &&daybook_auditor::LedgerReport| {
            self.ledgers.contains(&ledger.ledger_id) && ledger.integrity.verdict == Verdict::Failed
        };
        let failed: Vec<_> = report.ledgers.iter().filter(failed).collect();
        if failed.is_empty() {
            return complain("another ledger failed");
        }
        let named = |ledger: &&daybook_auditor::LedgerReport| {
            let first = ledger.integrity.findings.first().and_then(|finding| finding.position);
            first.is_some_and(|first| self.positions.contains(&first))
        };
        if !self.positions.is_empty() && !failed.iter().any(named) {
            return complain("the first finding names another position");
        }
        if report.ledgers.iter().any(|ledger| ledger.integrity.findings_total > 4) {
            return complain("findings cascade");
        }
        None
    }
}

/// Makes mutations of one image.
pub struct Mutator<'a> {
    pub image: &'a Image,
    pub random: ChaCha8Rng,
    /// Only values that columns with these types can hold, as in PostgreSQL.
    pub typed: bool,
}

/// Each way to change one value.
pub const VALUE_CHANGES: [&str; 10] = [
    "flip a bit",
    "add one",
    "subtract one",
    "truncate",
    "lengthen",
    "empty",
    "null",
    "other type, same look",
    "other type",
    "not UTF-8",
];

/// Each way to change rows.
pub const ROW_CHANGES: [&str; 18] = [
    "swap a column of two rows",
    "swap the positions of two rows",
    "delete the first row",
    "delete a middle row",
    "delete the last row",
    "truncate the tail",
    "insert a forged row beyond the head",
    "insert a chained row beyond the head",
    "insert a row at a taken position",
    "insert a row at a negative position",
    "move a row to another ledger",
    "rewrite a row and its hash",
    "rewrite a row, its link and its hash",
    "delete a head",
    "insert a head without entries",
    "insert a second head",
    "swap a column of two heads",
    "put back an older head",
];

impl<'a> Mutator<'a> {
    pub fn new(image: &'a Image, seed: u64, typed: bool) -> Self {
        Self { image, random: ChaCha8Rng::seed_from_u64(seed), typed }
    }

    /// Any mutation.
    pub fn any(&mut self) -> Mutation {
        loop {
            let mutation = if self.random.random_bool(0.6) {
                let table = if self.random.random_bool(0.75) { Table::Entries } else { Table::Heads };
                let column = self.random.random_range(0..table.columns().len());
                let how = *VALUE_CHANGES.choose(&mut self.random).unwrap();
                self.value(table, column, how)
            } else {
                let how = *ROW_CHANGES.choose(&mut self.random).unwrap();
                self.rows(how)
            };
            if let Some(mutation) = mutation {
                return mutation;
            }
        }
    }

    /// Changes one column of a random row. None where the column's values cannot be changed that way.
    pub fn value(&mut self, table: Table, column: usize, how: &str) -> Option<Mutation> {
        let row = self.random.random_range(0..self.image.rows(table).len());
        let before = &self.image.rows(table)[row];
        let value = self.changed_value(&before[column], how).filter(|value| *value != before[column])?;
        let mut values = before.clone();
        values[column] = value.clone();
        let name = format!("{how}: {}.{} of row {row}", table.name(), table.columns()[column]);
        let mut mutation = self.update(name, table, row, values);
        if let (Table::Entries, POSITION, Value::Integer(position)) = (table, column, value) {
            mutation.positions.push(position);
        }
        Some(mutation)
    }

    fn changed_value(&mut self, value: &Value, how: &str) -> Option<Value> {
        let like = |bytes: Vec<u8>| match value {
            Value::Text(_) => Value::Text(bytes),
            _ => Value::Blob(bytes),
        };
        let changed = match (how, value) {
            ("flip a bit", Value::Integer(value)) => Value::Integer(value ^ (1 << self.random.random_range(0..63))),
            ("add one", Value::Integer(value)) => Value::Integer(value + 1),
            ("subtract one", Value::Integer(value)) => Value::Integer(value - 1),
            ("null", _) => Value::Null,
            ("flip a bit", Value::Text(bytes) | Value::Blob(bytes)) if !bytes.is_empty() => {
                let mut bytes = bytes.clone();
                let index = self.random.random_range(0..bytes.len());
                bytes[index] ^= 1 << self.random.random_range(0..8);
                like(bytes)
            }
            ("truncate", Value::Text(bytes) | Value::Blob(bytes)) if !bytes.is_empty() => {
                like(bytes[..self.random.random_range(0..bytes.len())].to_vec())
            }
            ("lengthen", Value::Text(bytes) | Value::Blob(bytes)) => like([bytes.as_slice(), b" "].concat()),
            ("empty", Value::Text(_) | Value::Blob(_)) => like(Vec::new()),
            ("other type, same look", Value::Integer(value)) => Value::Text(value.to_string().into_bytes()),
            ("other type, same look", Value::Text(bytes)) => Value::Blob(bytes.clone()),
            ("other type, same look", Value::Blob(bytes)) => Value::Text(bytes.clone()),
            ("other type", Value::Integer(value)) => Value::Real(*value as f64 + 0.5),
            ("other type", Value::Text(_) | Value::Blob(_)) => Value::Integer(self.random.random_range(0..100)),
            ("not UTF-8", Value::Text(bytes) | Value::Blob(bytes)) if !bytes.is_empty() => {
                like([bytes.as_slice(), &[0xff, 0xfe]].concat())
            }
            _ => return None,
        };
        let storable = match &changed {
            Value::Null => true,
            Value::Text(bytes) => {
                matches!(value, Value::Text(_)) && std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0)
            }
            other => std::mem::discriminant(other) == std::mem::discriminant(value),
        };
        (storable || !self.typed).then_some(changed)
    }

    /// Changes whole rows. None where the random choice has nothing to change.
    pub fn rows(&mut self, how: &str) -> Option<Mutation> {
        let ledger = *super::SAMPLE.map(|(ledger, _)| ledger).choose(&mut self.random).unwrap();
        let rows = self.rows_of(ledger);
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        let row = *rows.choose(&mut self.random).unwrap();
        let size = rows.len() as i64;
        match how {
            "swap a column of two rows" => {
                let column = self.random.random_range(0..ENTRY_COLUMNS.len());
                let other = self.random.random_range(0..self.image.entries.len());
                self.swap(format!("{how}: {}", ENTRY_COLUMNS[column]), Table::Entries, column, row, other)
            }
            "swap the positions of two rows" => {
                let other = *rows.choose(&mut self.random).unwrap();
                self.swap(how.to_owned(), Table::Entries, POSITION, row, other)
            }
            "delete the first row" => Some(self.delete(how, &[first])),
            "delete a middle row" => Some(self.delete(how, &[row])),
            "delete the last row" => Some(self.delete(how, &[last])),
            "truncate the tail" => {
                let from = self.random.random_range(0..rows.len());
                let mut mutation = self.delete(how, &rows[from..]);
                mutation.positions.truncate(1);
                Some(mutation)
            }
            "insert a forged row beyond the head" => {
                let position = size + self.random.random_range(0..1_000);
                Some(self.insert_entry(how, row, position))
            }
            "insert a chained row beyond the head" => {
                let mut values = self.image.entries[last].clone();
                values[POSITION] = Value::Integer(size);
                values[EVENT_ID] = Value::Blob(self.random.random::<[u8; 16]>().to_vec());
                values[VERSION] = Value::Integer(values[VERSION].integer() + 1);
                values[PREVIOUS_HASH] = values[HASH].clone();
                rehash(&mut values);
                Some(self.insert(how, Table::Entries, values))
            }
            "insert a row at a taken position" => {
                let position = self.random.random_range(0..size);
                Some(self.insert_entry(how, row, position))
            }
            "insert a row at a negative position" => {
                let position = -self.random.random_range(1..1_000);
                Some(self.insert_entry(how, row, position))
            }
            "move a row to another ledger" => {
                let mut values = self.image.entries[row].clone();
                let other = *["acme-eu", "main", "single", "new"].choose(&mut self.random).unwrap();
                values[LEDGER_ID] = Value::Text(other.into());
                let moved = values != self.image.entries[row];
                moved.then(|| self.update(how.to_owned(), Table::Entries, row, values))
            }
            "rewrite a row and its hash" | "rewrite a row, its link and its hash" => {
                let mut values = self.image.entries[row].clone();
                match self.random.random_range(0..4) {
                    0 => values[PAYLOAD] = Value::Blob(br#"{"amount":"1.00"}"#.to_vec()),
                    1 => values[RECORDED_AT] = Value::Integer(values[RECORDED_AT].integer() + 1),
                    2 => values[ACTOR_KIND] = Value::Text(b"nobody".to_vec()),
                    _ => values[VERSION] = Value::Integer(values[VERSION].integer() + 1),
                }
                values[PAYLOAD_DIGEST] = Value::Blob(digest(values[PAYLOAD].bytes()).0.to_vec());
                if how.contains("link") {
                    values[PREVIOUS_HASH] = Value::Blob(self.random.random::<[u8; 32]>().to_vec());
                }
                rehash(&mut values);
                Some(self.update(how.to_owned(), Table::Entries, row, values))
            }
            "delete a head" => {
                let row = self.random.random_range(0..self.image.heads.len());
                Some(self.mutation(how.to_owned(), vec![Change { table: Table::Heads, row: Some(row), values: None }]))
            }
            "insert a head without entries" => {
                let mut values = self.image.heads.choose(&mut self.random).unwrap().clone();
                values[LEDGER_ID] = Value::Text(b"unheard-of".to_vec());
                if self.random.random_bool(0.5) {
                    values[1] = Value::Integer(0);
                }
                Some(self.insert(how, Table::Heads, values))
            }
            "insert a second head" => {
                let values = self.image.heads.choose(&mut self.random).unwrap().clone();
                Some(self.insert(how, Table::Heads, values))
            }
            "swap a column of two heads" => {
                let column = self.random.random_range(1..HEAD_COLUMNS.len());
                let [one, two] = [(); 2].map(|()| self.random.random_range(0..self.image.heads.len()));
                self.swap(format!("{how}: {}", HEAD_COLUMNS[column]), Table::Heads, column, one, two)
            }
            "put back an older head" => self.older_head(ledger),
            other => panic!("unknown: {other}"),
        }
    }

    /// Rows of a ledger in the order of positions.
    fn rows_of(&self, ledger: &str) -> Vec<usize> {
        let mut rows: Vec<usize> =
            (0..self.image.entries.len()).filter(|row| self.image.entries[*row][LEDGER_ID].text() == ledger).collect();
        rows.sort_by_key(|row| self.image.entries[*row][POSITION].integer());
        rows
    }

    /// A head that was right when the ledger was shorter.
    fn older_head(&mut self, ledger: &str) -> Option<Mutation> {
        let rows = self.rows_of(ledger);
        let size = self.random.random_range(0..rows.len()).max(1);
        if size == rows.len() {
            return None;
        }
        let mut tree = daybook_ledger::merkle::Frontier::default();
        for row in &rows[..size] {
            tree.push(daybook_ledger::merkle::leaf(&canonical(&self.image.entries[*row])));
        }
        let last = &self.image.entries[rows[size - 1]];
        let values = vec![
            Value::Text(ledger.into()),
            Value::Integer(size as i64),
            last[HASH].clone(),
            Value::Blob(tree.root().0.to_vec()),
            Value::Blob(tree.to_bytes()),
            last[RECORDED_AT].clone(),
        ];
        let row = self.image.heads.iter().position(|head| head[0].text() == ledger).unwrap();
        let mut mutation = self.update(format!("put back the head of size {size}"), Table::Heads, row, values);
        mutation.positions = vec![size as i64];
        Some(mutation)
    }

    fn swap(&self, name: String, table: Table, column: usize, one: usize, two: usize) -> Option<Mutation> {
        let rows = self.image.rows(table);
        let (mut first, mut second) = (rows[one].clone(), rows[two].clone());
        std::mem::swap(&mut first[column], &mut second[column]);
        let changes = vec![
            Change { table, row: Some(one), values: Some(first.clone()) },
            Change { table, row: Some(two), values: Some(second) },
        ];
        (first != rows[one]).then(|| self.mutation(name, changes))
    }

    fn delete(&self, name: &str, rows: &[usize]) -> Mutation {
        let change = |row: &usize| Change { table: Table::Entries, row: Some(*row), values: None };
        self.mutation(name.to_owned(), rows.iter().map(change).collect())
    }

    /// A copy of a row at another position, its hash made again half of the time.
    fn insert_entry(&mut self, name: &str, row: usize, position: i64) -> Mutation {
        let mut values = self.image.entries[row].clone();
        values[POSITION] = Value::Integer(position);
        values[EVENT_ID] = Value::Blob(self.random.random::<[u8; 16]>().to_vec());
        if position >= 0 && self.random.random_bool(0.5) {
            rehash(&mut values);
        }
        self.insert(name, Table::Entries, values)
    }

    fn insert(&self, name: &str, table: Table, values: Row) -> Mutation {
        self.mutation(name.to_owned(), vec![Change { table, row: None, values: Some(values) }])
    }

    fn update(&self, name: String, table: Table, row: usize, values: Row) -> Mutation {
        self.mutation(name, vec![Change { table, row: Some(row), values: Some(values) }])
    }

    /// Ledgers and positions come from the rows as they were; from the new row where there was none.
    fn mutation(&self, name: String, changes: Vec<Change>) -> Mutation {
        let (mut ledgers, mut positions) = (Vec::new(), Vec::new());
        for change in &changes {
            let row = match (change.row, &change.values) {
                (Some(row), _) => &self.image.rows(change.table)[row],
                (None, Some(values)) => values,
                (None, None) => continue,
            };
            ledgers.push(row[LEDGER_ID].text().to_owned());
            if change.table == Table::Entries {
                positions.push(row[POSITION].integer());
            }
        }
        Mutation { name, changes, ledgers, positions }
    }
}

/// Canonical bytes of a row whose columns are of the right types.
pub fn canonical(row: &Row) -> Vec<u8> {
    let number = |index: usize| row[index].integer().cast_unsigned();
    let mut buffer = Vec::new();
    CanonicalFields {
        ledger_id: row[0].text(),
        position: number(POSITION),
        event_id: row[EVENT_ID].bytes().try_into().unwrap(),
        stream_type: row[3].text(),
        stream_id: row[STREAM_ID].text(),
        version: number(VERSION),
        event_type: row[6].text(),
        schema_version: number(7),
        recorded_at: number(RECORDED_AT),
        actor_kind: row[ACTOR_KIND].text(),
        actor_id: row[10].text(),
        metadata_digest: digest(row[11].bytes()).as_bytes(),
        payload_digest: row[PAYLOAD_DIGEST].bytes().try_into().unwrap(),
        previous_hash: row[PREVIOUS_HASH].bytes().try_into().unwrap(),
    }
    .write(&mut buffer);
    buffer
}

/// Makes a row's hash right for its columns.
pub fn rehash(row: &mut Row) {
    row[HASH] = Value::Blob(digest(&canonical(row)).0.to_vec());
}
