//! The aggregate that both sides carry out commands on.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

/// A payment of about 400 bytes: the size of a transaction as Daybook records it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    amount: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum PaymentEvent {
    #[serde(rename = "payment.made")]
    Made { amount: String, currency: String, account: String, counterparty: String, note: String },
}

impl DomainEvent for PaymentEvent {
    fn event_type(&self) -> String {
        "payment.made".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never refused")]
pub struct Never;

impl Aggregate for Payment {
    const TYPE: &'static str = "payment";
    type Command = String;
    type Event = PaymentEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, amount: String, _: &(), sink: &EventSink<Self>) -> Result<(), Never> {
        let event = PaymentEvent::Made {
            amount,
            currency: "EUR".to_owned(),
            account: "ACC-0001-2345-6789".to_owned(),
            counterparty: "TERMINAL-3156".to_owned(),
            note: "n".repeat(200),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, PaymentEvent::Made { amount, .. }: PaymentEvent) {
        self.amount = amount;
    }
}
