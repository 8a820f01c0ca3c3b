//! Made-up but plausible transactions and incidents. The same seed gives the same ones, each by its number alone: a
//! longer series begins with the shorter one, and making it again changes nothing.

mod shape;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

use crate::intake::{Row, TransactionInput};
use daybook_domain::Timestamp;
use shape::{Kind, Moment};

/// Currencies by how often they occur, of 100.
const CURRENCIES: [(&str, u32); 7] =
    [("USD", 38), ("EUR", 27), ("GBP", 13), ("JPY", 8), ("CHF", 6), ("CAD", 4), ("AUD", 4)];
/// Transactions that are labelled as anomalies, of 1,000.
const ANOMALIES_PER_MILLE: u32 = 15;
/// Accounts there are; a few of them move most of the money.
const ACCOUNTS: u32 = 4_000;
const REGIONS: [&str; 4] = ["US", "EU", "APAC", "LATAM"];
const DESKS: [&str; 5] = ["Equities", "Fixed Income", "FX", "Commodities", "Derivatives"];
/// Kinds of incident with a title and the advice that goes with it.
const INCIDENTS: [(&str, &str, &str); 6] = [
    (
        "stuck_order",
        "Order not acknowledged by the venue",
        "Ask the venue for the order's state before sending it again.",
    ),
    ("missed_trade", "Allocation missed the cut-off", "Agree a late booking with the counterparty."),
    (
        "settlement_failure",
        "Settlement instruction was rejected",
        "Compare the standing instructions with the counterparty.",
    ),
    ("latency", "Gateway answers slowly", "Move order flow to the second gateway."),
    ("position_break", "Position differs from the custodian's", "Reconcile yesterday's trades of the book."),
    (
        "risk_limit_breach",
        "Desk exceeded its intraday limit",
        "Reduce the position, or ask risk for a temporary limit.",
    ),
];

/// A series of transactions and incidents.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    number: u64,
    /// The last moment of the series, microseconds since the epoch.
    until: Timestamp,
    days: u32,
}

/// An incident of the series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedIncident {
    /// Its id.
    pub id: String,
    /// The body of `POST /incidents`.
    pub body: Map<String, Value>,
}

impl Seed {
    /// The series `number`, spread over `days` days that end at `until`.
    pub fn new(number: u64, until: Timestamp, days: u32) -> Self {
        Self { number, until, days: days.max(1) }
    }

    /// The first `count` transactions, in order of their numbers.
    pub fn transactions(self, count: u64) -> impl Iterator<Item = Row> + Send + use<> {
        (1..=count).map(move |number| Row { line: number, content: Ok(self.transaction(number)) })
    }

    /// The first `count` incidents.
    pub fn incidents(self, count: u64) -> impl Iterator<Item = SeedIncident> + Send + use<> {
        (1..=count).map(move |number| self.incident(number))
    }

    /// Its own source of randomness for each thing, so that none depends on how many there are.
    fn random(self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.number);
        random.set_stream(stream);
        random
    }

    /// The transaction with this number, from 1.
    pub fn transaction(self, number: u64) -> TransactionInput {
        let mut random = self.random(number);
        let is_anomaly = random.random_range(0..1_000) < ANOMALIES_PER_MILLE;
        let kind = Kind::choose(&mut random);
        let currency = weighted(&mut random, &CURRENCIES);
        let mut moment = Moment::choose(&mut random, self.until, self.days, kind);
        // The square of a uniform number: low account numbers are busy ones.
        let share = u64::from(random.random_range(0..ACCOUNTS)) * u64::from(random.random_range(0..ACCOUNTS));
        let account = share / u64::from(ACCOUNTS);
        let mut amount = kind.amount(&mut random, currency);
        let counterparty = kind.counterparty(&mut random);
        let mut meta = Map::new();
        meta.insert("label".to_owned(), json!(u8::from(is_anomaly)));
        meta.insert("region".to_owned(), json!(choose(&mut random, &REGIONS)));
        meta.insert("channel".to_owned(), json!(kind.channel(&mut random)));
        if is_anomaly {
            let scenario = choose(&mut random, &["large_amount", "night", "round_amount", "structuring"]);
            match *scenario {
                "large_amount" => amount.multiply(random.random_range(25..120)),
                "night" => moment.at_night(&mut random),
                "round_amount" => amount.round_up(),
                _ => amount.just_below_ten_thousand(&mut random),
            }
            meta.insert("scenario".to_owned(), json!(scenario));
        }
        let status = match random.random_range(0..100) {
            0..=91 => "completed",
            92..=95 => "pending",
            96..=98 => "failed",
            _ => "reversed",
        };
        TransactionInput {
            transaction_id: format!("SEED-{}-{number:08}", self.number),
            amount: amount.to_string(),
            currency: currency.to_owned(),
            timestamp: Some(moment.to_string()),
            status: status.to_owned(),
            account: Some(format!("ACC-{account:05}")),
            counterparty: Some(counterparty),
            transaction_type: Some(kind.name().to_owned()),
            meta,
        }
    }

    /// The incident with this number, from 1.
    pub fn incident(self, number: u64) -> SeedIncident {
        let mut random = self.random(u64::MAX - number);
        let (incident_type, title, action) = choose(&mut random, &INCIDENTS);
        let severity = match random.random_range(0..100) {
            0..=39 => "low",
            40..=74 => "medium",
            75..=93 => "high",
            _ => "critical",
        };
        let desk = choose(&mut random, &DESKS);
        let moment = Moment::choose(&mut random, self.until, self.days, Kind::Trade);
        let id = format!("inc_seed_{}_{number:06}", self.number);
        let body = json!({
            "incident_id": id,
            "title": format!("{title} ({desk})"),
            "description": format!("Made-up incident {number} of seed {}.", self.number),
            "severity": severity,
            "type": incident_type,
            "desk": desk,
            "trader": format!("trader-{:02}", random.random_range(1..=24)),
            "recommended_action": action,
            "source_event_id": format!("EVT-{:06}", random.random_range(1..=999_999)),
            "last_event_timestamp": moment.to_string(),
            "detection_method": "manual",
            "meta": {"seed": self.number},
        });
        let body = match body {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        SeedIncident { id, body }
    }
}

