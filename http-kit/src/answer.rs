//! What a command that had effect is answered with: the resource, its version, and the receipt.

use actix_web::HttpResponse;
use actix_web::http::header::{LINK, LOCATION};
use daybook_ledger::Receipt;
use daybook_ledger::commands::Outcome;
use daybook_ledger::keys::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::idempotency::IDEMPOTENCY_REPLAYED;
use crate::position::with_position;
use crate::{API_PREFIX, if_match};

/// Proof that the command is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReceiptView {
    /// Which ledger.
    #[schema(example = "main")]
    pub ledger_id: String,
    /// Position of the command's last entry.
    #[schema(example = 42)]
    pub position: u64,
    /// BLAKE3 hash of that entry, 64 hexadecimal digits.
    pub hash: String,
}

impl From<&Receipt> for ReceiptView {
    fn from(receipt: &Receipt) -> Self {
        Self { ledger_id: receipt.ledger_id.to_string(), position: receipt.position, hash: receipt.hash.to_string() }
    }
}

/// The members that every answer to a command has beside the resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recorded {
    /// Version of the resource, for `If-Match`.
    #[schema(example = 1)]
    pub version: u64,
    /// When the entry was recorded, RFC 3339 UTC with microseconds.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    pub recorded_at: String,
    /// Proof that it is in the ledger.
    pub receipt: ReceiptView,
}

impl Recorded {
    /// From a command's outcome.
    pub fn of<A>(outcome: &Outcome<A>) -> Self {
        Self {
            version: outcome.version,
            recorded_at: rfc3339(outcome.recorded_at),
            receipt: ReceiptView::from(&outcome.receipt),
        }
    }
}

/// 201 with `Location` where something came to be, else 200; with `ETag`, `Daybook-Position`, `Link` to the proof of the
/// receipt and, on a repeat, `Idempotency-Replayed`. `collection` is for example `/transactions`.
pub fn respond<A>(outcome: &Outcome<A>, collection: &str, body: &impl Serialize) -> HttpResponse {
    let is_new = outcome.created && !outcome.unchanged;
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    if is_new {
        answer.insert_header((LOCATION, format!("{API_PREFIX}{collection}/{}", path_segment(&outcome.id))));
    }
    if outcome.replayed {
        answer.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    answer.insert_header(if_match::entity_tag(outcome.version));
    answer.insert_header((LINK, proof_link(&outcome.receipt)));
    with_position(answer.json(body), Some(outcome.receipt.position))
}

/// Where the receipt's entry is proved, once a checkpoint covers it (RFC 8288).
pub fn proof_link(receipt: &Receipt) -> String {
    format!("<{API_PREFIX}/ledgers/{}/proofs/{}.tlog-proof>; rel=\"proof\"", receipt.ledger_id, receipt.position)
}

/// An id as one segment of a path: everything but unreserved characters percent-encoded (RFC 3986).
pub fn path_segment(id: &str) -> String {
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use daybook_ledger::{Hash, LedgerId};

    use super::*;

    #[test]
    fn receipt_leads_to_its_proof() {
        let receipt = Receipt { ledger_id: LedgerId::main(), position: 42, hash: Hash([0; 32]) };
        assert_eq!(proof_link(&receipt), r#"</v1/ledgers/main/proofs/42.tlog-proof>; rel="proof""#);
    }

    #[test]
    fn ids_become_one_segment_each() {
        assert_eq!(path_segment("a/b?c d%é"), "a%2Fb%3Fc%20d%25%C3%A9");
        assert_eq!(path_segment("txn_1-2.3~4"), "txn_1-2.3~4");
    }
}
