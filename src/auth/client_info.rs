//! [`ClientInfo`]: describes the client of a flow.

use std::net::IpAddr;

use crate::{secret::Secret, session::Session};

/// Describes the client that a flow runs for: its address, its user agent, and the refresh token
/// that it still has.
///
/// Every part is optional. The ready endpoints fill all of them in. Code that calls a flow itself
/// fills in what it knows, and uses [`ClientInfo::unknown`] where it knows nothing.
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
    /// `User-Agent` header of the client. Sessions and events keep its first 256 bytes.
    pub user_agent: Option<String>,
    /// IP address of the client. Sessions and events keep it, and the [throttle](crate::throttle)
    /// counts attempts by it. Leave it out where it may be the address of a proxy, because all
    /// clients behind that proxy would share one budget.
    pub ip: Option<IpAddr>,
    /// Whether the address may stand for many clients. Such an address is kept with the session,
    /// but the throttle counts nothing by it.
    pub(crate) ip_is_shared: bool,
    /// Refresh token that the client has from an earlier login. A new login ends the session of
    /// that token, and the [throttle](crate::throttle) recognises the device by it.
    pub refresh_token: Option<Secret<String>>,
}

impl ClientInfo {
    /// Returns a description that says nothing about the client.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Sets the `User-Agent` header of the client.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Sets the IP address of the client. Leave it out where it may be the address of a proxy.
    #[must_use]
    pub fn with_ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// Sets the refresh token that the client has from an earlier login.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret<String>>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// Returns the address that the throttle counts by.
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
