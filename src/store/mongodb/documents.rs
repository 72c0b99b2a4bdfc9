//! Converts sessions to documents and back.

use std::net::IpAddr;

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};

use crate::{
    clock::Timestamp,
    session::{AuthMethod, AuthMethods, Ended, Session, SessionId, TokenId},
    store::StoreError,
    user::UserId,
};

pub(super) fn binary(bytes: &[u8; 16]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

pub(super) fn date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.as_millis())
}

/// Converts a number to the type that the engine stores.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(StoreError::internal)
}

/// Reads a count. Node.js writes doubles, and 32-bit integers where they are enough.
pub(super) fn count(number: Option<&Bson>) -> Result<u64, StoreError> {
    let count = match number {
        Some(Bson::Int32(number)) => u64::try_from(*number).ok(),
        Some(Bson::Int64(number)) => u64::try_from(*number).ok(),
        Some(Bson::Double(number)) => whole(*number),
        _ => None,
    };
    count.ok_or_else(|| StoreError::internal("a count in MongoDB is not a whole number of at least 0"))
}

/// Converts a double without a fraction. Up to 2^53 a double represents every whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number)).then_some(number as u64)
}

fn missing(field: &str) -> StoreError {
    StoreError::internal(format!("the field `{field}` of a session is missing or has another type"))
}

fn bytes(session: &Document, field: &str) -> Result<[u8; 16], StoreError> {
    let bytes = session.get_binary_generic(field).ok();
    bytes.and_then(|bytes| bytes.as_slice().try_into().ok()).ok_or_else(|| missing(field))
}

fn moment(session: &Document, field: &str) -> Result<Timestamp, StoreError> {
    let moment = session.get_datetime(field).map_err(|_| missing(field))?;
    Ok(Timestamp::from_millis(moment.timestamp_millis()))
}

/// Writes a session. The user's id is in the document that contains it.
pub(super) fn write_session(session: &Session) -> Result<Document, StoreError> {
    let mut document = doc! {
        "id": binary(session.id.as_bytes()),
        "token_version": signed(session.token_version)?,
        "generation": signed(session.generation)?,
        "token_id": binary(session.token_id.as_bytes()),
        "auth_time": date(session.auth_time),
        "created_at": date(session.created_at),
        "rotated_at": date(session.rotated_at),
        "expires_at": date(session.expires_at),
        "absolute_expires_at": date(session.absolute_expires_at),
        "delete_at": date(session.delete_at()),
    };
    document.insert("amr", session.amr.iter().map(AuthMethod::as_str).collect::<Vec<_>>());
    document.insert("acr", session.acr.as_str());
    if let Some(generation) = session.restamped_generation {
        document.insert("restamped_generation", signed(generation)?);
    }
    if let Some(previous) = session.previous_token_id {
        document.insert("previous_token_id", binary(previous.as_bytes()));
    }
    if let Some(user_agent) = session.user_agent.as_deref() {
        document.insert("user_agent", user_agent);
    }
    if let Some(ip) = session.ip {
        document.insert("ip", ip.to_string());
    }
    if let Some(ended) = session.ended {
        document.insert("ended_at", date(ended.at));
        document.insert("ended_reason", ended.reason.as_str());
        document.insert("keep_until", date(ended.keep_until));
    }
    Ok(document)
}

pub(super) fn read_session(user: &UserId, session: &Document) -> Result<Session, StoreError> {
    let previous = session.contains_key("previous_token_id").then(|| bytes(session, "previous_token_id"));
    Ok(Session {
        id: read_id(session)?,
        user_id: user.clone(),
        token_version: count(session.get("token_version"))?,
        generation: count(session.get("generation"))?,
        token_id: TokenId::from_bytes(bytes(session, "token_id")?),
        previous_token_id: previous.transpose()?.map(TokenId::from_bytes),
        auth_time: moment(session, "auth_time")?,
        amr: read_methods(session),
        // A level that only a later release knows is read as the lowest one.
        acr: session.get_str("acr").ok().and_then(|level| level.parse().ok()).unwrap_or_default(),
        restamped_generation: session.get("restamped_generation").map(|number| count(Some(number))).transpose()?,
        created_at: moment(session, "created_at")?,
        rotated_at: moment(session, "rotated_at")?,
        expires_at: moment(session, "expires_at")?,
        absolute_expires_at: moment(session, "absolute_expires_at")?,
        ended: read_ended(session)?,
        user_agent: session.get_str("user_agent").ok().map(Into::into),
        ip: session.get_str("ip").ok().and_then(|ip| ip.parse::<IpAddr>().ok()),
    })
}

/// Reads the methods of a session. A session without them comes from an earlier release and began
/// with a password.
fn read_methods(session: &Document) -> AuthMethods {
    let methods = session.get_array("amr").ok();
    methods.map_or(AuthMethods::PASSWORD, |names| AuthMethods::from_names(names.iter().filter_map(Bson::as_str)))
}

pub(super) fn read_id(session: &Document) -> Result<SessionId, StoreError> {
    bytes(session, "id").map(SessionId::from_bytes)
}

pub(super) fn read_ended(session: &Document) -> Result<Option<Ended>, StoreError> {
    if !session.contains_key("ended_at") {
        return Ok(None);
    }
    let reason = session.get_str("ended_reason").ok().and_then(|text| text.parse().ok());
    Ok(Some(Ended {
        at: moment(session, "ended_at")?,
        reason: reason.ok_or_else(|| missing("ended_reason"))?,
        keep_until: moment(session, "keep_until")?,
    }))
}

pub(super) fn read_keep_until(session: &Document) -> Result<Timestamp, StoreError> {
    moment(session, "keep_until")
}

/// Returns the ended sessions of a user whose records have been removed.
pub(super) fn gone(document: &Document) -> impl Iterator<Item = &Document> {
    let gone = document.get_array("gone").ok();
    gone.into_iter().flatten().filter_map(Bson::as_document)
}

/// Returns the sessions of a user. Returns none where there is no document.
pub(super) fn sessions(document: Option<&Document>) -> impl Iterator<Item = &Document> {
    let sessions = document.and_then(|document| document.get_array("sessions").ok());
    sessions.into_iter().flatten().filter_map(Bson::as_document)
}

/// Reads the lowest valid token version of a user, when it was raised, and until when other nodes
/// need it.
pub(super) fn read_min_version(document: &Document) -> Result<Option<(u64, Timestamp, Timestamp)>, StoreError> {
    let Ok(raised) = document.get_document("floor") else { return Ok(None) };
    Ok(Some((count(raised.get("min_version"))?, moment(raised, "at")?, moment(raised, "keep_until")?)))
}
