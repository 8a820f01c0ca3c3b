//! What a load test asks, and how often: the mix of the predecessor's script, with those of its endpoints that exist.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// One endpoint of the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// How often, relative to the others.
    pub weight: u32,
    pub method: &'static str,
    pub path: &'static str,
    /// The status of a good answer.
    pub expected: u16,
    /// False where Daybook does not have it yet.
    pub exists: bool,
}

const fn endpoint(weight: u32, method: &'static str, path: &'static str, expected: u16, exists: bool) -> Endpoint {
    Endpoint { weight, method, path, expected, exists }
}

/// The predecessor's mix.
pub const MIX: [Endpoint; 11] = [
    endpoint(15, "GET", "/health", 200, true),
    endpoint(20, "GET", "/transactions", 200, true),
    endpoint(5, "GET", "/auth/roles", 200, true),
    endpoint(10, "GET", "/compliance", 200, false),
    endpoint(10, "GET", "/incidents", 200, true),
    endpoint(5, "GET", "/system-metrics", 200, false),
    endpoint(25, "POST", "/transactions", 201, true),
    endpoint(5, "GET", "/agent/compliance/drift/status", 200, false),
    endpoint(5, "GET", "/agent/compliance/retrain/status", 200, false),
    endpoint(10, "POST", "/agent/compliance/monitor", 200, false),
    endpoint(5, "POST", "/anomaly/detect", 200, false),
];

impl Endpoint {
    /// `GET /health`.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The body of request `number` of run `run`, where it has one.
    pub fn body(&self, run: &str, number: u64, random: &mut ChaCha8Rng) -> Option<Value> {
        let cents = random.random_range(100..2_500_000_u32);
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let currency = pick(random, &["USD", "EUR", "GBP"]);
        match self.path {
            "/transactions" if self.method == "POST" => Some(json!({
                "transaction_id": format!("LT-{run}-{number}"),
                "amount": amount,
                "currency": currency,
                "status": pick(random, &["completed", "pending", "failed"]),
                "meta": {
                    "account_id": format!("ACC-{}", random.random_range(1_000..10_000)),
                    "merchant": pick(random, &["Bloomberg", "Reuters", "ICE", "CME"]),
                    "region": pick(random, &["US", "EU", "APAC"]),
                    "load_test": true,
                },
            })),
            "/agent/compliance/monitor" => Some(json!({
                "id": format!("LT-{run}-{number}"), "amount": amount, "currency": currency, "type": "check",
                "timestamp": "2026-11-21T10:00:00Z",
            })),
            "/anomaly/detect" => Some(json!({
                "data": [{"amount": amount, "timestamp": "2026-11-21T10:00:00Z", "currency": currency, "type": "wire"}],
                "model_type": "isolation_forest",
            })),
            _ => None,
        }
    }
}

fn pick(random: &mut ChaCha8Rng, words: &[&'static str]) -> &'static str {
    words.get(random.random_range(0..words.len())).copied().unwrap_or_default()
}

/// The endpoints to ask: all of the predecessor's, or those that exist.
pub fn endpoints(all: bool) -> Vec<Endpoint> {
    MIX.into_iter().filter(|endpoint| all || endpoint.exists).collect()
}

/// One of them, by weight.
pub fn choose(endpoints: &[Endpoint], random: &mut ChaCha8Rng) -> usize {
    let total: u32 = endpoints.iter().map(|endpoint| endpoint.weight).sum();
    let mut left = random.random_range(0..total.max(1));
    for (index, endpoint) in endpoints.iter().enumerate() {
        match left.checked_sub(endpoint.weight) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn weights_decide_how_often() {
        let endpoints = endpoints(false);
        assert_eq!(endpoints.iter().map(|endpoint| endpoint.weight).sum::<u32>(), 75);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let posts = (0..7_500).filter(|_| endpoints[choose(&endpoints, &mut random)].method == "POST").count();
        assert!((2_300..2_700).contains(&posts), "{posts}");
    }
}
