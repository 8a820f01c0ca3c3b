//! The digest of an action, recomputed from what the request says: who changed a parameter afterwards cannot keep it.

use super::payloads::Action;

const CONTEXT: &str = "daybook 2026-11 approval action v1";

/// 64 lower-case hexadecimal digits.
pub(super) fn digest_of(action: &Action) -> String {
    let mut parts = Parts(blake3::Hasher::new_derive_key(CONTEXT));
    parts.text(&action.action);
    parts.text(&action.resource_type);
    parts.text(&action.resource_id);
    parts.count(action.parameters.len());
    for (name, value) in &action.parameters {
        parts.text(name);
        parts.text(value);
    }
    parts.count(action.changes.len());
    for change in &action.changes {
        parts.text(&change.field);
        parts.optional(change.before.as_deref());
        parts.optional(change.after.as_deref());
    }
    let amount = action.amount.as_ref().map(|money| format!("{} {}", without_zeros(&money.amount), money.currency));
    parts.optional(amount.as_deref());
    parts.optional(action.label.as_deref());
    parts.0.finalize().to_hex().to_string()
}

/// Each part has its length before it, eight bytes, the least significant first.
struct Parts(blake3::Hasher);

impl Parts {
    fn count(&mut self, count: usize) {
        self.0.update(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.count(usize::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }
}

/// A decimal number by its value: no zeros at the end of its decimals.
fn without_zeros(amount: &str) -> &str {
    match amount.contains('.') {
        true => amount.trim_end_matches('0').trim_end_matches('.'),
        false => amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_count_by_value() {
        for (amount, shortest) in [("1.50", "1.5"), ("100", "100"), ("-0.10", "-0.1"), ("7.000", "7"), ("0.00", "0")] {
            assert_eq!(without_zeros(amount), shortest);
        }
    }

    #[test]
    fn it_is_the_digest_that_requests_are_recorded_with() {
        let json = r#"{"action":"external.wire","resource_type":"wire","resource_id":"W-1","parameters":{"b":"2","a":"é"},
            "changes":[{"field":"limit","before":"1","after":"2"},{"field":"new","after":"x"}],"summary":"not counted",
            "amount":{"amount":"1200.50","currency":"USD"},"label":"production"}"#;
        let theirs: daybook_domain::approval::Action = serde_json::from_str(json).unwrap();
        let ours: Action = serde_json::from_str(json).unwrap();
        assert_eq!(digest_of(&ours), theirs.digest().to_string());
    }
}
