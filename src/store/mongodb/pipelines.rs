//! What a user's document becomes, as aggregation pipelines, which the server applies in one step.
//!
//! `$$s` is the session at hand. A field that is not there is below `null` in the server's order. Texts that a client sent
//! stand under `$literal`, or a user agent named `$sessions` would be a path.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};

use super::documents::{binary, date, signed, write_session};
use crate::{
    clock::Timestamp,
    session::{EndReason, Ended, Rotation, SessionId},
    store::{EndAll, NewSession, SessionLimit, StoreError},
};

/// How many sessions of a user that were ended for reuse are remembered beyond their tombstones: who makes them on purpose
/// must not fill the document with them.
const MAX_OLD_REUSE: i64 = 16;

/// How many records a user's document has room for, far below the 16 MiB of the engine.
const MAX_RECORDS: i64 = 10_000;

fn map(input: impl Into<Bson>, each: impl Into<Bson>) -> Document {
    doc! { "$map": { "input": input, "as": "s", "in": each } }
}

fn filter(input: impl Into<Bson>, condition: impl Into<Bson>) -> Document {
    doc! { "$filter": { "input": input, "as": "s", "cond": condition } }
}

/// A session that is neither ended nor expired.
fn live(now: Timestamp) -> Document {
    doc! { "$and": [
        { "$lte": ["$$s.ended_at", null] },
        { "$gt": ["$$s.expires_at", date(now)] },
        { "$gt": ["$$s.absolute_expires_at", date(now)] },
    ] }
}

/// The session, ended; `delete_at` as of [`Session::delete_at`](crate::session::Session::delete_at).
fn end(ended: Ended) -> Document {
    let delete_at = match ended.reason {
        EndReason::Reuse => Bson::from(doc! { "$max": ["$$s.delete_at", date(ended.keep_until)] }),
        _ => Bson::from(date(ended.keep_until)),
    };
    doc! { "$mergeObjects": ["$$s", {
        "ended_at": date(ended.at),
        "ended_reason": ended.reason.as_str(),
        "keep_until": date(ended.keep_until),
        "delete_at": delete_at,
    }] }
}

/// The session, moved on by one generation, with these fields besides.
fn advance(next: Bson, now: Timestamp, idle: Duration, besides: Document) -> Document {
    let expires = doc! { "$min": [date(now.plus(idle)), "$$s.absolute_expires_at"] };
    let mut fields = doc! {
        "generation": { "$add": ["$$s.generation", 1_i64] },
        "token_id": next,
        "previous_token_id": "$$s.token_id",
        "rotated_at": date(now),
        "expires_at": expires.clone(),
        "delete_at": expires,
    };
    fields.extend(besides);
    doc! { "$mergeObjects": ["$$s", fields] }
}

/// What the indexes are over: when something of the user's last ended, and when all of it can go.
fn summary(now: Timestamp) -> Document {
    doc! { "$set": {
        "ended_at": { "$ifNull": [{ "$max": [{ "$max": map("$sessions", "$$s.ended_at") }, "$floor.at"] }, "$$REMOVE"] },
        "delete_at": { "$ifNull": [
            { "$max": [{ "$max": map("$sessions", "$$s.delete_at") }, "$floor.keep_until"] },
            date(now),
        ] },
    } }
}

/// The writes of [`decide`](crate::session::decide). Of a session that this ends for reuse the record says which rotation
/// did, by the token id that nobody else has.
pub(super) fn rotate(rotation: &Rotation) -> Result<Vec<Document>, StoreError> {
    let now = rotation.now;
    let version = signed(rotation.token_version)?;
    // Nothing in the collection has a generation as late as this.
    let generation = i64::try_from(rotation.generation).unwrap_or(i64::MAX);
    let (presented, next) = (binary(rotation.token_id.as_bytes()), binary(rotation.next_token_id.as_bytes()));
    let ended = |reason| Ended { at: now, reason, keep_until: now.plus(rotation.tombstone) };
    let is_next = doc! { "$eq": ["$$s.generation", generation.saturating_add(1)] };
    let mut spared = vec![
        Bson::from(doc! { "$ne": ["$$s.previous_token_id", presented.clone()] }),
        Bson::from(doc! { "$eq": ["$$s.token_id", next.clone()] }),
    ];
    if !rotation.grace.is_zero() {
        spared.push(doc! { "$gte": ["$$s.rotated_at", date(now.minus(rotation.grace))] }.into());
    }
    let decided = doc! { "$switch": {
        "branches": [
            { "case": { "$lt": ["$$s.token_version", version] }, "then": end(ended(EndReason::TokenVersion)) },
            { "case": { "$gt": ["$$s.token_version", version] }, "then": "$$s" },
            {
                "case": { "$and": [
                    { "$eq": ["$$s.generation", generation] },
                    { "$eq": ["$$s.token_id", presented] },
                ] },
                "then": advance(next.clone(), now, rotation.idle, Document::new()),
            },
            { "case": { "$lte": ["$$s.generation", generation] }, "then": "$$s" },
            { "case": { "$and": [is_next, { "$or": spared }] }, "then": "$$s" },
        ],
        "default": { "$mergeObjects": [end(ended(EndReason::Reuse)), { "ended_by": next }] },
    } };
    let ours = doc! { "$and": [{ "$eq": ["$$s.id", binary(rotation.session_id.as_bytes())] }, live(now)] };
    Ok(vec![
        doc! { "$set": { "sessions": map(or_none("$sessions"), doc! { "$cond": [ours, decided, "$$s"] }) } },
        summary(now),
    ])
}

