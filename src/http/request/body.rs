//! Reads request bodies: JSON or a form, of limited size, with each name at most once.

use std::{any::TypeId, collections::HashSet, fmt, future::Future, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use tower::BoxError;

use crate::error::{Error, ErrorKind};

/// The largest body that an endpoint reads, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// The body of a request, before it is read. Its type is erased, so that no handler is generic over
/// it.
pub(crate) struct RequestBody(Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>);

impl RequestBody {
    pub(crate) fn new<B>(body: B) -> Self
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self(Box::pin(read_bounded(body)))
    }
}

/// The members of a body, by name.
#[derive(Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body that may be left out.
    ///
    /// # Errors
    /// [`ErrorKind::BodyTooLarge`], [`ErrorKind::UnsupportedMediaType`] or
    /// [`ErrorKind::InvalidBody`].
    pub(crate) async fn read_optional(headers: &HeaderMap, body: RequestBody) -> Result<Self, Error> {
        let bytes = body.0.await?;
        if bytes.is_empty() { Ok(Self::default()) } else { Self::from_bytes(headers, &bytes) }
    }

    /// Reads a body by its content type.
    ///
    /// A request without body and content type gives no members. The answer can then name the
    /// members that are missing.
    ///
    /// # Errors
    /// [`ErrorKind::BodyTooLarge`], [`ErrorKind::UnsupportedMediaType`] or
    /// [`ErrorKind::InvalidBody`].
    pub(crate) async fn read(headers: &HeaderMap, body: RequestBody) -> Result<Self, Error> {
        let bytes = body.0.await?;
        Self::from_bytes(headers, &bytes)
    }

    fn from_bytes(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Error> {
        match media_type(headers).as_deref() {
            Some("application/json") => Self::from_json(bytes),
            Some("application/x-www-form-urlencoded") => Self::from_form(bytes),
            None if bytes.is_empty() => Ok(Self::default()),
            _ => Err(Error::new(ErrorKind::UnsupportedMediaType)
                .with_detail("Send application/json or application/x-www-form-urlencoded.")),
        }
    }

    fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("The body is not UTF-8."))?;
        // The parser's message is not used, because it repeats what the client sent.
        match serde_json::from_str::<EachNameOnce>(text) {
            Ok(EachNameOnce) => {}
            Err(error) if error.is_data() => return Err(invalid("The body names a member twice.")),
            Err(_) => return Err(invalid("The body is not JSON.")),
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(invalid("The body is not a JSON object.")),
        }
    }

    fn from_form(bytes: &[u8]) -> Result<Self, Error> {
        // The parser replaces broken UTF-8. Two different passwords would then become the same.
        if percent_encoding::percent_decode(bytes).decode_utf8().is_err() {
            return Err(invalid("The form is not UTF-8."));
        }
        let mut members = Map::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(invalid("The form names a field twice."));
            }
        }
        Ok(Self(members))
    }

    /// Renames a member, unless a member of the new name exists.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if self.0.contains_key(from) && !self.0.contains_key(to) {
            let member = self.0.remove(from);
            self.0.extend(member.map(|member| (to.to_owned(), member)));
        }
    }

    /// Returns a text member that is not blank, without removing it.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    /// Removes a member.
    pub(crate) fn drop(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Removes a text member and returns it. Returns `None` if it is absent or `null`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBody`] if the member is not a text.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format!("The member `{name}` is not a string."))),
        }
    }

    /// Reads the remaining members as the app's own type.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBody`] if the members do not fit that type.
    pub(crate) fn rest<T: DeserializeOwned + 'static>(self) -> Result<T, Error> {
        // An app without fields of its own uses `()`, which serde reads only from `null`.
        let members = if TypeId::of::<T>() == TypeId::of::<()>() { Value::Null } else { Value::Object(self.0) };
        serde_json::from_value(members).map_err(|error| {
            // The name of a missing member comes from the app's type. The parser's other messages
            // repeat what the client sent, and neither the answer nor the log may have that.
            let said = error.to_string();
            match said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
                Some(name) => invalid(format!("The member `{name}` is missing.")),
                None => invalid("A member has another type than is expected; the values of a form are texts."),
            }
        })
    }
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidBody).with_detail(detail)
}

/// Returns whether the content type of a request is JSON.
///
/// A page cannot send JSON to another origin without a CORS preflight.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let several = headers.get_all(CONTENT_TYPE).iter().nth(1).is_some();
    !several && media_type(headers).as_deref() == Some("application/json")
}

