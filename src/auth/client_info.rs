//! [`ClientInfo`]: what is known of the client that a flow runs for.

use std::net::IpAddr;

use crate::{secret::Secret, session::Session};

/// What is known of the client that a flow runs for.
///
/// # Examples
///
/// ```
/// use portcullis::auth::ClientInfo;
///
/// let client = ClientInfo::unknown().with_ip([192, 0, 2, 7].into()).with_user_agent("curl/8.14.1");
/// assert_eq!(client.user_agent.as_deref(), Some("curl/8.14.1"));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientInfo {
    /// The client's `User-Agent`. The first 256 bytes are kept.
    pub user_agent: Option<String>,
    /// The client's address. The [throttle](crate::throttle) counts attempts by it, so leave it out where it may be the
    /// address of a proxy.
    pub ip: Option<IpAddr>,
    /// The address may stand for many clients. It is kept with the session, and nothing is counted by it.
    pub(crate) ip_is_shared: bool,
    /// The refresh token that the client still has from an earlier login. A login ends that session, and the
    /// [throttle](crate::throttle) knows the device by it.
    pub refresh_token: Option<Secret<String>>,
}

impl ClientInfo {
    /// Returns a client of which nothing is known.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Sets the `User-Agent`.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Sets the address. Leave it out where it may be the address of a proxy.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// Sets the refresh token that the client still has from an earlier login.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret<String>>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// Returns the address to count by.
    pub(crate) fn counted_ip(&self) -> Option<IpAddr> {
        self.ip.filter(|_| !self.ip_is_shared)
    }

    /// Returns the part of the `User-Agent` that is kept.
    pub(crate) fn kept_user_agent(&self) -> Option<Box<str>> {
        let text = self.user_agent.as_deref()?.trim();
        let mut end = text.len().min(Session::MAX_USER_AGENT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.get(..end).filter(|text| !text.is_empty()).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_user_agent_is_cut_at_a_character() {
        let client = ClientInfo { user_agent: Some("é".repeat(200)), ..ClientInfo::unknown() };
        assert_eq!(client.kept_user_agent().unwrap().len(), 256);
        let odd = ClientInfo { user_agent: Some(format!("x{}", "é".repeat(200))), ..ClientInfo::unknown() };
        assert_eq!(odd.kept_user_agent().unwrap().len(), 255);
    }
}
