//! From the columns of a file to the fields of a transaction, by their names.
//!
//! A column that is named as a field is that field; then well-known other names count, in the order of the columns; what is left
//! goes into `meta`. Among the well-known names are those of the Fraud Detection Handbook's published data.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use daybook_domain::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::transaction::TransactionInput;

/// Other names of fields, normalised. The first column that has one is the field, unless a column has its own name.
const ALIASES: &[(&str, &[&str])] = &[
    ("transaction_id", &["tx_id", "txn_id", "transactionid", "id", "reference"]),
    ("amount", &["tx_amount", "transaction_amount", "value", "amt"]),
    ("currency", &["ccy", "currency_code", "tx_currency"]),
    ("timestamp", &["tx_datetime", "datetime", "date_time", "time", "date", "transaction_date", "created_at"]),
    ("status", &["tx_status", "transaction_status", "state"]),
    ("account", &["account_id", "customer_id", "customer", "from_account", "source_account", "sender"]),
    (
        "counterparty",
        &[
            "counterparty_id",
            "terminal_id",
            "terminal",
            "merchant",
            "merchant_id",
            "to_account",
            "beneficiary",
            "receiver",
        ],
    ),
    ("type", &["transaction_type", "tx_type"]),
    ("epoch_seconds", &["tx_time_seconds"]),
    ("meta.label", &["tx_fraud", "label", "is_fraud", "isfraud"]),
    ("meta.scenario", &["tx_fraud_scenario"]),
    ("ignore", &["tx_time_days"]),
];
const MICROS_PER_SECOND: i64 = 1_000_000;

/// What a column is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    TransactionId,
    Amount,
    Currency,
    Timestamp,
    /// Seconds since the epoch given by the user.
    EpochSeconds,
    Status,
    Account,
    Counterparty,
    Type,
    /// A JSON object of further fields.
    MetaObject,
    /// One further field.
    Meta(String),
    Ignore,
}

impl FromStr for Field {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "transaction_id" => Self::TransactionId,
            "amount" => Self::Amount,
            "currency" => Self::Currency,
            "timestamp" => Self::Timestamp,
            "epoch_seconds" => Self::EpochSeconds,
            "status" => Self::Status,
            "account" => Self::Account,
            "counterparty" => Self::Counterparty,
            "type" => Self::Type,
            "meta" => Self::MetaObject,
            "ignore" => Self::Ignore,
            other => match other.strip_prefix("meta.") {
                Some(key) if !key.is_empty() => Self::Meta(key.to_owned()),
                _ => bail!(
                    "{other:?} is no field: say transaction_id, amount, currency, timestamp, epoch_seconds, status, \
                     account, counterparty, type, meta, meta.<name> or ignore"
                ),
            },
        })
    }
}

/// What the user says about a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MappingOptions {
    /// `column=field`.
    pub columns: BTreeMap<String, Field>,
    /// Currency of rows without one.
    pub currency: Option<String>,
    /// Type of rows without one.
    pub transaction_type: Option<String>,
    /// Status of rows without one.
    pub status: String,
    /// Put before each transaction id.
    pub id_prefix: String,
    /// What `epoch_seconds` counts from.
    pub epoch: Option<Timestamp>,
    /// Begins the ids of rows without one; together with the line it makes them repeatable.
    pub id_of_file: String,
}

impl MappingOptions {
    /// Reads `column=field` pairs.
    pub fn parse_columns(pairs: &[String]) -> anyhow::Result<BTreeMap<String, Field>> {
        pairs
            .iter()
            .map(|pair| {
                let (column, field) = pair.split_once('=').with_context(|| format!("{pair:?} is not column=field"))?;
                Ok((normalised(column), field.trim().parse()?))
            })
            .collect()
    }

    /// Reads a date or a time.
    pub fn parse_epoch(text: &str) -> anyhow::Result<Timestamp> {
        Timestamp::parse("--epoch", &with_time(text)).map_err(|error| anyhow::anyhow!("{error}"))
    }
}

/// Turns rows into transactions.
#[derive(Debug, Clone)]
pub struct Mapping {
    options: MappingOptions,
    fields: Vec<Field>,
}

