//! Converts the `_id` of a user, whatever its type, to the user id that tokens carry, and back.
//!
//! | `_id` | user id |
//! |---|---|
//! | an object id | its 24 digits of hexadecimal |
//! | a text | the text, or `text:` and the text where it looks like another row of this table |
//! | a UUID (binary subtype 4) | `uuid:` and its 36 characters |
//! | a number of 32 or 64 bits, or a double | `number:` and its digits |
//! | any other type | `bson:` and its bytes in base64url |
//!
//! Each user id stands for one `_id`, and reading it gives the same type. All types of numbers are
//! one row, because the engine compares numbers by value. Two documents therefore cannot have the
//! same number in two types.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mongodb::bson::{Binary, Bson, Document, Uuid, doc, oid::ObjectId, spec::BinarySubtype};

use crate::user::UserId;

const TEXT: &str = "text:";
const UUID: &str = "uuid:";
const NUMBER: &str = "number:";
const OTHER: &str = "bson:";

/// The largest number up to which a double represents every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the user id of a document's `_id`. Returns `None` where it is too long for a token.
pub(super) fn read(id: &Bson) -> Option<UserId> {
    let text = write(id)?;
    UserId::fits(&text).then(|| UserId::from(text))
}

/// Returns the `_id` of a user id. Returns `None` where the id is not written as [`read`] writes
/// it.
pub(super) fn find(id: &UserId) -> Option<Bson> {
    let found = parse(id.as_str())?;
    (write(&found).as_deref() == Some(id.as_str())).then_some(found)
}

fn write(id: &Bson) -> Option<String> {
    Some(match id {
        Bson::ObjectId(id) => id.to_hex(),
        Bson::String(text) if is_plain(text) => text.clone(),
        Bson::String(text) => format!("{TEXT}{text}"),
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }) if bytes.len() == 16 => {
            format!("{UUID}{}", Uuid::from_bytes(bytes.as_slice().try_into().ok()?))
        }
        Bson::Int32(number) => format!("{NUMBER}{number}"),
        Bson::Int64(number) => format!("{NUMBER}{number}"),
        Bson::Double(number) => match whole(*number) {
            Some(number) => format!("{NUMBER}{number}"),
            None => format!("{NUMBER}{number:?}"),
        },
        other => {
            let mut bytes = Vec::new();
            doc! { "": other.clone() }.to_writer(&mut bytes).ok()?;
            format!("{OTHER}{}", URL_SAFE_NO_PAD.encode(bytes))
        }
    })
}

fn parse(text: &str) -> Option<Bson> {
    if is_plain(text) {
        return Some(Bson::String(text.to_owned()));
    }
    if let Some(text) = text.strip_prefix(TEXT) {
        return Some(Bson::String(text.to_owned()));
    }
    if let Some(uuid) = text.strip_prefix(UUID) {
        return Some(Bson::Binary(Uuid::parse_str(uuid).ok()?.into()));
    }
    if let Some(number) = text.strip_prefix(NUMBER) {
        let whole = number.parse().ok().map(Bson::Int64);
        return whole.or_else(|| number.parse().ok().map(Bson::Double));
    }
    if let Some(bytes) = text.strip_prefix(OTHER) {
        let bytes = URL_SAFE_NO_PAD.decode(bytes).ok()?;
        return Document::from_reader(bytes.as_slice()).ok()?.remove("");
    }
    ObjectId::parse_str(text).ok().map(Bson::ObjectId)
}

/// Returns whether a text is written without a prefix, because it looks like no other row.
fn is_plain(text: &str) -> bool {
    let is_object_id = text.len() == 24 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    !text.is_empty() && !is_object_id && ![TEXT, UUID, NUMBER, OTHER].iter().any(|prefix| text.starts_with(prefix))
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
fn whole(number: f64) -> Option<i64> {
    // The engine's index does not distinguish zero from minus zero.
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;

    use super::*;

    fn text(text: &str) -> Bson {
        Bson::String(text.to_owned())
    }

    #[test]
    fn every_type_of_id_is_read_as_written() {
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: (0..16).collect() };
        let old_uuid = Binary { subtype: BinarySubtype::UuidOld, bytes: (0..16).collect() };
        let object = ObjectId::new();
        let mut seen = std::collections::HashSet::new();
        for id in [
            Bson::ObjectId(object),
            // The same digits as an object id, and texts that look like other rows.
            text(&object.to_hex()),
            text(&object.to_hex().to_uppercase()),
            text("ada"),
            text("42"),
            text("number:42"),
            text("text:ada"),
            text("uuid:00010203-0405-0607-0809-0a0b0c0d0e0f"),
            text("00010203-0405-0607-0809-0a0b0c0d0e0f"),
            text("bson:AAAA"),
            Bson::Binary(uuid),
            Bson::Binary(old_uuid),
            Bson::Int64(42),
            Bson::Int64(i64::MIN),
            Bson::Double(1.5),
            Bson::Double(1e300),
            Bson::DateTime(DateTime::from_millis(1_800_000_000_000)),
            Bson::Document(doc! { "tenant": 1, "name": "ada" }),
        ] {
            let user = read(&id).unwrap();
            assert_eq!(find(&user).as_ref(), Some(&id), "{user}");
            assert!(seen.insert(user.clone()), "{user} is two ids");
        }
    }

    #[test]
    fn numbers_of_one_value_are_one_id() {
        for id in [Bson::Int32(42), Bson::Int64(42), Bson::Double(42.0)] {
            assert_eq!(find(&read(&id).unwrap()), Some(Bson::Int64(42)));
        }
    }

    #[test]
    fn a_text_that_is_no_id_names_no_user() {
        let upper = "uuid:00010203-0405-0607-0809-0A0B0C0D0E0F";
        for other in ["", "text:ada", "number:042", "number:x", "number:4.0", upper, "uuid:1", "bson:", "bson:AA=="] {
            assert_eq!(find(&UserId::from(other)), None, "{other:?}");
        }
        assert_eq!(read(&text(&"x".repeat(257))), None, "no token has room for it");
    }
}
