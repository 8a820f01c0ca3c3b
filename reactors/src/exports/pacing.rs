//! How often something is tried, and how long is waited in between: twice as long each time, up to a bound.

use std::time::Duration;

use rand::Rng;

/// How often, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failure.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
}

impl Pacing {
    /// Pause after the failure of attempt `number`, counted from 1.
    pub fn pause(&self, number: u64) -> Duration {
        let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest)
    }

    pub(super) fn pause_micros(&self, number: u64) -> i64 {
        micros(self.pause(number))
    }

    /// Between half of the pause and all of it, so that what failed together is not tried again together.
    pub(super) fn pause_with_jitter_micros(&self, number: u64) -> i64 {
        let pause = self.pause_micros(number);
        rand::rng().random_range(pause / 2..=pause)
    }
}

pub(super) fn micros(pause: Duration) -> i64 {
    i64::try_from(pause.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(10), Duration::from_secs(60));
        let pacing = Pacing { attempts: 5, first, longest };
        let pauses: Vec<u64> = [1, 2, 3, 4, 50, u64::MAX].map(|number| pacing.pause(number).as_secs()).to_vec();
        assert_eq!(pauses, [10, 20, 40, 60, 60, 60]);
        for _ in 0..100 {
            assert!((5_000_000..=10_000_000).contains(&pacing.pause_with_jitter_micros(1)));
        }
    }
}
