//! The URL of an issuer's JWK set, and how often it is fetched.

use std::time::Duration;

use http::Uri;

use crate::http::request::origin::is_this_machine;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The URL of an issuer's JWK set, and how the set is kept up to date.
///
/// The [module](super#keys-from-a-url) describes when it is fetched.
///
/// # Defaults
///
/// - `refresh_every`: 5 min
/// - `min_interval`: 10 s
/// - `max_stale`: 24 h
/// - `timeout`: 5 s
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use portcullis::resource::{JwksUrl, ResourceServer};
/// # fn main() -> Result<(), portcullis::BuildError> {
/// let jwks = JwksUrl::new("https://auth.example.com/auth/.well-known/jwks.json").max_stale(Duration::from_secs(3600));
/// let server = ResourceServer::builder("https://auth.example.com", "https://api.example.com").jwks_url(jwks).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct JwksUrl {
    url: String,
    plain_http: bool,
    pub(super) refresh_every: Duration,
    pub(super) min_interval: Duration,
    pub(super) max_stale: Duration,
    pub(super) timeout: Duration,
}

impl JwksUrl {
    /// Takes a URL of `https`, or of `http` on this machine.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            plain_http: false,
            refresh_every: Duration::from_secs(300),
            min_interval: Duration::from_secs(10),
            max_stale: DAY,
            timeout: Duration::from_secs(5),
        }
    }

    /// Allows `http` to another machine.
    ///
    /// An attacker on the network can then deliver keys of their own, and with them sign any token.
    pub fn insecure_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Sets the age at which the set is fetched again. Default: 5 min, the `max-age` of the set
    /// that this crate publishes. Maximum: 24 h.
    pub fn refresh_every(mut self, interval: Duration) -> Self {
        self.refresh_every = interval;
        self
    }

    /// Sets the least time from one fetch to the next. Default: 10 s. Minimum: 1 s. Maximum: 24 h.
    ///
    /// It also holds after a failure and for tokens that name unknown keys.
    pub fn min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = interval;
        self
    }

    /// Sets how long a set is in use while no fetch succeeds. Default: 24 h. Maximum: 7 days.
    /// Afterwards requests are answered 503.
    ///
    /// A key that the issuer has withdrawn can be accepted for as long. This happens where an
    /// attacker blocks the fetches, and at the first requests after a pause, which do not wait for
    /// the fetch that they begin.
    pub fn max_stale(mut self, limit: Duration) -> Self {
        self.max_stale = limit;
        self
    }

    /// Sets how long a fetch may take in all. Default: 5 s. Minimum: 100 ms. Maximum: 30 s.
    ///
    /// A request waits no longer for a fetch than this.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Checks the settings together, and returns the parsed URL.
    pub(super) fn check(&self, problems: &mut Vec<String>) -> Option<Uri> {
        let before = problems.len();
        let mut refuse = |wrong: bool, problem: &str| problems.extend(wrong.then(|| problem.to_owned()));
        let within = |value: Duration, least: Duration, most: Duration| (least..=most).contains(&value);
        refuse(
            !within(self.min_interval, SECOND, DAY),
            "the least time between fetches of the JWK set must be a second to a day: use ten seconds",
        );
        refuse(
            !within(self.refresh_every, self.min_interval, DAY),
            "the JWK set must be fetched again within a day, and not before the least time between fetches: use five minutes",
        );
        refuse(
            self.max_stale < self.refresh_every || self.max_stale > 7 * DAY,
            "the JWK set may be stale for a week at most, and for no less than the time between fetches: use a day",
        );
        refuse(
            !within(self.timeout, Duration::from_millis(100), Duration::from_secs(30)),
            "the timeout of a fetch must be 100 ms to 30 s: use five seconds",
        );
        let uri = self.url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).filter(|host| !host.is_empty());
        let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
        let credentials =
            uri.as_ref().and_then(Uri::authority).is_some_and(|authority| authority.as_str().contains('@'));
        refuse(
            host.is_none() || !["https", "http"].contains(&scheme),
            "the JWK set's URL is none: use one such as https://auth.example.com/auth/.well-known/jwks.json",
        );
        refuse(credentials, "the JWK set's URL has a user name in it: public keys need none");
        refuse(
            scheme == "http" && !self.plain_http && !host.is_some_and(is_this_machine),
            "the JWK set's URL is plain http, over which an attacker can deliver keys of their own: use https",
        );
        uri.filter(|_| problems.len() == before)
    }
}

impl From<&str> for JwksUrl {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for JwksUrl {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(jwks: &JwksUrl) -> Vec<String> {
        let mut problems = Vec::new();
        let uri = jwks.check(&mut problems);
        assert_eq!(uri.is_none(), !problems.is_empty());
        problems
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        for good in [
            "https://auth.example.com/jwks.json",
            "https://auth.example.com:8443/a?b=c",
            "http://127.0.0.1:3000/jwks",
            "http://127.9.9.9/",
            "http://[::1]:3000/",
            "http://LOCALHOST/",
        ] {
            assert_eq!(problems(&good.into()), Vec::<String>::new(), "{good}");
        }
        for (bad, word) in [
            ("http://auth.example.com/", "https"),
            ("http://localhost.example.com/", "https"),
            ("http://127.0.0.1.example.com/", "https"),
            ("http://10.0.0.1/", "https"),
            ("https://ada:secret@auth.example.com/", "user name"),
            ("http://localhost@auth.example.com/", "user name"),
            ("ftp://auth.example.com/", "none"),
            ("file:///etc/passwd", "none"),
            ("auth.example.com", "none"),
            ("/jwks.json", "none"),
            ("", "none"),
        ] {
            assert!(problems(&bad.into()).iter().any(|problem| problem.contains(word)), "{bad}");
        }
        assert_eq!(problems(&JwksUrl::new("http://auth.internal/").insecure_plain_http()), Vec::<String>::new());
    }

    #[test]
    fn times_outside_their_limits_are_refused_with_their_fix() {
        let good = || JwksUrl::new("https://auth.example.com/");
        for (jwks, fix) in [
            (good().min_interval(Duration::ZERO), "ten seconds"),
            (good().refresh_every(SECOND), "five minutes"),
            (good().refresh_every(2 * DAY).max_stale(3 * DAY), "five minutes"),
            (good().max_stale(SECOND), "a day"),
            (good().max_stale(8 * DAY), "a day"),
            (good().timeout(Duration::ZERO), "five seconds"),
            (good().timeout(DAY), "five seconds"),
        ] {
            let said = problems(&jwks);
            assert!(said.len() == 1 && said[0].contains(fix), "{fix}: {said:?}");
        }
    }
}
