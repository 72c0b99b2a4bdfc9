//! A browser, as far as these tests need one: it keeps cookies and sends them back.

use std::net::SocketAddr;

use crate::client::{Request, Response};

/// Cookies as a browser keeps them, without paths and domains: every test has one origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jar(Vec<(String, String)>);

impl Jar {
    pub(crate) fn keep(&mut self, response: &Response) {
        for cookie in response.set_cookies() {
            self.0.retain(|(name, _)| *name != cookie.name);
            if cookie.max_age().is_none_or(|seconds| seconds > 0) {
                self.0.push((cookie.name, cookie.value));
            }
        }
    }

    pub(crate) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// One browser: a jar, and requests that carry it.
#[derive(Clone)]
pub(crate) struct Browser {
    addr: SocketAddr,
    jar: Jar,
}

impl Browser {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Browser { addr, jar: Jar::default() }
    }

    pub(crate) fn request(&mut self, method: &str, target: &str) -> Request<'_> {
        Request::new(self.addr, method, target).with_jar(&mut self.jar)
    }

    pub(crate) fn get(&mut self, target: &str) -> Request<'_> {
        self.request("GET", target)
    }

    pub(crate) fn post(&mut self, target: &str) -> Request<'_> {
        self.request("POST", target)
    }

    pub(crate) fn put(&mut self, target: &str) -> Request<'_> {
        self.request("PUT", target)
    }

    pub(crate) fn delete(&mut self, target: &str) -> Request<'_> {
        self.request("DELETE", target)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.jar.0.iter().any(|(kept, _)| kept == name)
    }

    #[track_caller]
    pub(crate) fn cookie(&self, name: &str) -> String {
        let kept = self.jar.0.iter().find(|(kept, _)| kept == name);
        kept.map_or_else(|| panic!("the browser has no cookie {name}"), |(_, value)| value.clone())
    }

    /// The access token, under the name that it has without `Secure`.
    #[track_caller]
    pub(crate) fn access(&self) -> String {
        self.cookie("access_token")
    }

    /// The refresh token, under the name that it has without `Secure`.
    #[track_caller]
    pub(crate) fn refresh(&self) -> String {
        self.cookie("refresh_token")
    }
}