fn weighted(random: &mut ChaCha8Rng, table: &[(&'static str, u32)]) -> &'static str {
    let total: u32 = table.iter().map(|(_, weight)| weight).sum();
    let mut left = random.random_range(0..total.max(1));
    for (word, weight) in table {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return word,
        }
    }
    table.first().map_or("USD", |(word, _)| word)
}

/// One of a table that is never empty.
fn choose<'a, T>(random: &mut ChaCha8Rng, table: &'a [T]) -> &'a T {
    let index = random.random_range(0..table.len());
    table.get(index).unwrap_or(&table[0])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use daybook_domain::text::Line;

    use super::*;

    fn seed(number: u64) -> Seed {
        Seed::new(number, Timestamp::parse("", "2026-11-01T00:00:00Z").unwrap(), 90)
    }

    #[test]
    fn same_seed_gives_the_same_and_another_seed_something_else() {
        let first: Vec<_> = seed(42).transactions(200).collect();
        assert_eq!(first, seed(42).transactions(200).collect::<Vec<_>>());
        assert_ne!(first, seed(43).transactions(200).collect::<Vec<_>>());
        assert_eq!(first, seed(42).transactions(1_000).take(200).collect::<Vec<_>>());
        assert_eq!(seed(42).incidents(3).last(), seed(42).incidents(9).nth(2));
    }

    /// Amounts come from integer and IEEE arithmetic alone, so this holds on every machine.
    #[test]
    fn series_is_what_it_always_was() {
        let first = seed(42).transaction(1);
        assert_eq!((first.transaction_id.as_str(), first.amount.as_str()), ("SEED-42-00000001", "3408.81"));
        assert_eq!(first.timestamp.as_deref(), Some("2026-09-02T12:59:05.070475Z"));
        let mut hasher = blake3::Hasher::new();
        for input in seed(42).transactions(1_000).filter_map(|row| row.content.ok()) {
            let fields = [Some(input.amount), Some(input.currency), input.timestamp, input.account, input.counterparty];
            hasher.update(fields.map(Option::unwrap_or_default).join("|").as_bytes());
        }
        assert_eq!(hasher.finalize().to_hex().get(..16), Some("cf4c4a77f59491bd"));
    }

    #[test]
    fn every_transaction_is_acceptable() {
        let source = Line::parse("", "seed").unwrap();
        let at = Timestamp::from_micros(0).unwrap();
        for row in seed(7).transactions(5_000) {
            let input = row.content.unwrap();
            let record = input.record(at, &source);
            assert!(record.is_ok(), "{input:?}: {record:?}");
            assert!(input.currency != "JPY" || !input.amount.contains('.'), "{input:?}");
            assert!(input.timestamp.unwrap().as_str() <= "2026-11-01T00:00:00.000000Z");
        }
    }

    #[test]
    fn anomalies_and_kinds_have_their_share() {
        let inputs: Vec<_> = seed(1).transactions(20_000).filter_map(|row| row.content.ok()).collect();
        let anomalies = inputs.iter().filter(|input| input.meta.get("label") == Some(&json!(1))).count();
        assert!((200..400).contains(&anomalies), "{anomalies}");
        let cards = inputs.iter().filter(|input| input.transaction_type.as_deref() == Some("card")).count();
        assert!((8_000..12_000).contains(&cards), "{cards}");
        let weekend = inputs.iter().filter(|input| shape::is_weekend(input.timestamp.as_deref().unwrap())).count();
        assert!(weekend > 500 && weekend < 5_000, "{weekend}");
    }
}
