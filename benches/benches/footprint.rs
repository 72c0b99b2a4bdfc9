//! Memory: the bytes of an idle session, and the allocations of a request.
//!
//! Every allocation of this process is counted, so nothing is timed here.

use std::alloc::System;

use http::Request;
use portcullis::{
    auth::Check,
    session::Session,
    store::memory::{MemorySessions, MemoryStore},
    user::UserId,
};
use portcullis_benches::{
    cases::is_trial,
    handwritten_peer::Peer,
    requests::{Body, Carrier, inner, request, send},
    setup::{USER_AGENT, access_tokens, add_session, at_once, auth, session, start},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tower::{Layer, Service};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a session in memory may cost, its index included.
const PROMISED_BYTES: f64 = 500.0;

/// What the guard may allocate for a request.
const PROMISED_ALLOCATIONS: usize = 3;

fn main() {
    // The hash maps have just grown at the first size and are nearly full at the second: the worst
    // case and the best.
    let sizes = if is_trial() { [100, 85] } else { [1_000_000, 850_000] };
    println!("bytes for each idle session in MemorySessions, index included:");
    println!("  a user id of 24 bytes, a user agent of {}, an IPv4 address", USER_AGENT.len());
    for size in sizes {
        bytes_per_session(size);
    }
    println!();
    allocations_per_request();
}

fn bytes_per_session(size: usize) {
    let before = resident_bytes();
    let counted = Region::new(ALLOCATOR);
    let sessions = MemorySessions::with_capacity(size);
    for number in 0..size {
        add_session(&sessions, session(UserId::from(format!("{number:024x}")), number));
    }
    let requested = in_use(counted.change()) / size as f64;
    let verdict = if requested < PROMISED_BYTES { "within" } else { "OVER" };
    println!("  {size:>9} sessions: {requested:.0} requested, {verdict} {PROMISED_BYTES}");
    let (record, user_agent, user_id) = (size_of::<Session>(), USER_AGENT.len(), 24 + 2 * size_of::<usize>());
    let index = requested - (record + user_agent + user_id) as f64;
    println!(
        "             the record {record}, its user agent {user_agent}, the user id {user_id}, the index {index:.0}"
    );
    // Once memory has been given back, the next one's growth does not show.
    if let (Some(before), Some(after)) = (before, resident_bytes())
        && after - before > requested * size as f64 / 2.0
    {
        let resident = (after - before) / size as f64;
        println!("             resident, with what the allocator adds and what growing left behind: {resident:.0}");
    }
    drop(sessions);
}

fn in_use(stats: Stats) -> f64 {
    // Reallocations are counted in both already.
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Returns the memory that the kernel has given this process, if it reports it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}

fn allocations_per_request() {
    let store = MemoryStore::new();
    let auth = auth(&store);
    let peer = Peer::new();
    for (what, roles) in [("no roles", &[][..]), ("3 roles", &["admin", "editor", "author"][..])] {
        let tokens = access_tokens(&store, &auth, 1, roles);
        let token = tokens.first().expect("there is one");
        start(&auth, token);

        println!("allocations, a token with {what}:");
        show("jsonwebtoken::decode", || drop(peer.decode(token)));
        show("Auth::authenticate", || drop(at_once(auth.authenticate(token, Check::Stateless))));
        let bearer = || request(token, Carrier::Bearer);
        let cookie = || request(token, Carrier::Cookie);
        let alone = show_service("the service alone", inner(), bearer);
        show_service("the service behind the peer", peer.layer(inner()), bearer);
        for (what, make) in
            [("the service behind the guard", &bearer as &dyn Fn() -> _), ("the same, by cookie", &cookie)]
        {
            let guarded = show_service(what, auth.require().layer(inner()), make);
            let own = guarded - alone;
            let verdict = if own <= PROMISED_ALLOCATIONS { "within" } else { "OVER" };
            println!("  {:<38} {own:>3} of the guard's own, {verdict} {PROMISED_ALLOCATIONS}", "");
        }
        println!();
    }
}

fn show(what: &str, mut work: impl FnMut()) -> usize {
    // What is made once for the whole process is no part of a request.
    work();
    let counted = Region::new(ALLOCATOR);
    work();
    let Stats { allocations, reallocations, bytes_allocated, .. } = counted.change();
    println!("  {what:<38} {allocations:>3} allocations, {reallocations:>2} reallocations, {bytes_allocated:>5} bytes");
    allocations
}

fn show_service<S, B>(what: &str, mut service: S, make: impl Fn() -> Request<Body>) -> usize
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = std::convert::Infallible>,
{
    let mut requests = vec![make(), make()];
    // Servers have put something there already, such as the connection's other end.
    for request in &mut requests {
        request.extensions_mut().insert(portcullis::http::PeerAddr([192, 0, 2, 7].into()));
    }
    show(what, || assert!(requests.pop().is_some_and(|request| send(&mut service, request))))
}
