//! Where a request comes from.
//!
//! The socket's address counts, unless it is that of a proxy that the settings trust: then the last address of
//! `X-Forwarded-For` that is not such a proxy's. What anybody else writes into these headers is not believed.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR, X_FORWARDED_PROTO};
use actix_web::{HttpMessage, HttpRequest};

/// Addresses in a row: one, or a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A network that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

impl Network {
    /// True where `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| invalid())?)),
            None => (text.trim(), None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| invalid())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(most);
        if prefix > most {
            return Err(invalid());
        }
        Ok(Self { address, prefix })
    }
}

/// The proxies whose forwarding headers are believed; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// These.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Where a request comes from. The middleware makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// The client's address; `None` where the socket has none.
    pub address: Option<IpAddr>,
    /// True where the client came by https.
    pub is_https: bool,
}

impl Peer {
    /// Where `request` comes from.
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().unwrap_or_default()
    }

    pub(crate) fn read(socket: Option<IpAddr>, is_tls: bool, headers: &HeaderMap, proxies: &TrustedProxies) -> Self {
        let socket = socket.map(|address| address.to_canonical());
        let Some(proxy) = socket.filter(|address| proxies.trusts(*address)) else {
            return Self { address: socket, is_https: is_tls };
        };
        let text = |name| headers.get_all(name).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        let mut address = proxy;
        for hop in text(X_FORWARDED_FOR).rsplit(',') {
            // What stands before something unreadable was not written by a proxy of ours.
            let Some(named) = address_of(hop.trim()) else { break };
            address = named;
            if !proxies.trusts(named) {
                break;
            }
        }
        let forwarded = text(X_FORWARDED_PROTO);
        let is_https = match forwarded.rsplit(',').next().map(str::trim) {
            Some("") | None => is_tls,
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
        };
        Self { address: Some(address), is_https }
    }
}

/// An address with or without a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn peer(socket: &str, forwarded_for: &'static str, proto: &'static str) -> Peer {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static(forwarded_for));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        Peer::read(Some(socket.parse().unwrap()), false, &headers, &proxies)
    }

    fn of(address: &str, is_https: bool) -> Peer {
        Peer { address: Some(address.parse().unwrap()), is_https }
    }

    #[test]
    fn strangers_do_not_say_where_they_come_from() {
        assert_eq!(peer("203.0.113.9", "192.0.2.1", "https"), of("203.0.113.9", false));
    }

    #[test]
    fn last_address_before_the_trusted_proxies_counts() {
        assert_eq!(peer("10.1.1.1", "192.0.2.1, 198.51.100.7, 10.2.2.2", "https"), of("198.51.100.7", true));
        assert_eq!(peer("::ffff:10.1.1.1", "198.51.100.7:4711", "http"), of("198.51.100.7", false));
        assert_eq!(peer("::1", "[2001:db8::1]:443", "http, https"), of("2001:db8::1", true));
        assert_eq!(peer("10.1.1.1", "192.0.2.1, nonsense, 10.2.2.2", ""), of("10.2.2.2", false));
    }

    #[test]
    fn networks_are_read_and_compared_by_their_prefix() {
        let network: Network = "192.168.4.0/22".parse().unwrap();
        assert!(
            network.contains("192.168.7.255".parse().unwrap()) && !network.contains("192.168.8.0".parse().unwrap())
        );
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("203.0.113.9".parse().unwrap()));
        for bad in ["10.0.0.0/33", "10.0.0", "", "::/129", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
