//! Where a request comes from or goes to: scheme, host and port, parsed and never compared as text.

#[cfg(feature = "client")]
use std::fmt;

#[cfg(any(feature = "client", feature = "jwks_url"))]
use std::net::{Ipv4Addr, Ipv6Addr};

#[cfg(feature = "client")]
use http::Uri;
use http::uri::Authority;

/// A parsed web origin (RFC 6454 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://host[:port]`, nothing more: no path, user or query; `null` and other schemes are none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (https, authority) = if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else {
            (false, text.strip_prefix("http://")?)
        };
        let authority: Authority = authority.parse().ok()?;
        Self::of(https, &authority)
    }

    pub(super) fn of(https: bool, authority: &Authority) -> Option<Self> {
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let port = match authority.as_str().strip_prefix(authority.host())? {
            "" => default_port(https),
            // `host:` and `host:99999` are no ports.
            with_port => with_port.strip_prefix(':')?.parse().ok()?,
        };
        Some(Self { https, host: authority.host().to_ascii_lowercase(), port })
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

#[cfg(feature = "client")]
impl Origin {
    /// The origin that a request goes to; `None` for a target without scheme and host, and for one with a user in it.
    pub(crate) fn of_uri(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Self::of(https, uri.authority()?)
    }

    /// Whether nobody else can read what is sent there.
    pub(crate) fn is_private(&self) -> bool {
        self.https || is_this_machine(&self.host)
    }
}

/// As [`parse`](Origin::parse) reads it; equal origins have one text.
#[cfg(feature = "client")]
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Whether a host is this machine by its name or number, whatever a resolver would say.
#[cfg(any(feature = "client", feature = "jwks_url"))]
pub(crate) fn is_this_machine(host: &str) -> bool {
    let v6 = host.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.is_ok_and(|address| address.is_loopback())
}
