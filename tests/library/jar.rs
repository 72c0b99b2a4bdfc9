//! Cookies as a browser keeps them (RFC 6265bis §5): by name, domain, host-only flag and path.

use http::{HeaderMap, header::SET_COOKIE};

/// One cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) domain: String,
    /// Whether it is sent only to the host that set it.
    pub(crate) host_only: bool,
    pub(crate) path: String,
}

/// The cookies of one browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(Vec<Kept>);

impl Jar {
    /// Stores the cookies of an answer over https (§5.7).
    pub(crate) fn keep(&mut self, host: &str, path: &str, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            self.set(host, path, line.to_str().unwrap());
        }
    }

    /// Stores one `Set-Cookie` line. A line that browsers refuse changes nothing.
    pub(crate) fn set(&mut self, host: &str, request_path: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let (mut domain, mut path, mut age, mut secure) = (None, None, None, false);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.to_ascii_lowercase().as_str() {
                "domain" => domain = Some(value.trim_start_matches('.').to_ascii_lowercase()),
                "path" => path = Some(value).filter(|path| path.starts_with('/')),
                "max-age" => age = Some(value.parse::<i64>().unwrap()),
                "secure" => secure = true,
                _ => {}
            }
        }
        // Names of one label stand for the public suffix list.
        if domain.as_deref().is_some_and(|domain| !domain.contains('.') || !domain_matches(host, domain)) {
            return;
        }
        let host_prefix = name.starts_with("__Host-");
        if (host_prefix && (!secure || domain.is_some() || path != Some("/")))
            || (name.starts_with("__Secure-") && !secure)
        {
            return;
        }
        let kept = Kept {
            name: name.to_owned(),
            value: value.to_owned(),
            host_only: domain.is_none(),
            domain: domain.unwrap_or_else(|| host.to_owned()),
            path: path.map_or_else(|| default_path(request_path), str::to_owned),
        };
        self.0.retain(|old| {
            (&old.name, &old.domain, old.host_only, &old.path) != (&kept.name, &kept.domain, kept.host_only, &kept.path)
        });
        if age.is_none_or(|age| age > 0) {
            self.0.push(kept);
        }
    }

    /// Returns the `Cookie` header of a request (§5.8.3). Longer paths come first.
    pub(crate) fn header(&self, host: &str, path: &str) -> Option<String> {
        let mut sent: Vec<&Kept> = self
            .0
            .iter()
            .filter(|kept| if kept.host_only { kept.domain == host } else { domain_matches(host, &kept.domain) })
            .filter(|kept| path_matches(path, &kept.path))
            .collect();
        sent.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        let pairs: Vec<String> = sent.iter().map(|kept| format!("{}={}", kept.name, kept.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(crate) fn kept(&self) -> &[Kept] {
        &self.0
    }
}

/// Returns whether the host matches the domain (§5.1.3).
fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Returns the default path of a cookie (§5.1.4).
fn default_path(request_path: &str) -> String {
    match request_path.rfind('/') {
        Some(0) | None => "/".to_owned(),
        Some(at) => request_path[..at].to_owned(),
    }
}

/// Returns whether a request path matches the path of a cookie (§5.1.4).
fn path_matches(request_path: &str, cookie_path: &str) -> bool {
    request_path
        .strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}
