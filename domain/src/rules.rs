//! Rules that look at one recorded transaction and may open an incident. A rule is data and a pure function: the same
//! transaction gives the same incident, under the same id, however often it is looked at.

use rust_decimal::Decimal;

use crate::incident::{DetectionMethod, IncidentType, Open, RuleReference, Severity};
use crate::meta::Meta;
use crate::money::Currency;
use crate::text::{IncidentId, Line, Paragraph, TransactionId};
use crate::transaction::RecordedContent;

/// Most bytes of a transaction's id that a shortened incident id repeats.
const KEPT_ID_BYTES: usize = 128;
/// Hex digits of the digest in a shortened incident id: 128 bits.
const DIGEST_DIGITS: usize = 32;

/// A transaction whose amount is above a threshold calls for a person to look at it.
#[derive(Debug, Clone, PartialEq)]
pub struct LargeTransactionRule {
    /// Raised whenever the rule would decide otherwise than before.
    pub version: u64,
    /// An amount whose absolute value is strictly above this is large. In units of the transaction's own currency.
    pub threshold: Decimal,
    /// The one currency the rule looks at; `None` for any.
    pub currency: Option<Currency>,
    /// How severe the incidents are.
    pub severity: Severity,
}

impl Default for LargeTransactionRule {
    /// Above 100,000 of any currency: high.
    fn default() -> Self {
        Self { version: 1, threshold: Decimal::from(100_000), currency: None, severity: Severity::High }
    }
}

impl LargeTransactionRule {
    /// The rule's name; part of the ids of the incidents it opens.
    pub const NAME: &'static str = "large_transaction";

    /// The incident this transaction calls for, if it does. `position` is the place of its entry in the ledger, for
    /// people who want to look it up.
    pub fn evaluate(&self, transaction_id: &TransactionId, content: &RecordedContent, position: u64) -> Option<Open> {
        let concerned = self.currency.is_none_or(|currency| currency == content.currency);
        if !concerned || content.amount.decimal().abs() <= self.threshold {
            return None;
        }
        let (money, name, version) = (content.money(), Self::NAME, self.version);
        let limit = format!("{} {}", self.threshold, content.currency);
        Some(Open {
            incident_id: IncidentId::composed(rule_incident_id(name, transaction_id)),
            title: Line::composed(format!("Transaction of {money} exceeds {limit}")),
            description: Some(Paragraph::composed(format!(
                "The amount of transaction {transaction_id}, {money}, is above the threshold of {limit} \
                 (rule {name}, version {version}; ledger position {position})."
            ))),
            severity: self.severity,
            priority: None,
            incident_type: IncidentType::large_transaction(),
            desk: None,
            trader: None,
            root_cause: None,
            recommended_action: Some(Paragraph::composed(
                "Review the transaction and its counterparty, and record the outcome before it is settled.".to_owned(),
            )),
            source_event_id: Some(Line::composed(transaction_id.to_string())),
            last_event_timestamp: Some(content.timestamp),
            source: Some(Line::composed(format!("rule:{name}"))),
            detection_method: DetectionMethod::Rule,
            rule: Some(RuleReference { name: Line::composed(name.to_owned()), version }),
            meta: Meta::composed([
                ("amount", content.amount.to_string().into()),
                ("currency", content.currency.code().into()),
                ("threshold", self.threshold.to_string().into()),
                ("transaction_position", position.into()),
            ]),
        })
    }
}

/// The id of the incident that a rule opens for a transaction: `inc_rule_<rule>_<transaction id>`.
///
/// Where that would exceed the 200 bytes of an id it is `inc_rule_<rule>-<digest>_<beginning>`: 32 hex digits of the
/// BLAKE3 hash of the transaction's id, and as much of the id as fits into 128 bytes. The hyphen keeps the two forms
/// apart, so that no transaction can take another's incident.
fn rule_incident_id(rule: &str, transaction_id: &TransactionId) -> String {
    let transaction_id = transaction_id.as_str();
    let plain = format!("inc_rule_{rule}_{transaction_id}");
    if plain.len() <= 200 {
        return plain;
    }
    let digest: String = blake3::hash(transaction_id.as_bytes()).to_hex().chars().take(DIGEST_DIGITS).collect();
    let beginning = beginning_of(transaction_id, KEPT_ID_BYTES);
    // White space may stand inside an id and not at its end.
    format!("inc_rule_{rule}-{digest}_{}", beginning.trim_end())
}

/// The longest beginning of at most `most_bytes` that ends between characters.
fn beginning_of(text: &str, most_bytes: usize) -> &str {
    let end = text
        .char_indices()
        .map(|(start, character)| start + character.len_utf8())
        .take_while(|end| *end <= most_bytes)
        .last();
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
