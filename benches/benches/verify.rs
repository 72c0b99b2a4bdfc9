//! One token, verified: by `Auth::authenticate`, and by `jsonwebtoken::decode` with the same checks.
//!
//! Ours also asks whether the session has ended. What varies is the number of roles in the token, and whether its
//! signature is good.

use std::hint::black_box;

use portcullis::{Check, store::memory::MemoryStore};
use portcullis_benches::{
    cases::{Case, Run, chunked, compare, criterion},
    peer::Peer,
    setup::{access_tokens, at_once, auth},
};

const TOKENS: usize = 64;

fn over(tokens: &[String], work: impl FnMut(&str)) -> impl Run {
    let mut work = work;
    let mut tokens = tokens.iter().cycle();
    chunked(256, move || tokens.next().expect("there are tokens"), move |token| work(token))
}

fn main() {
    let mut criterion = criterion();
    let store = MemoryStore::new();
    let auth = auth(&store);
    let peer = Peer::new();
    for (table, roles) in [("verify/no roles", &[][..]), ("verify/8 roles", &["admin"; 8][..])] {
        let good = access_tokens(&store, &auth, TOKENS, roles);
        // The first character of the signature is another one.
        let forged: Vec<String> = good
            .iter()
            .map(|token| {
                let (message, signature) = token.rsplit_once('.').expect("it is a token");
                let first = if signature.starts_with('A') { 'B' } else { 'A' };
                format!("{message}.{first}{}", &signature[1..])
            })
            .collect();
        let ours = |token: &str| at_once(auth.authenticate(token, Check::Stateless)).map(black_box).is_ok();
        let theirs = |token: &str| peer.decode(token).map(black_box).is_ok();
        let cases = vec![
            Case::new("jsonwebtoken", over(&good, |token| assert!(theirs(token)))),
            Case::new("portcullis", over(&good, |token| assert!(ours(token)))).within(1.0, "jsonwebtoken"),
            Case::new("jsonwebtoken, forged", over(&forged, |token| assert!(!theirs(token)))),
            Case::new("portcullis, forged", over(&forged, |token| assert!(!ours(token))))
                .within(1.0, "jsonwebtoken, forged"),
        ];
        compare(&mut criterion, table, cases);
    }
    criterion.final_summary();
}
