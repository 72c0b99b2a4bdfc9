//! Converts the `_id` of a user, whatever its type, to the user id that tokens carry, and back.
//!
//! | `_id` | user id |
//! |---|---|
//! | an object id | its 24 digits of hexadecimal |
//! | a text | the text, or `text:` and the text where it looks like another row of this table |
//! | a UUID (binary subtype 4) | `uuid:` and its 36 characters |
//! | a number of 32 or 64 bits, or a double | `number:` and its digits |
//! | a document, date, timestamp, boolean or other binary | `bson:` and its bytes in base64url |
//!
//! Each user id stands for one `_id`. All types of numbers are one row, because the engine compares
//! numbers by value. Two documents therefore cannot have the same number in two types. For the same
//! reason a number inside a document is written as the smallest type that holds it.
//!
//! Any other `_id` belongs to no user. A decimal equals a number and a symbol equals a text. Such a
//! user would have two ids. A regular expression, and a document whose key begins with a dollar,
//! could be read as a query. No user id stands for one of them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use mongodb::bson::{Binary, Bson, Document, Uuid, doc, oid::ObjectId, spec::BinarySubtype};

use crate::user::UserId;

const TEXT: &str = "text:";
const UUID: &str = "uuid:";
const NUMBER: &str = "number:";
const OTHER: &str = "bson:";

/// The first whole number above those of 64 bits: 2 to the power of 63.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Returns the user id of a document's `_id`. Returns `None` where it is too long for a token, or
/// of a type that no user id stands for.
pub(super) fn read(id: &Bson) -> Option<UserId> {
    let text = write(id)?;
    UserId::fits(&text).then(|| UserId::from(text))
}

/// Returns the `_id` of a user id. Returns `None` where the id is not written as [`read`] writes
/// it.
pub(super) fn find(id: &UserId) -> Option<Bson> {
    if !UserId::fits(id.as_str()) {
        return None;
    }
    let found = parse(id.as_str())?;
    (write(&found).as_deref() == Some(id.as_str())).then_some(found)
}

/// Returns the filter that finds the document of a user id, and no other.
pub(super) fn filter(id: &UserId) -> Option<Document> {
    find(id).map(|id| equal(Some(&id)))
}

/// Returns the filter that finds the document with this `_id`. It is under `$eq`, so that the
/// engine never reads it as a query.
pub(super) fn equal(id: Option<&Bson>) -> Document {
    doc! { "_id": { "$eq": id } }
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
            let may_be_query = |document: &Document| document.keys().any(|key| key.starts_with('$'));
            // The engine stores no array as an `_id`. In a filter, it would also match its items.
            if matches!(other, Bson::Array(_) | Bson::Null) || other.as_document().is_some_and(may_be_query) {
                return None;
            }
            let mut bytes = Vec::new();
            doc! { "": unique(other)? }.to_writer(&mut bytes).ok()?;
            format!("{OTHER}{}", URL_SAFE_NO_PAD.encode(bytes))
        }
    })
}

/// Returns the one form of all values that the engine compares as equal to this one. Returns `None`
/// for types without such a form.
fn unique(value: &Bson) -> Option<Bson> {
    Some(match value {
        Bson::Document(document) => {
            let parts = document.iter().map(|(key, value)| Some((key.clone(), unique(value)?)));
            Bson::Document(parts.collect::<Option<_>>()?)
        }
        Bson::Array(values) => Bson::Array(values.iter().map(unique).collect::<Option<_>>()?),
        Bson::Int64(number) => i32::try_from(*number).map_or(Bson::Int64(*number), Bson::Int32),
        Bson::Double(number) => match whole(*number) {
            Some(number) => unique(&Bson::Int64(number))?,
            None if number.is_nan() => Bson::Double(f64::NAN),
            None => Bson::Double(*number),
        },
        Bson::ObjectId(_)
        | Bson::String(_)
        | Bson::Binary(_)
        | Bson::Int32(_)
        | Bson::DateTime(_)
        | Bson::Timestamp(_)
        | Bson::Boolean(_)
        | Bson::Null => value.clone(),
        _ => return None,
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

/// Returns the number of 64 bits that a double equals.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
fn whole(number: f64) -> Option<i64> {
    // The engine's index does not distinguish zero from minus zero.
    (number.fract() == 0.0 && (-TOO_LARGE..TOO_LARGE).contains(&number)).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, JavaScriptCodeWithScope, Regex};

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
    fn equal_ids_of_two_types_are_one_user_id() {
        let large = 1_i64 << 60;
        for (one, other) in [
            (Bson::Int64(large), Bson::Double(1_152_921_504_606_846_976.0)),
            (doc! { "a": 1, "b": [2, 3] }.into(), doc! { "a": 1_i64, "b": [2.0, 3_i64] }.into()),
            (doc! { "a": 0 }.into(), doc! { "a": -0.0 }.into()),
            (doc! { "a": large }.into(), doc! { "a": 1_152_921_504_606_846_976.0 }.into()),
        ] {
            assert_eq!(read(&one), read(&other), "{other}");
            assert_eq!(find(&read(&other).unwrap()), Some(one), "{other}");
        }
    }

    #[test]
    fn queries_and_types_equal_to_others_are_no_ids() {
        let any = Regex { pattern: ".".to_owned(), options: "i".to_owned() };
        let code = JavaScriptCodeWithScope { code: "ada".to_owned(), scope: Document::new() };
        let decimal = Bson::Decimal128("42".parse().unwrap());
        for id in [
            doc! { "$ne": 1 }.into(),
            doc! { "$in": ["ada"] }.into(),
            doc! { "a": 1, "$b": 1 }.into(),
            Bson::RegularExpression(any),
            doc! { "a": decimal.clone() }.into(),
            decimal,
            Bson::Symbol("ada".to_owned()),
            Bson::JavaScriptCode("ada".to_owned()),
            Bson::JavaScriptCodeWithScope(code),
            Bson::Array(vec![text("ada")]),
            Bson::Null,
            Bson::Undefined,
            // Written with its own type, although each is one of another row.
            Bson::Int64(42),
            text("ada"),
        ] {
            let mut bytes = Vec::new();
            doc! { "": &id }.to_writer(&mut bytes).unwrap();
            let written = UserId::from(format!("{OTHER}{}", URL_SAFE_NO_PAD.encode(bytes)));
            assert_eq!(find(&written), None, "{id}");
            assert_ne!(read(&id), Some(written), "{id}");
        }
    }

    #[test]
    fn an_id_is_compared_and_never_read_as_a_query() {
        assert_eq!(filter(&"ada".into()), Some(doc! { "_id": { "$eq": "ada" } }));
        assert_eq!(filter(&"x".repeat(257).as_str().into()), None, "no token has room for it");
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
