//! A guarded service: beside the service alone, and beside the same service behind a middleware by
//! hand.
//!
//! On one thread and on two at once, where what all requests share (the reference count of the
//! `Auth`, the locks of the ended sessions) would show. Allocations are counted by `footprint`,
//! whose allocator would slow this down.

use portcullis::store::memory::MemoryStore;
use portcullis_benches::{
    cases::{Case, compare, criterion, on_threads},
    handwritten_peer::Peer,
    requests::{Carrier, inner, run},
    setup::{access_tokens, auth, end_others, start},
};
use tower::Layer;

const TOKENS: usize = 64;
const ENDED: usize = 1_000;

fn main() {
    let mut criterion = criterion();
    let store = MemoryStore::new();
    let nothing_ended = auth(&store);
    let tokens = access_tokens(&store, &nothing_ended, TOKENS, &["admin"]);
    start(&nothing_ended, &tokens[0]);
    end_others(store.sessions(), 0..ENDED / 2);
    let some_ended = auth(&store);
    start(&some_ended, &tokens[0]);

    let tokens = tokens.as_slice();
    let bare = || run(inner(), tokens, Carrier::Bearer);
    let peer = || run(Peer::new().layer(inner()), tokens, Carrier::Bearer);
    let bearer = || run(nothing_ended.require().layer(inner()), tokens, Carrier::Bearer);
    let cookie = || run(nothing_ended.require().layer(inner()), tokens, Carrier::Cookie);
    let ended = || run(some_ended.require().layer(inner()), tokens, Carrier::Bearer);

    let cases = vec![
        Case::new("bare", bare()),
        Case::new("peer", peer()).against("bare"),
        Case::new("guard", bearer()).within(1.0, "peer"),
        Case::new("guard, cookie", cookie()).against("guard"),
        Case::new("guard, 1,000 ended", ended()).against("guard"),
    ];
    compare(&mut criterion, "layer/what it costs", cases);

    // The peer on both threads shares one key, as a cloned service does.
    let shared = Peer::new();
    let peers = || run(shared.layer(inner()), tokens, Carrier::Bearer);
    let cases = vec![
        Case::new("bare", bare()),
        Case::new("bare, two threads", on_threads(vec![bare(), bare()])).against("bare"),
        Case::new("peer", peers()),
        Case::new("peer, two threads", on_threads(vec![peers(), peers()])).against("peer"),
        Case::new("guard", bearer()),
        Case::new("guard, two threads", on_threads(vec![bearer(), bearer()])).against("guard"),
        Case::new("guard, 1,000 ended", ended()),
        Case::new("guard, 1,000 ended, two threads", on_threads(vec![ended(), ended()])).against("guard, 1,000 ended"),
    ];
    compare(&mut criterion, "layer/two threads", cases);
    criterion.final_summary();
}
