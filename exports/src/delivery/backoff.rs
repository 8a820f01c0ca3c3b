//! Pauses between attempts: longer each time, bounded, and not the same for everybody who waits.

use std::time::Duration;

use daybook_domain::names::DeliveryId;

/// The pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// Attempts after which a delivery is given up, unless said otherwise: about two and a half hours.
pub const MAX_ATTEMPTS: u64 = 12;

/// The pause after attempt `attempt` (the first is 1): doubled each time, at most [`LONGEST_PAUSE`], of which between half
/// and all is waited. The same attempt and seed give the same pause, so that it survives a restart.
pub fn backoff(attempt: u64, seed: u64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let whole = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let mut hasher = blake3::Hasher::new_derive_key("daybook 2026-11 delivery backoff v1");
    hasher.update(&seed.to_le_bytes()).update(&attempt.to_le_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    let part = f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + part / 2.0)
}

/// A seed that belongs to a delivery.
pub fn seed_of(delivery_id: &DeliveryId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(delivery_id.as_str().as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_differ_between_deliveries() {
        let mut whole = FIRST_PAUSE;
        for attempt in 1..=40 {
            for seed in 0..50 {
                let pause = backoff(attempt, seed);
                assert!(pause >= whole / 2 && pause <= whole, "{attempt} {seed}: {pause:?} of {whole:?}");
                assert_eq!(pause, backoff(attempt, seed));
            }
            whole = (whole * 2).min(LONGEST_PAUSE);
        }
        assert_ne!(backoff(3, 1), backoff(3, 2));
        assert!(backoff(u64::MAX, 1) <= LONGEST_PAUSE && backoff(0, 1) <= FIRST_PAUSE);
    }
}