/// Lower case, with underscores, without a byte order mark.
fn normalised(header: &str) -> String {
    header
        .trim_start_matches('\u{feff}')
        .trim()
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// Which field each column is.
fn assign(columns: &[String], overrides: &BTreeMap<String, Field>) -> Vec<Field> {
    let names: Vec<String> = columns.iter().map(|column| normalised(column)).collect();
    let mut fields: Vec<Option<Field>> = names.iter().map(|name| overrides.get(name).cloned()).collect();
    let mut taken: HashSet<Field> = fields.iter().flatten().cloned().collect();
    for (name, field) in names.iter().zip(&mut fields).filter(|(_, field)| field.is_none()) {
        if let Ok(own) = Field::from_str(name)
            && taken.insert(own.clone())
        {
            *field = Some(own);
        }
    }
    for (name, field) in names.iter().zip(&mut fields).filter(|(_, field)| field.is_none()) {
        let alias = ALIASES.iter().find(|(_, aliases)| aliases.contains(&name.as_str()));
        if let Some(meant) = alias.and_then(|(meant, _)| Field::from_str(meant).ok())
            && (meant == Field::Ignore || taken.insert(meant.clone()))
        {
            *field = Some(meant);
        }
    }
    // A time of the row's own goes before seconds since some epoch.
    let has_timestamp = taken.contains(&Field::Timestamp);
    names
        .into_iter()
        .zip(fields)
        .map(|(name, field)| match field {
            Some(Field::EpochSeconds) if has_timestamp => Field::Ignore,
            Some(field) => field,
            None => Field::Meta(name),
        })
        .collect()
}

impl Mapping {
    /// For a file with these columns.
    pub fn of_columns(columns: &[String], options: MappingOptions) -> anyhow::Result<Self> {
        let names: HashSet<String> = columns.iter().map(|column| normalised(column)).collect();
        if let Some(missing) = options.columns.keys().find(|column| !names.contains(*column)) {
            bail!("there is no column {missing:?}; the file has {}", columns.join(", "));
        }
        let fields = assign(columns, &options.columns);
        if !fields.contains(&Field::Amount) {
            bail!("no column is the amount; the file has {} (name one with --map column=amount)", columns.join(", "));
        }
        if fields.contains(&Field::EpochSeconds) && options.epoch.is_none() {
            bail!("the file's times are seconds since some date: say which with --epoch 2018-04-01");
        }
        Ok(Self { options, fields })
    }

    /// For objects, whose keys may differ from one to the next.
    pub fn of_objects(options: MappingOptions) -> Self {
        Self { options, fields: Vec::new() }
    }

    /// A row of a file with columns.
    pub fn row<'a>(&self, line: u64, values: impl Iterator<Item = &'a str>) -> Result<TransactionInput, String> {
        let mut builder = Builder::new(self, line);
        for (field, value) in self.fields.iter().zip(values) {
            builder.text(field, value.trim())?;
        }
        builder.finish()
    }

    /// An object on a line.
    pub fn object(&self, line: u64, text: &str) -> Result<TransactionInput, String> {
        let members: Vec<(String, Box<RawValue>)> = members(text)?;
        let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
        let fields = assign(&names, &self.options.columns);
        let mut builder = Builder::new(self, line);
        for (field, (name, value)) in fields.into_iter().zip(&members) {
            // Members that are not a field keep their name as it is written.
            let field = match field {
                Field::Meta(key) if key == normalised(name) => Field::Meta(name.clone()),
                other => other,
            };
            builder.json(&field, value)?;
        }
        builder.finish()
    }
}

/// The members of an object in their order, values as they were written.
fn members(text: &str) -> Result<Vec<(String, Box<RawValue>)>, String> {
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    Ok(members.into_iter().collect())
}

struct Builder<'a> {
    options: &'a MappingOptions,
    line: u64,
    input: TransactionInput,
}

impl<'a> Builder<'a> {
    fn new(mapping: &'a Mapping, line: u64) -> Self {
        Self { options: &mapping.options, line, input: TransactionInput::default() }
    }

