//! The changes of a user's document, as aggregation pipelines that the server applies in one step.
//!
//! In a pipeline, `$$s` is the current session. A missing field sorts below `null`. Texts that a
//! client sent are under `$literal`, because the server would read a user agent named `$sessions`
//! as a path.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};

use super::documents::{binary, date, signed, write_session};
use crate::{
    clock::Timestamp,
    session::{EndReason, Ended, MAX_ENDED_SESSIONS_OF_A_USER, Rotation, SessionId},
    store::{EndAll, NewSession, SessionLimit, StoreError},
};

/// How many ended sessions without a record a user's document may contain. They take half a
/// megabyte, far below the engine's limit of 16 MiB for a document.
const MAX_GONE: i64 = 10_000;

fn map(input: impl Into<Bson>, each: impl Into<Bson>) -> Document {
    doc! { "$map": { "input": input, "as": "s", "in": each } }
}

fn filter(input: impl Into<Bson>, condition: impl Into<Bson>) -> Document {
    doc! { "$filter": { "input": input, "as": "s", "cond": condition } }
}

/// Checks that a session has neither ended nor expired.
fn live(now: Timestamp) -> Document {
    doc! { "$and": [
        { "$lte": ["$$s.ended_at", null] },
        { "$gt": ["$$s.expires_at", date(now)] },
        { "$gt": ["$$s.absolute_expires_at", date(now)] },
    ] }
}

/// Ends the session. `delete_at` is that of
/// [`Session::delete_at`](crate::session::Session::delete_at).
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

/// Moves the session to the next generation and sets the fields of `besides`.
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

/// Sets the indexed fields: when something of the user last ended, and when the document may be
/// deleted.
fn summary(now: Timestamp) -> Document {
    doc! { "$set": {
        "ended_at": { "$ifNull": [
            { "$max": [
                { "$max": map("$sessions", "$$s.ended_at") },
                { "$max": map("$gone", "$$s.ended_at") },
                "$floor.at",
            ] },
            "$$REMOVE",
        ] },
        "delete_at": { "$ifNull": [
            { "$max": [
                { "$max": map("$sessions", "$$s.delete_at") },
                { "$max": map("$gone", "$$s.keep_until") },
                "$floor.keep_until",
            ] },
            date(now),
        ] },
    } }
}

/// Keeps the records of the last ended sessions. Of the older ones, keeps only what other nodes
/// have to know.
fn narrow(now: Timestamp) -> [Document; 4] {
    let ended = |is_reuse: bool| {
        let by_reuse = doc! { "$eq": ["$$s.ended_reason", EndReason::Reuse.as_str()] };
        let of_the_kind = doc! { "$and": [{ "$gt": ["$$s.ended_at", null] }, { "$eq": [by_reuse, is_reuse] }] };
        let ended = filter("$sessions", of_the_kind);
        doc! { "$sortArray": { "input": ended, "sortBy": { "ended_at": 1, "id": 1 } } }
    };
    let most = i64::try_from(MAX_ENDED_SESSIONS_OF_A_USER).unwrap_or(i64::MAX);
    let needed = doc! { "$gt": ["$$s.keep_until", date(now)] };
    let leaving = map("$leaving", doc! { "id": "$$s.id", "ended_at": "$$s.ended_at", "keep_until": "$$s.keep_until" });
    [
        // Sessions that ended for reuse are removed last, because their records answer every later
        // refresh.
        doc! { "$set": { "leaving": { "$concatArrays": [ended(false), ended(true)] } } },
        doc! { "$set": { "leaving": { "$slice": [
            "$leaving",
            { "$max": [0_i64, { "$subtract": [{ "$size": "$leaving" }, most] }] },
        ] } } },
        doc! { "$set": {
            "sessions": filter("$sessions", doc! { "$not": [{ "$in": ["$$s.id", ids("$leaving".into())] }] }),
            "gone": filter(doc! { "$concatArrays": [or_none("$gone"), leaving] }, needed),
        } },
        doc! { "$unset": "leaving" },
    ]
}