/// Whether a session was ended for reuse by this very rotation.
pub(super) fn was_ended_by(rotation: &Rotation, session: Option<&Document>) -> bool {
    session.is_some_and(|session| {
        let by = session.get_binary_generic("ended_by").ok();
        by.is_some_and(|id| id.as_slice() == rotation.next_token_id.as_bytes())
            && session.get_datetime("ended_at").ok() == Some(&date(rotation.now))
    })
}

pub(super) fn end_one(id: &SessionId, ended: Ended) -> Vec<Document> {
    let ours = doc! { "$and": [{ "$eq": ["$$s.id", binary(id.as_bytes())] }, live(ended.at)] };
    vec![
        doc! { "$set": { "sessions": map("$sessions", doc! { "$cond": [ours, end(ended), "$$s"] }) } },
        summary(ended.at),
    ]
}

pub(super) fn end_all(all: &EndAll) -> Result<Vec<Document>, StoreError> {
    let EndAll { min_version, keep, ended, .. } = all;
    let version = signed(*min_version)?;
    let mut branches = Vec::new();
    if let Some(keep) = keep {
        let next = binary(keep.next_token_id.as_bytes());
        let besides = doc! {
            "auth_time": date(keep.now),
            "token_version": { "$max": ["$$s.token_version", version] },
        };
        let restamped = doc! { "$cond": [
            { "$eq": ["$$s.token_id", next.clone()] },
            "$$s",
            advance(next, keep.now, keep.idle, besides),
        ] };
        let kept = doc! { "$and": [{ "$eq": ["$$s.id", binary(keep.session_id.as_bytes())] }, live(keep.now)] };
        branches.push(doc! { "case": kept, "then": restamped });
    }
    let lower = doc! { "$and": [{ "$lt": ["$$s.token_version", version] }, live(ended.at)] };
    branches.push(doc! { "case": lower, "then": end(*ended) });
    let sessions = map(or_none("$sessions"), doc! { "$switch": { "branches": branches, "default": "$$s" } });
    // `$mergeObjects`, because `$set` of a document merges it into the one that is there, and not every server does.
    let floor = doc! { "$mergeObjects": [{
        "min_version": { "$max": ["$floor.min_version", version] },
        "at": { "$max": ["$floor.at", date(ended.at)] },
        "keep_until": { "$max": ["$floor.keep_until", date(ended.keep_until)] },
    }] };
    Ok(vec![doc! { "$set": { "sessions": sessions, "floor": floor } }, summary(ended.at)])
}

fn or_none(array: &str) -> Document {
    doc! { "$ifNull": [array, []] }
}