    fn text(&mut self, field: &Field, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Ok(());
        }
        match field {
            Field::TransactionId => self.input.transaction_id = format!("{}{value}", self.options.id_prefix),
            Field::Amount => self.input.amount = value.strip_prefix('+').unwrap_or(value).to_owned(),
            Field::Currency => self.input.currency = value.to_ascii_uppercase(),
            Field::Timestamp => self.input.timestamp = Some(with_time(value)),
            Field::EpochSeconds => self.input.timestamp = Some(self.after_epoch(value)?),
            Field::Status => self.input.status = value.to_ascii_lowercase(),
            Field::Account => self.input.account = Some(value.to_owned()),
            Field::Counterparty => self.input.counterparty = Some(value.to_owned()),
            Field::Type => self.input.transaction_type = Some(value.to_owned()),
            Field::MetaObject => self.merge_meta(value)?,
            Field::Meta(key) => {
                self.input.meta.insert(key.clone(), scalar(value));
            }
            Field::Ignore => {}
        }
        Ok(())
    }

    fn json(&mut self, field: &Field, value: &RawValue) -> Result<(), String> {
        let raw = value.get();
        match (field, raw.as_bytes().first()) {
            (_, Some(b'n')) | (Field::Ignore, _) => Ok(()),
            (Field::MetaObject, _) => self.merge_meta(raw),
            (Field::Meta(key), _) => {
                let value = serde_json::from_str(raw).map_err(|error| format!("{key}: {error}"))?;
                self.input.meta.insert(key.clone(), value);
                Ok(())
            }
            (field, Some(b'"')) => {
                let text: String = serde_json::from_str(raw).map_err(|error| format!("{field:?}: {error}"))?;
                self.text(field, &text)
            }
            // A number's digits are taken as they are written.
            (field, Some(b'-' | b'0'..=b'9')) => self.text(field, raw),
            (field, _) => Err(format!("{field:?} is neither text nor a number")),
        }
    }

    fn merge_meta(&mut self, text: &str) -> Result<(), String> {
        let fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("meta is not a JSON object: {error}"))?;
        self.input.meta.extend(fields);
        Ok(())
    }

    fn after_epoch(&self, value: &str) -> Result<String, String> {
        let epoch = self.options.epoch.ok_or("seconds need an --epoch to count from")?;
        let seconds = Decimal::from_str(value).map_err(|_| format!("{value:?} is not a number of seconds"))?;
        let micros = seconds.checked_mul(Decimal::from(MICROS_PER_SECOND)).and_then(|micros| micros.trunc().to_i64());
        let time = micros.and_then(|micros| epoch.micros().checked_add(micros)).and_then(Timestamp::from_micros);
        time.map(|time| time.to_string()).ok_or_else(|| format!("{value:?} seconds are out of reach"))
    }

    fn finish(mut self) -> Result<TransactionInput, String> {
        let options = self.options;
        if self.input.amount.is_empty() {
            return Err("there is no amount".to_owned());
        }
        if self.input.currency.is_empty() {
            self.input.currency =
                options.currency.clone().ok_or("there is no currency (--currency EUR sets one for all such rows)")?;
        }
        if self.input.transaction_id.is_empty() {
            self.input.transaction_id = format!("{}{}-{}", options.id_prefix, options.id_of_file, self.line);
        }
        if self.input.status.is_empty() {
            self.input.status.clone_from(&options.status);
        }
        if self.input.transaction_type.is_none() {
            self.input.transaction_type.clone_from(&options.transaction_type);
        }
        if self.input.account.is_none() {
            self.input.account = match self.input.meta.get("account_id") {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
        }
        Ok(self.input)
    }
}

/// Whole numbers as numbers, everything else as text. Leading zeros mean that it is a name and not a number.
fn scalar(value: &str) -> Value {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = !digits.is_empty()
        && digits.len() <= 15
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    match value.parse::<i64>() {
        Ok(number) if is_number => Value::from(number),
        _ => Value::from(value),
    }
}

/// A bare date is the start of that day.
fn with_time(text: &str) -> String {
    if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    }
}

