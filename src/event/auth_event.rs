//! [`AuthEvent`]: one event, and its JSON.

use std::net::IpAddr;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::kind::{EventKind, RefreshRefusal};
use crate::{clock::Timestamp, session::SessionId, user::UserId};

/// Event of a flow: what happened, when, to which user, and by which client.
///
/// It serializes as one flat object, without the members that are not known. See the
/// [module](super).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthEvent {
    /// Time of the event in milliseconds, by the [`Clock`](crate::clock::Clock) of the `Auth`.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// User of the event, where known.
    pub user_id: Option<UserId>,
    /// Session of the event, where known.
    pub session_id: Option<SessionId>,
    /// IP address of the client, where known.
    pub ip: Option<IpAddr>,
    /// First 256 bytes of the client's `User-Agent`, where known.
    pub user_agent: Option<Box<str>>,
}

impl AuthEvent {
    /// Makes an event without a user, a session and a client, for tests of an
    /// [`EventSink`](super::EventSink).
    ///
    /// ```
    /// use portcullis::{clock::Timestamp, event::{AuthEvent, EventKind, LoginMethod}};
    ///
    /// let kind = EventKind::logged_in(LoginMethod::Password);
    /// let mut event = AuthEvent::new(Timestamp::from_secs(1_800_000_000), kind);
    /// event.user_id = Some("42".into());
    /// assert_eq!(event.name(), "login.succeeded");
    /// ```
    pub const fn new(at: Timestamp, kind: EventKind) -> Self {
        Self { at, kind, user_id: None, session_id: None, ip: None, user_agent: None }
    }

    /// Returns the stable name of the kind, such as `session.reuse_found`.
    pub const fn name(&self) -> &'static str {
        self.kind.name()
    }
}

impl Serialize for AuthEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn known<M: SerializeMap>(
            map: &mut M,
            key: &'static str,
            value: Option<&impl Serialize>,
        ) -> Result<(), M::Error> {
            value.map_or(Ok(()), |value| map.serialize_entry(key, value))
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("event", self.name())?;
        known(&mut map, "user", self.user_id.as_ref().map(UserId::as_str).as_ref())?;
        known(&mut map, "session", self.session_id.as_ref())?;
        known(&mut map, "ip", self.ip.as_ref())?;
        known(&mut map, "user_agent", self.user_agent.as_ref())?;
        known(&mut map, "reason", self.kind.reason().as_ref())?;
        match &self.kind {
            EventKind::LoggedIn { method } => map.serialize_entry("method", method.as_str())?,
            EventKind::Throttled { operation, retry_after } => {
                map.serialize_entry("operation", operation.as_str())?;
                map.serialize_entry("retry_after_ms", &u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX))?;
            }
            EventKind::RefreshRefused { reason: RefreshRefusal::Ended(ended_by) } => {
                map.serialize_entry("ended_by", ended_by.as_str())?;
            }
            EventKind::SessionsEnded { kept, .. } => known(&mut map, "kept", kept.as_ref())?,
            EventKind::StoreUnavailable { operation, may_have_happened } => {
                map.serialize_entry("operation", operation.as_str())?;
                map.serialize_entry("may_have_happened", may_have_happened)?;
            }
            _ => {}
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        event::{EndAllReason, LoginFailure, LoginMethod, Operation},
        session::EndReason,
    };

    fn json(kind: EventKind) -> String {
        serde_json::to_string(&AuthEvent::new(Timestamp::from_millis(1_767_322_845_678), kind)).unwrap()
    }

    #[test]
    fn an_event_is_one_flat_object_of_what_is_known() {
        let kind = EventKind::SessionEnded { reason: EndReason::Logout };
        let mut event = AuthEvent::new(Timestamp::from_millis(1_767_322_845_678), kind);
        event.user_id = Some("42".into());
        event.session_id = Some(SessionId::from_bytes(*b"session-of-ada99"));
        event.ip = Some([192, 0, 2, 7].into());
        event.user_agent = Some("curl/8.14.1".into());
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"at":"2026-01-02T03:00:45.678Z","event":"session.ended","user":"42","session":"c2Vzc2lvbi1vZi1hZGE5OQ","ip":"192.0.2.7","user_agent":"curl/8.14.1","reason":"logout"}"#
        );
        assert_eq!(json(EventKind::Registered {}), r#"{"at":"2026-01-02T03:00:45.678Z","event":"user.registered"}"#);
    }

    #[test]
    fn each_kind_says_what_is_its_own() {
        let kept = Some(SessionId::from_bytes([0; 16]));
        let retry_after = Duration::from_secs(2);
        for (kind, end) in [
            (EventKind::LoggedIn { method: LoginMethod::Password }, r#""method":"password"}"#),
            (EventKind::LoginFailed { reason: LoginFailure::UnknownLogin }, r#""reason":"unknown_login"}"#),
            (
                EventKind::Throttled { operation: Operation::Login, retry_after },
                r#""operation":"login","retry_after_ms":2000}"#,
            ),
            (
                EventKind::RefreshRefused { reason: RefreshRefusal::Ended(EndReason::Reuse) },
                r#""reason":"ended","ended_by":"reuse"}"#,
            ),
            (
                EventKind::SessionsEnded { reason: EndAllReason::PasswordChanged, kept },
                r#""reason":"password_changed","kept":"AAAAAAAAAAAAAAAAAAAAAA"}"#,
            ),
            (
                EventKind::StoreUnavailable { operation: Operation::Refresh, may_have_happened: true },
                r#""operation":"refresh","may_have_happened":true}"#,
            ),
        ] {
            assert!(json(kind.clone()).ends_with(end), "{}", json(kind));
        }
    }
}
