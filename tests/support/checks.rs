//! Assertions about answers: the shape of failures, of challenges, of users.

use serde_json::Value;

use crate::client::Response;
use crate::server::Server;

impl Response {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "the answer was {self}");
        self
    }

    /// A failure in the shape of RFC 9457, with this status and this stable code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let response = self.expect(status);
        let body = response.json();
        assert_eq!(body["code"], code, "the answer was {response}");
        let content_type = response.header("content-type").unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        assert_eq!(media_type, "application/problem+json", "the answer was {response}");
        assert_eq!(body["type"], "about:blank", "the answer was {response}");
        assert_eq!(body["status"], status, "the answer was {response}");
        for member in ["title", "detail"] {
            let text = body[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {member}: {response}");
        }
        response
    }

    /// 400 `validation_failed` that complains of this field.
    #[track_caller]
    pub(crate) fn invalid_field(self, field: &str) -> Self {
        let response = self.problem(400, "validation_failed");
        let body = response.json();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        assert!(!errors.is_empty(), "no errors: {response}");
        for error in &errors {
            for member in ["field", "code", "message"] {
                let text = error[member].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "an error without {member}: {response}");
            }
        }
        assert!(errors.iter().any(|error| error["field"] == field), "{field} in {response}");
        response
    }

    /// A protected route refuses a token: 401, this code, and the challenge of RFC 6750.
    #[track_caller]
    pub(crate) fn token_refused(self, code: &str) -> Self {
        let response = self.problem(401, code);
        let challenge = response.header("www-authenticate").unwrap_or_default();
        assert!(challenge.starts_with("Bearer "), "the answer was {response}");
        assert!(challenge.contains(r#"error="invalid_token""#), "the answer was {response}");
        assert!(challenge.contains(r#"error_description=""#), "the answer was {response}");
        response
    }

    /// A protected route has seen no token: 401, and a challenge that says no more than `Bearer`.
    #[track_caller]
    pub(crate) fn token_missing(self) -> Self {
        let response = self.problem(401, "token_missing");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"), "{response}");
        response
    }

    #[track_caller]
    pub(crate) fn not_stored(self) -> Self {
        let control = self.header("cache-control").unwrap_or_default().to_owned();
        assert!(control.split(',').any(|part| part.trim() == "no-store"), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn sets_no_cookie(self) -> Self {
        assert!(self.set_cookies().is_empty(), "a cookie is set: {self}");
        self
    }

    /// Returns status, headers and body without the date, to compare two answers that must be
    /// equal.
    pub(crate) fn without_date(mut self) -> (u16, Vec<(String, String)>, String) {
        self.headers.retain(|(name, _)| name != "date");
        let text = self.text();
        (self.status, self.headers, text)
    }

    /// A token response whose tokens are where a browser wants them: in cookies alone.
    #[track_caller]
    pub(crate) fn tokens_in_cookies(self, status: u16) -> Self {
        let response = self.expect(status).not_stored();
        let body = response.json();
        assert_eq!(body["token_type"], "Bearer", "{response}");
        assert!(body["expires_in"].is_u64(), "{response}");
        assert_user(&body["user"]);
        assert!(body.get("access_token").is_none(), "{response}");
        assert!(body.get("refresh_token").is_none(), "{response}");
        assert_eq!(response.set_cookies().len(), 2, "{response}");
        response
    }
}

/// Exactly the public members, and nothing of the record behind them.
#[track_caller]
pub(crate) fn assert_user(user: &Value) {
    let mut members: Vec<_> = user.as_object().into_iter().flatten().map(|(name, _)| name).collect();
    members.sort();
    let public = ["avatar_url", "created_at", "email", "id", "name", "roles", "username"];
    assert_eq!(members, public, "{user}");
    assert!(user["id"].as_str().is_some_and(|id| !id.is_empty()), "{user}");
    assert!(user["roles"].is_array(), "{user}");
    assert!(user["created_at"].as_str().is_some_and(is_rfc_3339), "{user}");
}

pub(crate) fn is_rfc_3339(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let zoned = ["Z", "+00:00"].iter().find_map(|zone| shape.strip_suffix(zone));
    zoned.and_then(|moment| moment.strip_prefix("0000-00-00T00:00:00")).is_some_and(|fraction| {
        fraction.is_empty() || fraction.strip_prefix('.').is_some_and(|f| !f.is_empty() && f.bytes().all(|b| b == b'0'))
    })
}

impl Server {
    #[track_caller]
    pub(crate) fn is_alive(&self) {
        assert_eq!(self.get("/ping").send().expect(200).text().trim(), "pong");
    }

    /// The id of the session that an access token belongs to, as a guarded route sees it.
    #[track_caller]
    pub(crate) fn session_of(&self, access: &str) -> String {
        let profile = self.get("/profile").bearer(access).send().expect(200).json();
        profile["sid"].as_str().expect("a profile has a sid").to_owned()
    }
}