/// Writes what [`decide`](crate::session::decide) decides. A session that ends for reuse gets the
/// next token id of the rotation, which no other caller knows. This shows later which rotation
/// ended it.
pub(super) fn rotate(rotation: &Rotation) -> Result<Vec<Document>, StoreError> {
    let now = rotation.now;
    let version = signed(rotation.token_version)?;
    // No document has a generation as late as this one.
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

/// Returns whether this rotation ended the session for reuse.
pub(super) fn was_ended_by(rotation: &Rotation, session: Option<&Document>) -> bool {
    session.is_some_and(|session| {
        let by = session.get_binary_generic("ended_by").ok();
        by.is_some_and(|id| id.as_slice() == rotation.next_token_id.as_bytes())
            && session.get_datetime("ended_at").ok() == Some(&date(rotation.now))
    })
}

pub(super) fn end_one(id: &SessionId, ended: Ended) -> Vec<Document> {
    let ours = doc! { "$and": [{ "$eq": ["$$s.id", binary(id.as_bytes())] }, live(ended.at)] };
    let mut pipeline =
        vec![doc! { "$set": { "sessions": map("$sessions", doc! { "$cond": [ours, end(ended), "$$s"] }) } }];
    pipeline.extend(narrow(ended.at));
    pipeline.push(summary(ended.at));
    pipeline
}

pub(super) fn end_all(all: &EndAll) -> Result<Vec<Document>, StoreError> {
    let EndAll { min_version, keep, ended, .. } = all;
    let version = signed(*min_version)?;
    let mut branches = Vec::new();
    if let Some(keep) = keep {
        let next = binary(keep.next_token_id.as_bytes());
        let besides = doc! {
            "auth_time": date(keep.now),
            "restamped_generation": { "$add": ["$$s.generation", 1_i64] },
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
    // `$mergeObjects` replaces the document, because `$set` merges a document into the existing one
    // on some servers only.
    let floor = doc! { "$mergeObjects": [{
        "min_version": { "$max": ["$floor.min_version", version] },
        "at": { "$max": ["$floor.at", date(ended.at)] },
        "keep_until": { "$max": ["$floor.keep_until", date(ended.keep_until)] },
    }] };
    let mut pipeline = vec![doc! { "$set": { "sessions": sessions, "floor": floor } }];
    pipeline.extend(narrow(ended.at));
    pipeline.push(summary(ended.at));
    Ok(pipeline)
}

fn ids(of: Bson) -> Document {
    map(of, "$$s.id")
}

fn or_none(array: &str) -> Document {
    doc! { "$ifNull": [array, []] }
}

/// Adds a session, unless the document already contains it. Afterwards the field `login` of the
/// document has the result: `{refused, dead, outdated, ended}`.
pub(super) fn create(new: &NewSession) -> Result<Vec<Document>, StoreError> {
    let NewSession { session, replaces, limit, tombstone } = new;
    let now = session.created_at;
    let version = signed(session.token_version)?;
    let ended = |reason| Ended { at: now, reason, keep_until: now.plus(*tombstone) };
    let own = replaces.as_ref().filter(|(owner, _)| *owner == session.user_id);
    let replaced = own.map_or(Bson::Null, |(_, id)| binary(id.as_bytes()));
    let mut dead = session.clone();
    dead.end(ended(EndReason::TokenVersion));
    let of_a_lower_version =
        doc! { "$and": [{ "$not": ["$below"] }, { "$lt": ["$$s.token_version", version] }, live(now)] };
    // The caller may ask again because it lost the answer. This finds the sessions that this login
    // has ended: no other call has both moments.
    let was_ended_by_this = |with_version: bool| {
        let by_version = doc! { "$eq": ["$$s.ended_reason", EndReason::TokenVersion.as_str()] };
        let ended = doc! { "$and": [
            { "$eq": ["$$s.ended_at", date(now)] },
            { "$eq": ["$$s.keep_until", date(now.plus(*tombstone))] },
            { "$eq": [by_version, with_version] },
        ] };
        ids(filter("$sessions", ended).into())
    };
    let own_id = binary(session.id.as_bytes());
    let was_dead = doc! { "$in": [own_id.clone(), was_ended_by_this(true)] };
    let were_outdated = filter(was_ended_by_this(true), doc! { "$ne": ["$$s", own_id] });
    let too_many_records = doc! { "$gte": [{ "$size": "$gone" }, MAX_GONE] };
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
                { "case": { "$in": ["$$s.id", ids("$replaced".into())] }, "then": end(ended(EndReason::LoggedInAgain)) },
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
    let mut pipeline = vec![
        doc! { "$set": {
            "sessions": filter(or_none("$sessions"), doc! { "$gt": ["$$s.delete_at", date(now)] }),
            "gone": filter(or_none("$gone"), doc! { "$gt": ["$$s.keep_until", date(now)] }),
            "floor": { "$cond": [{ "$gt": ["$floor.keep_until", date(now)] }, "$floor", "$$REMOVE"] },
        } },
        doc! { "$set": {
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
            "outdated": { "$cond": ["$known", were_outdated, "$outdated"] },
            "ended": { "$cond": ["$known", was_ended_by_this(false), { "$concatArrays": [ids("$replaced".into()), beyond] }] },
        }] } } },
        doc! { "$set": {
            "sessions": { "$cond": [
                { "$or": ["$known", "$login.refused"] },
                "$sessions",
                { "$concatArrays": [after, [added]] },
            ] },
        } },
        doc! { "$unset": ["below", "known", "outdated", "kept", "live", "replaced"] },
    ];
    pipeline.extend(narrow(now));
    pipeline.push(summary(now));
    Ok(pipeline)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
