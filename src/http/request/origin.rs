//! Parses origins (scheme, host and port), so that they are not compared as text.

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
    /// Parses `https://host[:port]` or `http://host[:port]`. Returns `None` for anything else, such
    /// as a path, a user, a query, another scheme or `null`.
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
            // `host:` and `host:99999` have no valid port.
            with_port => port(with_port.strip_prefix(':')?)?,
        };
        Some(Self { https, host: authority.host().to_ascii_lowercase(), port })
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }
}

/// Parses a port. It accepts digits only, because `parse` alone would accept a `+`.
fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// An origin that an app trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrustedOrigin {
    Web(Origin),
    /// An app in a web view or a browser extension, such as `capacitor://localhost` or
    /// `chrome-extension://<id>`.
    ///
    /// In the URL standard such an origin is opaque. Only the program that owns the scheme knows
    /// what the text means. So the whole text is compared.
    App(String),
}

impl TrustedOrigin {
    /// Parses a setting.
    ///
    /// # Errors
    /// A text that says what is wrong with the setting and what to write instead.
    pub(crate) fn from_setting(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty: drop it");
        }
        if text == "null" {
            return Err("is what every sandboxed page and local file sends: it cannot be trusted");
        }
        if text.contains(',') {
            return Err("is a list: use one call for each origin, or commas in TRUSTED_ORIGINS");
        }
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err("has no scheme: use one such as \"https://app.example.com\"");
        };
        let scheme = scheme.to_ascii_lowercase();
        if rest.contains('*') {
            return Err("has a '*', and there are no wildcards: name each origin");
        }
        if rest.contains('@') {
            return Err("has a user name: an origin has no user, only scheme, host and port");
        }
        if rest.len() > 1 && rest.ends_with('/') && rest.find('/') == Some(rest.len() - 1) {
            return Err("has a path: write it without the '/' at its end");
        }
        let host_end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at_checked(host_end).unwrap_or((rest, ""));
        let (host, port_text) = match authority.rfind(':').filter(|at| *at > authority.rfind(']').unwrap_or(0)) {
            Some(at) => authority.split_at_checked(at).unwrap_or((authority, "")),
            None => (authority, ""),
        };
        if !host.is_ascii() {
            return Err("has letters beyond ASCII: write the host as browsers send it, as xn--…");
        }
        if !is_host(host) {
            return Err("has no host: use scheme, host and port, such as \"https://app.example.com\"");
        }
        if !after.is_empty() {
            return Err("has a path or a query: use scheme, host and port, and nothing after them");
        }
        if !port_text.is_empty() && port_text.strip_prefix(':').and_then(port).is_none() {
            return Err("has a port that is no number up to 65535");
        }
        if scheme == "https" || scheme == "http" {
            let origin = Origin::parse(&format!("{scheme}://{authority}")).map(Self::Web);
            return origin.ok_or("has no host: use scheme, host and port, such as \"https://app.example.com\"");
        }
        Ok(Self::App(format!("{scheme}://{authority}")))
    }

    /// Returns whether the `Origin` header of a request, given as text and parsed, names this
    /// origin.
    pub(super) fn is(&self, header: &str, parsed: Option<&Origin>) -> bool {
        match self {
            Self::Web(own) => parsed == Some(own),
            Self::App(own) => own == header,
        }
    }
}

/// Returns whether a text is a scheme (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns whether a text is a host name, an IPv4 address, or an address in brackets.
fn is_host(text: &str) -> bool {
    let (text, others): (&str, &[u8]) = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => (address, b":."),
        None => (text, b"-._"),
    };
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

#[cfg(feature = "client")]
impl Origin {
    /// Returns the origin that a request goes to, or `None` if its target has no scheme, no host,
    /// or a user name.
    pub(crate) fn of_uri(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Self::of(https, uri.authority()?)
    }

    /// Returns whether requests to this origin are encrypted or stay on this machine.
    pub(crate) fn is_private(&self) -> bool {
        self.https || is_this_machine(&self.host)
    }
}

/// Writes the form that [`parse`](Origin::parse) reads. Equal origins are written as the same text.
#[cfg(feature = "client")]
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Returns whether a host is this machine, by its name or address. No resolver is asked.
#[cfg(any(feature = "client", feature = "jwks_url"))]
pub(crate) fn is_this_machine(host: &str) -> bool {
    let v6 = host.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.is_ok_and(|address| address.is_loopback())
}