/// Now, as the domain has it.
pub fn now() -> anyhow::Result<Timestamp> {
    let now: DateTime<Utc> = Utc::now();
    Timestamp::from_micros(now.timestamp_micros()).context("the machine's clock is outside the years 1900 to 9999")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn options() -> MappingOptions {
        MappingOptions { status: "completed".to_owned(), id_of_file: "imp-1f".to_owned(), ..MappingOptions::default() }
    }

    fn columns(header: &str) -> Vec<String> {
        header.split(',').map(str::to_owned).collect()
    }

    fn map(header: &str, options: MappingOptions, row: &str) -> Result<TransactionInput, String> {
        Mapping::of_columns(&columns(header), options).unwrap().row(2, row.split(','))
    }

    #[test]
    fn handbook_columns_are_understood() {
        let options = MappingOptions {
            currency: Some("EUR".to_owned()),
            epoch: Some(MappingOptions::parse_epoch("2018-04-01").unwrap()),
            transaction_type: Some("card".to_owned()),
            ..options()
        };
        let header = "TRANSACTION_ID,TX_TIME_SECONDS,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO";
        let mapped = map(header, options, "585177,5270471,852,5161,163.64,0,0").unwrap();
        assert_eq!(mapped.transaction_id, "585177");
        assert_eq!(mapped.timestamp.as_deref(), Some("2018-06-01T00:01:11.000000Z"));
        assert_eq!((mapped.account.as_deref(), mapped.counterparty.as_deref()), (Some("852"), Some("5161")));
        assert_eq!((mapped.amount.as_str(), mapped.currency.as_str()), ("163.64", "EUR"));
        assert_eq!(mapped.transaction_type.as_deref(), Some("card"));
        assert_eq!(Value::Object(mapped.meta), serde_json::json!({"label": 0, "scenario": 0}));
    }

    #[test]
    fn seconds_beyond_all_time_are_one_bad_row() {
        let options = || MappingOptions {
            currency: Some("EUR".to_owned()),
            epoch: Some(MappingOptions::parse_epoch("2018-04-01").unwrap()),
            ..options()
        };
        for seconds in ["99999999999999999999999999", "-99999999999999999999999999", "9223372036854", "1e99", "x"] {
            assert!(map("amount,TX_TIME_SECONDS", options(), &format!("1,{seconds}")).is_err(), "{seconds}");
        }
    }

    #[test]
    fn own_time_goes_before_seconds() {
        let header = "TRANSACTION_ID,TX_DATETIME,TX_AMOUNT,TX_TIME_SECONDS,TX_TIME_DAYS";
        let options = MappingOptions { currency: Some("EUR".to_owned()), ..options() };
        let mapped = map(header, options, "1,2018-06-01 00:01:11,5,99,0").unwrap();
        assert_eq!(mapped.timestamp.as_deref(), Some("2018-06-01 00:01:11"));
        assert!(mapped.meta.is_empty(), "{:?}", mapped.meta);
    }

    #[test]
    fn own_names_go_before_aliases_and_the_rest_is_meta() {
        let mapped = map("customer_id,account,amount,ccy,Zip Code", options(), "7,A-1,3,usd,01234").unwrap();
        assert_eq!((mapped.account.as_deref(), mapped.currency.as_str()), (Some("A-1"), "USD"));
        assert_eq!(Value::Object(mapped.meta), serde_json::json!({"customer_id": 7, "zip_code": "01234"}));
        assert_eq!(mapped.transaction_id, "imp-1f-2");
    }

    #[test]
    fn columns_can_be_named_by_the_user() {
        let mut options = options();
        let pairs = ["betrag=amount".to_owned(), "value=meta.worth".to_owned()];
        options.columns = MappingOptions::parse_columns(&pairs).unwrap();
        options.id_prefix = "X-".to_owned();
        let mapped = map("id,Betrag,value,currency", options, "1,10.00,4,EUR").unwrap();
        assert_eq!((mapped.transaction_id.as_str(), mapped.amount.as_str()), ("X-1", "10.00"));
        assert_eq!(mapped.meta.get("worth"), Some(&Value::from(4)));
        assert!(MappingOptions::parse_columns(&["a=nonsense".to_owned()]).is_err());
    }

    #[test]
    fn file_without_amounts_or_without_a_named_column_is_refused() {
        assert!(Mapping::of_columns(&columns("id,when"), options()).is_err());
        let columns_named = MappingOptions::parse_columns(&["gone=amount".to_owned()]).unwrap();
        let options = MappingOptions { columns: columns_named, ..options() };
        assert!(Mapping::of_columns(&columns("id,amount"), options).is_err());
    }

    #[test]
    fn numbers_of_objects_keep_their_digits() {
        let mapping = Mapping::of_objects(options());
        let line = r#"{"id": 17, "amount": 0.10, "currency": "EUR", "meta": {"a": 1}, "B": [true], "status": null}"#;
        let mapped = mapping.object(1, line).unwrap();
        assert_eq!((mapped.transaction_id.as_str(), mapped.amount.as_str()), ("17", "0.10"));
        assert_eq!(Value::Object(mapped.meta), serde_json::json!({"a": 1, "B": [true]}));
        assert_eq!(mapped.status, "completed");
        assert!(mapping.object(1, "[1]").is_err());
        assert!(mapping.object(1, r#"{"amount": {}, "currency": "EUR"}"#).is_err());
    }

    #[test]
    fn row_without_currency_says_how_to_give_one() {
        assert!(map("id,amount", options(), "1,5").unwrap_err().contains("--currency"));
    }
}