/// Returns the media type in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

async fn read_bounded<B>(body: B) -> Result<Bytes, Error>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let too_large = || Error::new(ErrorKind::BodyTooLarge).with_detail("The body has more than 16 KiB.");
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_large());
    }
    let limited = std::pin::pin!(Limited::new(body, MAX_BODY_BYTES));
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(invalid("The body did not arrive.").with_source(error)),
    }
}

/// Accepts any JSON value, unless an object in it names a member twice.
///
/// It keeps no value. The type of a number depends on features of `serde_json`, which other crates
/// may enable.
struct EachNameOnce;

impl<'de> Deserialize<'de> for EachNameOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for EachNameOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if !names.insert(name) {
                return Err(de::Error::custom("a member is named twice"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read(content_type: Option<&str>, body: &'static [u8]) -> Result<Fields, ErrorKind> {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        let body = RequestBody::new(Full::new(Bytes::from_static(body)));
        Fields::read(&headers, body).await.map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn json_and_forms_are_read_alike() {
        for (content_type, body) in [
            ("application/json; charset=utf-8", br#"{"email":"a b@c","n":null}"#.as_slice()),
            ("Application/X-WWW-Form-Urlencoded", b"email=a+b%40c"),
        ] {
            let mut fields = read(Some(content_type), body).await.unwrap_or_default();
            assert_eq!(fields.take("email").unwrap().as_deref(), Some("a b@c"));
            assert_eq!(fields.take("n").unwrap(), None);
        }
    }

    #[tokio::test]
    async fn remaining_members_are_read_as_the_apps_type() {
        #[derive(Debug, Deserialize)]
        struct Own {
            company: String,
        }
        let fields = async |body| read(Some("application/json"), body).await.unwrap();
        assert_eq!(fields(br#"{"company":"Acme","more":1}"#).await.rest::<Own>().unwrap().company, "Acme");
        fields(br#"{"company":"Acme"}"#).await.rest::<()>().unwrap();
        fields(b"{}").await.rest::<()>().unwrap();
        let missing = fields(br#"{"firm":"canary"}"#).await.rest::<Own>().unwrap_err();
        assert_eq!(missing.detail(), Some("The member `company` is missing."));
        let wrong = fields(br#"{"company":["canary"]}"#).await.rest::<Own>().unwrap_err();
        assert!(!format!("{wrong:?} {wrong} {:?}", wrong.detail()).contains("canary"), "{wrong:?}");
        assert_eq!(wrong.kind(), ErrorKind::InvalidBody);
    }

    #[tokio::test]
    async fn a_body_is_one_object_with_each_name_once() {
        for body in [
            b"{".as_slice(),
            b"[]",
            b"\"text\"",
            br#"{"a":1,"a":2}"#,
            br#"{"a":{"b":1,"b":2}}"#,
            br#"{"a":"b"} x"#,
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            br#"{"a":"\ud800"}"#,
        ] {
            let refused = read(Some("application/json"), body).await.err();
            assert_eq!(refused, Some(ErrorKind::InvalidBody), "{}", String::from_utf8_lossy(body));
        }
        for body in [b"a=1&a=2".as_slice(), b"a=%ff"] {
            let refused = read(Some("application/x-www-form-urlencoded"), body).await.err();
            assert_eq!(refused, Some(ErrorKind::InvalidBody));
        }
    }

    #[tokio::test]
    async fn other_media_types_and_large_bodies_are_refused() {
        assert_eq!(read(Some("text/plain"), b"{}").await.err(), Some(ErrorKind::UnsupportedMediaType));
        assert_eq!(read(None, b"{}").await.err(), Some(ErrorKind::UnsupportedMediaType));
        assert!(read(None, b"").await.is_ok());
        let large: &'static [u8] = vec![b' '; MAX_BODY_BYTES + 1].leak();
        assert_eq!(read(Some("application/json"), large).await.err(), Some(ErrorKind::BodyTooLarge));
    }

    #[tokio::test]
    async fn deep_nesting_is_an_error_and_not_a_crash() {
        let deep: &'static [u8] = "[".repeat(16_000).leak().as_bytes();
        assert_eq!(read(Some("application/json"), deep).await.err(), Some(ErrorKind::InvalidBody));
    }

    #[test]
    fn a_member_of_another_type_is_refused() {
        let mut fields = Fields::from_json(br#"{"password":123}"#).unwrap_or_default();
        assert_eq!(fields.take("password").unwrap_err().kind(), ErrorKind::InvalidBody);
    }
}
