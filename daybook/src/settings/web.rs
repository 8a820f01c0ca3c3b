//! What browsers, proxies, meters and the over-eager may do: CORS, forwarded addresses, open metrics, rate limits.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use anyhow::{Context, ensure};
use clap::{ArgAction, Args};
use daybook_http_kit::rate_limit::{DEFAULT_BURST, DEFAULT_PER_SECOND};
use daybook_http_kit::{Cors, MetricsAccess, RateLimits, TrustedProxies};
use serde::Deserialize;

/// Most requests a second, and at once.
const MAX_RATE: u32 = 1_000_000;
/// Most origins, and most proxies.
const MAX_ITEMS: usize = 100;

/// Flags and file entries. `serve` and `demo` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct WebOptions {
    /// Origins whose pages may call the API, such as https://app.example.com; none by default
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        value_delimiter = ',',
        env = "DAYBOOK_CORS_ORIGINS",
        help_heading = "HTTP"
    )]
    pub cors_origins: Vec<String>,
    /// Addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed; none by default
    #[arg(
        long = "trusted-proxy",
        value_name = "ADDRESS",
        value_delimiter = ',',
        env = "DAYBOOK_TRUSTED_PROXIES",
        help_heading = "HTTP"
    )]
    pub trusted_proxies: Vec<String>,
    /// Requests a second that one caller may make; 0 for no limit [default: 1000]
    #[arg(long = "rate-limit", value_name = "N", env = "DAYBOOK_RATE_LIMIT", help_heading = "HTTP")]
    pub rate_limit_per_second: Option<u32>,
    /// Requests that it may make at once [default: 5000]
    #[arg(long = "rate-burst", value_name = "N", env = "DAYBOOK_RATE_BURST", help_heading = "HTTP")]
    pub rate_limit_burst: Option<u32>,
    /// Show the metrics to whoever asks, not only to the operator [default: to programs on this machine, if it
    /// listens on loopback only, trusts no proxy, and none has passed the request on]
    #[arg(
        long,
        env = "DAYBOOK_METRICS_OPEN",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "HTTP"
    )]
    pub metrics_open: Option<bool>,
}

/// How many requests one caller may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// A second, on average.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// All told.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSettings {
    /// Origins whose pages may call.
    pub cors: Cors,
    /// Proxies that are believed.
    pub trusted_proxies: TrustedProxies,
    /// The limit; none where there is none.
    pub rate_limit: Option<RateLimit>,
    /// As configured; see [`WebSettings::metrics_access`].
    metrics_open: Option<bool>,
}

impl WebSettings {
    /// From flags and environment (`options`) and the file. A list in the former replaces the one in the latter.
    pub(super) fn resolve(options: WebOptions, file: WebOptions) -> anyhow::Result<Self> {
        let either = |first: Vec<String>, second: Vec<String>| {
            let chosen = if first.is_empty() { second } else { first };
            let named: Vec<String> = chosen.iter().map(|item| item.trim().to_owned()).collect();
            named.into_iter().filter(|item| !item.is_empty()).collect::<Vec<_>>()
        };
        let origins = either(options.cors_origins, file.cors_origins);
        let proxies = either(options.trusted_proxies, file.trusted_proxies);
        ensure!(origins.len() <= MAX_ITEMS, "cors_origins has more than {MAX_ITEMS} entries");
        ensure!(proxies.len() <= MAX_ITEMS, "trusted_proxies has more than {MAX_ITEMS} entries");
        let rate = options.rate_limit_per_second.or(file.rate_limit_per_second).unwrap_or(DEFAULT_PER_SECOND.get());
        let burst = options.rate_limit_burst.or(file.rate_limit_burst).unwrap_or(DEFAULT_BURST.get());
        ensure!(rate <= MAX_RATE, "rate_limit_per_second must be at most {MAX_RATE}");
        let burst = NonZeroU32::new(burst).filter(|burst| burst.get() <= MAX_RATE);
        let burst = burst.with_context(|| format!("rate_limit_burst must be 1 to {MAX_RATE}"))?;
        let networks = proxies.iter().map(|proxy| proxy.parse()).collect::<Result<_, _>>();
        Ok(Self {
            cors: Cors::new(&origins).context("cors_origins cannot be used")?,
            trusted_proxies: TrustedProxies::new(networks.context("trusted_proxies cannot be used")?),
            rate_limit: NonZeroU32::new(rate).map(|per_second| RateLimit { per_second, burst }),
            metrics_open: options.metrics_open.or(file.metrics_open),
        })
    }

    /// The limits, counting from now.
    pub fn rate_limits(&self) -> RateLimits {
        self.rate_limit.map_or_else(RateLimits::off, |limit| RateLimits::new(limit.per_second, limit.burst))
    }

    /// Whom a server that listens on `addresses` shows its metrics without credentials. Where nothing is said: this
    /// machine alone, and nobody where a proxy may stand in between.
    pub fn metrics_access(&self, addresses: &[SocketAddr]) -> MetricsAccess {
        let is_alone = self.trusted_proxies == TrustedProxies::default()
            && addresses.iter().all(|address| address.ip().is_loopback());
        match self.metrics_open {
            Some(true) => MetricsAccess::Open,
            None if is_alone => MetricsAccess::Local,
            Some(false) | None => MetricsAccess::Operator,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn resolve(text: &str) -> anyhow::Result<WebSettings> {
        WebSettings::resolve(WebOptions::default(), toml::from_str(text)?)
    }

    #[test]
    fn nobody_is_let_in_by_default() {
        let settings = resolve("").unwrap();
        assert!(!settings.cors.is_on());
        assert_eq!(settings.trusted_proxies, TrustedProxies::default());
        assert_eq!(settings.rate_limit.map(|limit| (limit.per_second.get(), limit.burst.get())), Some((1_000, 5_000)));
        let (inside, outside) = ("127.0.0.1:80".parse().unwrap(), "192.0.2.1:80".parse().unwrap());
        let access = |text: &str, addresses: &[SocketAddr]| resolve(text).unwrap().metrics_access(addresses);
        assert_eq!(access("", &[inside]), MetricsAccess::Local);
        assert_eq!(access("", &[inside, outside]), MetricsAccess::Operator);
        assert_eq!(access("trusted_proxies = [\"127.0.0.1\"]", &[inside]), MetricsAccess::Operator);
        assert_eq!(access("metrics_open = true", &[outside]), MetricsAccess::Open);
        assert_eq!(access("metrics_open = false", &[inside]), MetricsAccess::Operator);
    }

    #[test]
    fn origins_are_whole_and_none_is_everybody() {
        let settings = resolve("cors_origins = [\"https://app.example.com\", \"http://localhost:3000\"]").unwrap();
        assert!(settings.cors.is_on());
        for origin in ["*", "app.example.com", "https://app.example.com/x", "null"] {
            assert!(resolve(&format!("cors_origins = [{origin:?}]")).is_err(), "{origin}");
        }
    }

    #[test]
    fn limits_can_be_taken_away_and_proxies_are_addresses() {
        assert_eq!(resolve("rate_limit_per_second = 0").unwrap().rate_limit, None);
        assert!(resolve("rate_limit_burst = 0").is_err());
        assert!(resolve("trusted_proxies = [\"10.0.0.0/8\", \"::1\"]").is_ok());
        assert!(resolve("trusted_proxies = [\"proxy\"]").is_err());
    }
}
