//! What made-up transactions look like: amounts by kind, times by kind. Integers and plain IEEE arithmetic only, since
//! library functions like `exp` differ from machine to machine in the last digit.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Utc};
use daybook_domain::Timestamp;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const COUNTERPARTIES: [&str; 6] = ["Bloomberg", "Reuters", "ICE", "CME", "LSEG", "Refinitiv"];

/// A kind of transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Card,
    Payment,
    Wire,
    Ach,
    Trade,
    Internal,
}

impl Kind {
    pub fn choose(random: &mut ChaCha8Rng) -> Self {
        match random.random_range(0..100) {
            0..=49 => Self::Card,
            50..=69 => Self::Payment,
            70..=79 => Self::Wire,
            80..=87 => Self::Ach,
            88..=95 => Self::Trade,
            _ => Self::Internal,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Payment => "payment",
            Self::Wire => "wire",
            Self::Ach => "ach",
            Self::Trade => "trade",
            Self::Internal => "internal",
        }
    }

    /// A log-normal amount: the kind's median in cents, and how wide it spreads.
    pub fn amount(self, random: &mut ChaCha8Rng, currency: &str) -> Amount {
        let (median_cents, spread) = match self {
            Self::Card => (3_500.0, 0.9),
            Self::Payment => (18_000.0, 1.0),
            Self::Wire => (420_000.0, 1.1),
            Self::Ach => (95_000.0, 0.9),
            Self::Trade => (900_000.0, 1.2),
            Self::Internal => (250_000.0, 1.0),
        };
        let cents = median_cents * exp(spread * normal(random));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "made-up, positive and far below 2^53"
        )]
        let cents = (cents as u64).max(50);
        // A yen is about a cent: what counts cents elsewhere counts yen there.
        Amount { minor: cents, has_decimals: currency != "JPY" }
    }

    pub fn counterparty(self, random: &mut ChaCha8Rng) -> String {
        match self {
            Self::Card => format!("TERM-{:05}", random.random_range(0..9_000)),
            Self::Trade => {
                let index = random.random_range(0..COUNTERPARTIES.len());
                COUNTERPARTIES.get(index).copied().unwrap_or("ICE").to_owned()
            }
            Self::Internal => format!("BOOK-{:03}", random.random_range(0..120)),
            Self::Payment | Self::Wire | Self::Ach => format!("CP-{:05}", random.random_range(0..12_000)),
        }
    }

    pub fn channel(self, random: &mut ChaCha8Rng) -> &'static str {
        match (self, random.random_range(0..3)) {
            (Self::Card, 0) => "online",
            (Self::Card, _) => "terminal",
            (Self::Trade | Self::Internal, _) => "api",
            (_, 0) => "branch",
            _ => "online",
        }
    }

    /// Whether it happens at all hours, rather than when offices are open.
    fn keeps_no_hours(self) -> bool {
        matches!(self, Self::Card | Self::Payment)
    }
}

/// The sum of twelve uniform numbers less six: close to normal, and the same everywhere.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| f64::from(random.random_range(0..1_000_000_u32)) / 1_000_000.0).sum::<f64>() - 6.0
}

/// e to the power of x, for |x| of a few units, by its series.
fn exp(x: f64) -> f64 {
    let part = x / 16.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..20_u32 {
        term *= part / f64::from(n);
        sum += term;
    }
    let mut power = sum;
    for _ in 0..4 {
        power *= power;
    }
    power
}

/// An amount in minor units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    minor: u64,
    has_decimals: bool,
}

impl Amount {
    fn major(self) -> u64 {
        if self.has_decimals { 100 } else { 1 }
    }

    pub fn multiply(&mut self, factor: u64) {
        self.minor = self.minor.saturating_mul(factor);
    }

    /// To the next whole thousand.
    pub fn round_up(&mut self) {
        let thousand = self.major() * 1_000;
        self.minor = self.minor.div_ceil(thousand).max(1) * thousand;
    }

    /// Under the threshold from which banks report cash.
    pub fn just_below_ten_thousand(&mut self, random: &mut ChaCha8Rng) {
        self.minor = self.major() * (10_000 - random.random_range(20..400));
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_decimals {
            write!(formatter, "{}.{:02}", self.minor / 100, self.minor % 100)
        } else {
            write!(formatter, "{}", self.minor)
        }
    }
}

/// When a transaction happened.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    seconds: i64,
    micros: i64,
    until: i64,
}

impl Moment {
    /// A moment in the `days` before `until`, when this kind of thing happens.
    pub fn choose(random: &mut ChaCha8Rng, until: Timestamp, days: u32, kind: Kind) -> Self {
        let until = until.micros().div_euclid(MICROS_PER_SECOND);
        let span = i64::from(days) * SECONDS_PER_DAY;
        let mut moment = Self { seconds: until - 1, micros: random.random_range(0..MICROS_PER_SECOND), until };
        // A bounded search: after some tries any time will do.
        for _ in 0..12 {
            moment.seconds = until - 1 - random.random_range(0..span);
            if moment.likelihood(kind) > random.random_range(0..100) {
                break;
            }
        }
        moment
    }

    /// Of 100.
    fn likelihood(self, kind: Kind) -> u32 {
        let Some(time) = DateTime::<Utc>::from_timestamp(self.seconds, 0) else { return 100 };
        let weekend = time.weekday().number_from_monday() > 5;
        match (kind.keeps_no_hours(), weekend, time.hour()) {
            (true, false, 8..=20) => 100,
            (true, true, 9..=21) => 70,
            (true, _, 6..=22) => 40,
            (true, _, _) => 8,
            (false, false, 8..=17) => 100,
            (false, false, 7 | 18) => 25,
            (false, _, _) => 2,
        }
    }

    /// The same day, between two and five in the morning.
    pub fn at_night(&mut self, random: &mut ChaCha8Rng) {
        let day = self.seconds.div_euclid(SECONDS_PER_DAY) * SECONDS_PER_DAY;
        self.seconds = (day + random.random_range(2 * 3_600..5 * 3_600)).min(self.until - 1);
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.seconds.saturating_mul(MICROS_PER_SECOND).saturating_add(self.micros);
        formatter.write_str(&daybook_query_api::time::rfc3339(micros))
    }
}

#[cfg(test)]
pub fn is_weekend(time: &str) -> bool {
    DateTime::parse_from_rfc3339(time).is_ok_and(|time| time.weekday().number_from_monday() > 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_close_to_the_real_one() {
        for x in [-7.0, -1.0, 0.0, 0.5, 3.0, 7.2_f64] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn yen_have_no_decimals() {
        assert_eq!(Amount { minor: 1_234, has_decimals: true }.to_string(), "12.34");
        assert_eq!(Amount { minor: 1_234, has_decimals: false }.to_string(), "1234");
    }
}