/// Adds a session, unless it is there already. The document says afterwards in `login` what that did:
/// `{refused, dead, outdated, ended}`.
pub(super) fn create(new: &NewSession) -> Result<Vec<Document>, StoreError> {
    let NewSession { session, replaces, limit, tombstone } = new;
    let now = session.created_at;
    let version = signed(session.token_version)?;
    let ended = |reason| Ended { at: now, reason, keep_until: now.plus(*tombstone) };
    let own = replaces.as_ref().filter(|(owner, _)| *owner == session.user_id);
    let replaced = own.map_or(Bson::Null, |(_, id)| binary(id.as_bytes()));
    let mut dead = session.clone();
    dead.end(ended(EndReason::TokenVersion));
    let ids = |of: Bson| map(of, "$$s.id");

    let is_old_reuse = doc! { "$and": [
        { "$eq": ["$$s.ended_reason", EndReason::Reuse.as_str()] },
        { "$lte": ["$$s.keep_until", date(now)] },
    ] };
    let excess_reuse = doc! { "$max": [0_i64, { "$subtract": [{ "$size": "$$old" }, MAX_OLD_REUSE] }] };
    let forget_old_reuse = doc! { "$let": {
        "vars": { "old": ids(filter("$sessions", is_old_reuse).into()) },
        "in": filter("$sessions", doc! { "$not": [{ "$in": ["$$s.id", { "$slice": ["$$old", excess_reuse] }] }] }),
    } };
    let of_a_lower_version =
        doc! { "$and": [{ "$not": ["$below"] }, { "$lt": ["$$s.token_version", version] }, live(now)] };
    // Asked again, because the answer was lost.
    let ended_with_version = doc! { "$eq": ["$$s.ended_reason", EndReason::TokenVersion.as_str()] };
    let was_dead = doc! { "$in": [binary(session.id.as_bytes()), ids(filter("$sessions", ended_with_version).into())] };
    let too_many_records = doc! { "$gte": [{ "$size": "$kept" }, MAX_RECORDS] };
    let size = doc! { "$size": "$live" };
    let (refused, beyond) = match *limit {
        SessionLimit::Refuse(limit) => {
            let full = doc! { "$and": [{ "$not": ["$below"] }, { "$gte": [size, count(limit)] }] };
            (doc! { "$or": [full, too_many_records] }, Bson::Array(Vec::new()))
        }
        SessionLimit::EndLeastRecentlyUsed(limit) => {
            let room = count(limit.max(1)).saturating_sub(1);
            let excess = doc! { "$max": [0_i64, { "$subtract": [size, room] }] };
            let by_use = doc! { "rotated_at": 1, "created_at": 1 };
            let least_used = doc! { "$slice": [{ "$sortArray": { "input": "$live", "sortBy": by_use } }, excess] };
            (too_many_records, doc! { "$cond": ["$below", [], ids(least_used.into())] }.into())
        }
    };
    let after = map(
        "$kept",
        doc! { "$switch": {
            "branches": [
                { "case": { "$in": ["$$s.id", ids("$replaced".into())] }, "then": end(ended(EndReason::SignedInAgain)) },
                { "case": { "$in": ["$$s.id", "$login.ended"] }, "then": end(ended(EndReason::Limit)) },
            ],
            "default": "$$s",
        } },
    );
    let added = doc! { "$cond": [
        "$below",
        { "$literal": write_session(&dead)? },
        { "$literal": write_session(session)? },
    ] };
    Ok(vec![
        doc! { "$set": {
            "sessions": filter(or_none("$sessions"), doc! { "$gt": ["$$s.delete_at", date(now)] }),
            "floor": { "$cond": [{ "$gt": ["$floor.keep_until", date(now)] }, "$floor", "$$REMOVE"] },
        } },
        doc! { "$set": {
            "sessions": forget_old_reuse,
            "below": { "$gt": [{ "$ifNull": ["$floor.min_version", 0_i64] }, version] },
            "known": { "$in": [binary(session.id.as_bytes()), ids("$sessions".into())] },
        } },
        doc! { "$set": {
            "outdated": ids(filter("$sessions", of_a_lower_version.clone()).into()),
            "kept": map("$sessions", doc! { "$cond": [of_a_lower_version, end(ended(EndReason::TokenVersion)), "$$s"] }),
        } },
        doc! { "$set": {
            "live": filter("$kept", doc! { "$and": [live(now), { "$ne": ["$$s.id", replaced.clone()] }] }),
            "replaced": filter("$kept", doc! { "$and": [live(now), { "$eq": ["$$s.id", replaced] }] }),
        } },
        doc! { "$set": { "login": { "$mergeObjects": [{
            "refused": { "$cond": ["$known", false, refused] },
            "dead": { "$cond": ["$known", was_dead, "$below"] },
            "outdated": { "$cond": ["$known", [], "$outdated"] },
            "ended": { "$cond": ["$known", [], { "$concatArrays": [ids("$replaced".into()), beyond] }] },
        }] } } },
        doc! { "$set": {
            "sessions": { "$cond": [
                { "$or": ["$known", "$login.refused"] },
                "$sessions",
                { "$concatArrays": [after, [added]] },
            ] },
        } },
        doc! { "$unset": ["below", "known", "outdated", "kept", "live", "replaced"] },
        summary(now),
    ])
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
