//! Finds the address of the client that sent a request.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Extensions, HeaderMap};

/// Carries the address of the connection's other end. The server inserts it as an extension into
/// each request.
///
/// With the feature `axum`, the address is also read from axum's `ConnectInfo<SocketAddr>`.
///
/// Without either of them the address is unknown. Sessions then show no address, and password
/// guesses are not counted by address. A warning in the log says so once.
///
/// # Examples
///
/// ```
/// use std::net::SocketAddr;
///
/// use portcullis::http::PeerAddr;
///
/// fn with_peer<B>(mut request: http::Request<B>, peer: SocketAddr) -> http::Request<B> {
///     request.extensions_mut().insert(PeerAddr::from(peer));
///     request
/// }
/// # let request = with_peer(http::Request::new(()), SocketAddr::from(([192, 0, 2, 7], 443)));
/// # assert_eq!(request.extensions().get(), Some(&PeerAddr([192, 0, 2, 7].into())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self(address.ip())
    }
}

/// The address of a client, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    pub(crate) ip: Option<IpAddr>,
    /// The connection comes from a private network. Its other end may be a proxy, and many clients
    /// may share the address.
    pub(crate) is_shared: bool,
}

/// Returns the client's address: the address of the connection, or the one that trusted proxies
/// report.
///
/// Each proxy appends the address that it saw to `X-Forwarded-For`. Behind `hops` trusted proxies,
/// the client's address is the entry at position `hops` from the right. The client sent the entries
/// to the left of it, which may be forged.
pub(crate) fn client_address(headers: &HeaderMap, extensions: &Extensions, hops: usize) -> ClientAddress {
    if let Some(ip) = forwarded(headers, hops) {
        return ClientAddress { ip: Some(ip), is_shared: false };
    }
    let ip = peer_address(extensions);
    ClientAddress { ip, is_shared: ip.is_some_and(is_internal) }
}

fn forwarded(headers: &HeaderMap, hops: usize) -> Option<IpAddr> {
    if hops == 0 {
        return None;
    }
    // Entries are split as bytes. An entry that is not text still counts, because leaving it out
    // would shift the others.
    let lines = headers.get_all("x-forwarded-for").iter();
    let entries: Vec<&[u8]> = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let entry = entries.len().checked_sub(hops).and_then(|index| entries.get(index));
    let entry = entry.and_then(|entry| std::str::from_utf8(entry).ok());
    entry.and_then(|entry| parse(entry.trim()))
}

/// Returns whether an address is loopback, private, link-local, or in the range that providers use
/// inside their networks (RFC 6598).
fn is_internal(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let carrier = matches!(v4.octets(), [100, second, ..] if second & 0xc0 == 64);
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || carrier
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

fn parse(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(bracketed).map(|ip: IpAddr| ip.to_canonical())
}

fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<PeerAddr>().map(|peer| peer.0);
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| {
        extensions
            .get::<axum::extract::ConnectInfo<SocketAddr>>()
            .map(|axum::extract::ConnectInfo(address)| address.ip())
    });
    if peer.is_none() {
        warn_once();
    }
    peer.map(|ip| ip.to_canonical())
}

/// Warns once that password guesses are not counted by address, because many clients may share it.
pub(crate) fn warn_of_shared() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "portcullis",
            "requests come from a private address, which may be a proxy; password guesses are not counted by address until \
             trusted_proxy_hops (TRUSTED_PROXY_HOPS) says how many proxies append to X-Forwarded-For; an attacker who \
             keeps guessing a user's password can lock the user out on every device that has not logged in before"
        );
    }
}

/// Warns once that requests carry no address.
fn warn_once() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "portcullis",
            "requests carry no peer address; password guesses are not counted by address until each request has a \
             `PeerAddr` extension (with axum, serve with `into_make_service_with_connect_info::<SocketAddr>()`); an \
             attacker who keeps guessing a user's password can lock the user out on every device that has not logged in \
             before"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(forwarded: &[&str], hops: usize) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(c).unwrap()).collect();
            headers.append("x-forwarded-for", http::HeaderValue::from_bytes(&bytes).unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddr([10, 0, 0, 1].into()));
        client_address(&headers, &extensions, hops).ip.map(|ip| ip.to_string())
    }

    fn is_shared(peer: &str, forwarded: Option<&str>, hops: usize) -> bool {
        let mut headers = HeaderMap::new();
        headers
            .extend(forwarded.map(|value| (http::HeaderName::from_static("x-forwarded-for"), value.parse().unwrap())));
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddr(peer.parse().unwrap()));
        client_address(&headers, &extensions, hops).is_shared
    }

    #[test]
    fn a_private_address_may_be_shared_by_many_clients() {
        for inside in
            ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.1.1", "100.64.0.1", "fd00::1"]
        {
            assert!(is_shared(inside, None, 0), "{inside}");
            assert!(is_shared(inside, Some("192.0.2.7"), 0), "{inside}: without hops the header is ignored");
            assert!(is_shared(inside, None, 1), "{inside}: the proxy wrote nothing");
            assert!(!is_shared(inside, Some("10.9.9.9"), 1), "{inside}: an intranet behind a proxy");
        }
        for outside in ["192.0.2.7", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_shared(outside, None, 0), "{outside}");
        }
    }

    #[test]
    fn forwarded_addresses_are_counted_from_the_right() {
        assert_eq!(address(&["6.6.6.6"], 0).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["6.6.6.6, 1.2.3.4"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["6.6.6.6", "1.2.3.4, 10.9.9.9"], 2).as_deref(), Some("1.2.3.4"));
        assert_eq!(
            address(&["1.2.3.4"], 2).as_deref(),
            Some("10.0.0.1"),
            "too few entries: the address of the connection"
        );
        assert_eq!(address(&["6.6.6.6", "\u{ff}, 1.2.3.4"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["6.6.6.6", "1.2.3.4, \u{ff}"], 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["nonsense"], 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["1.2.3.4:5678"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["[2001:db8::1]:443"], 1).as_deref(), Some("2001:db8::1"));
    }
}
