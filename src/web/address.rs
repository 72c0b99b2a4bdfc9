//! Where a request came from.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Extensions, HeaderMap};

/// The address of the connection's other end: an extension that the server puts into each request.
///
/// With the feature `axum` it is read from axum's `ConnectInfo<SocketAddr>` too. Without either the address is unknown,
/// which is said once in the log: sessions then show no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub IpAddr);

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self(address.ip())
    }
}

/// The client's address: the connection's, or behind trusted proxies what the outermost of them wrote into
/// `X-Forwarded-For`. Each proxy appends the address that it saw, so the client's is the entry `hops` from the right;
/// everything further left was sent by the client and may be made up.
pub(crate) fn client_address(headers: &HeaderMap, extensions: &Extensions, hops: usize) -> Option<IpAddr> {
    let peer = peer_address(extensions);
    if hops == 0 {
        return peer;
    }
    // As bytes: an entry that is no text still counts as one, or it would shift the others.
    let lines = headers.get_all("x-forwarded-for").iter();
    let entries: Vec<&[u8]> = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let entry = entries.len().checked_sub(hops).and_then(|index| entries.get(index));
    let entry = entry.and_then(|entry| std::str::from_utf8(entry).ok());
    entry.and_then(|entry| parse(entry.trim())).or(peer)
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

fn warn_once() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "portcullis",
            "requests carry no peer address: insert a `PeerAddr` extension (or serve axum with `into_make_service_with_connect_info::<SocketAddr>()`)"
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
        client_address(&headers, &extensions, hops).map(|ip| ip.to_string())
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
