//! What handlers work with.

use std::sync::Arc;

use daybook_domain::{Incident, Timestamp, Transaction};
use daybook_http_kit::{Problem, Sealer};
use daybook_ledger::Ledger;
use daybook_ledger::commands::Commands;
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::Clock;

/// How often a command is decided anew after losing a race, where deciding anew is what the caller means.
pub const TRIES: u32 = 5;

/// The commands of every aggregate, and the clock that says when a request arrived. Cheap to clone.
#[derive(Clone)]
pub struct WriteState {
    /// Commands on transactions.
    pub transactions: Commands<Transaction>,
    /// Commands on incidents.
    pub incidents: Commands<Incident>,
    /// The time, in microseconds.
    pub clock: Clock,
    /// Seals what people write; without one it is recorded in clear.
    pub sealer: Option<Arc<dyn Sealer>>,
}

impl WriteState {
    /// Commands on `ledger`.
    pub fn new(ledger: Ledger, clock: Clock) -> Self {
        let policy = |reducer_version, holds_personal_data| StreamPolicy {
            reducer_version,
            holds_personal_data,
            ..StreamPolicy::default()
        };
        Self {
            transactions: Commands::new(
                ledger.clone(),
                policy(Transaction::REDUCER_VERSION, Transaction::HOLDS_PERSONAL_DATA),
            ),
            incidents: Commands::new(ledger, policy(Incident::REDUCER_VERSION, Incident::HOLDS_PERSONAL_DATA)),
            clock,
            sealer: None,
        }
    }

    /// With what people write sealed.
    #[must_use]
    pub fn with_sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// When the request arrived.
    pub(crate) fn now(&self) -> Result<Timestamp, Problem> {
        Timestamp::from_micros((self.clock)()).ok_or_else(|| {
            tracing::error!("the clock is outside the years 1900 to 9999");
            Problem::unavailable("clock.unusable", "the server does not know the time", 60)
        })
    }
}
