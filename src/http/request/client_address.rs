//! Where a request came from.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Extensions, HeaderMap};

/// The address of the connection's other end: an extension that the server puts into each request.
///
/// With the feature `axum` it is read from axum's `ConnectInfo<SocketAddr>` too. Without either the address is unknown,
/// which is said once in the log: sessions then show no address, and guesses are not counted by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self(address.ip())
    }
}

/// Where a request came from, as far as that can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    pub(crate) ip: Option<IpAddr>,
    /// It is that of a connection from inside, so that of a proxy as likely as not: many clients may have it.
    pub(crate) is_shared: bool,
}

/// The client's address: the connection's, or behind trusted proxies what the outermost of them wrote into
/// `X-Forwarded-For`. Each proxy appends the address that it saw, so the client's is the entry `hops` from the right;
/// everything further left was sent by the client and may be made up.
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
    // As bytes: an entry that is no text still counts as one, or it would shift the others.
    let lines = headers.get_all("x-forwarded-for").iter();
    let entries: Vec<&[u8]> = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let entry = entries.len().checked_sub(hops).and_then(|index| entries.get(index));
    let entry = entry.and_then(|entry| std::str::from_utf8(entry).ok());
    entry.and_then(|entry| parse(entry.trim()))
}

/// Loopback, private, link-local, and what providers use within their networks (RFC 6598).
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

/// Says once that guesses are not counted by address.
pub(crate) fn warn_of_shared() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "portcullis",
            "requests come from a private address, as from a proxy: until trusted_proxy_hops (TRUSTED_PROXY_HOPS) says \
             how many proxies append to X-Forwarded-For, guesses are not counted by address, and a stranger who keeps \
             guessing at a login keeps its owner out on every device that has not logged in before"
        );
    }
}

fn warn_once() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "portcullis",
            "requests carry no peer address: until there is a `PeerAddr` extension (or axum is served with \
             `into_make_service_with_connect_info::<SocketAddr>()`), guesses are not counted by address, and a stranger \
             who keeps guessing at a login keeps its owner out on every device that has not logged in before"
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
    fn a_connection_from_inside_may_be_a_proxy_for_many() {
        for inside in
            ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.1.1", "100.64.0.1", "fd00::1"]
        {
            assert!(is_shared(inside, None, 0), "{inside}");
            assert!(is_shared(inside, Some("192.0.2.7"), 0), "{inside}: without hops the header says nothing");
            assert!(is_shared(inside, None, 1), "{inside}: the proxy wrote nothing");
            assert!(!is_shared(inside, Some("10.9.9.9"), 1), "{inside}: an intranet behind a proxy");
        }
        for outside in ["192.0.2.7", "100.128.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_shared(outside, None, 0), "{outside}");
        }
    }

    #[test]
    fn forwarded_addresses_count_only_through_trusted_hops_and_from_the_right() {
        assert_eq!(address(&["6.6.6.6"], 0).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["6.6.6.6, 1.2.3.4"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["6.6.6.6", "1.2.3.4, 10.9.9.9"], 2).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["1.2.3.4"], 2).as_deref(), Some("10.0.0.1"), "too few hops: the connection's");
        assert_eq!(address(&["6.6.6.6", "\u{ff}, 1.2.3.4"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["6.6.6.6", "1.2.3.4, \u{ff}"], 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["nonsense"], 1).as_deref(), Some("10.0.0.1"));
        assert_eq!(address(&["1.2.3.4:5678"], 1).as_deref(), Some("1.2.3.4"));
        assert_eq!(address(&["[2001:db8::1]:443"], 1).as_deref(), Some("2001:db8::1"));
    }
}
