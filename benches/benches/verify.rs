//! One token, verified: by `Auth::authenticate`, by `jsonwebtoken::decode` with the same checks, by
//! a minimum by hand, and as far as the signature goes.
//!
//! Ours also asks whether the session has ended. What varies is the algorithm, then the number of
//! roles in the token and whether its signature is good. What an issue costs is in `instructions`:
//! it cannot be timed apart from its session.

use std::hint::black_box;

use criterion::Criterion;
use portcullis::{Auth, User, auth::Check, keys::Algorithm, store::memory::MemoryStore};
use portcullis_benches::{
    cases::{Case, Run, chunked, compare, criterion},
    handwritten_peer::Peer,
    setup::{access_tokens, at_once, auth},
    tokens::{ALGORITHMS, Tokens, parts},
};

const TOKENS: usize = 64;

/// Who verifies how fast, for a key of each algorithm.
fn algorithms(criterion: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let one = Tokens::new(algorithm, TOKENS);
        let parts: Vec<_> = one.tokens.iter().map(|token| parts(token)).collect();
        let mut turn = parts.iter().cycle();
        let bare = chunked(
            256,
            move || turn.next().expect("there are tokens"),
            |(message, signature)| assert!(one.bare.verify(message, signature)),
        );
        let ours = |auth: &Auth<User>, token: &str| {
            assert!(at_once(auth.authenticate(token, Check::Stateless)).map(black_box).is_ok());
        };
        let mut portcullis = Case::new("portcullis", over(&one.tokens, |token| ours(&one.auth, token)));
        portcullis = match algorithm {
            Algorithm::HS256 => {
                portcullis.against("signature alone").within(1.1, "minimum").within(0.333, "jsonwebtoken")
            }
            _ => portcullis.within(1.05, "signature alone").against("minimum").against("jsonwebtoken"),
        };
        let cases = vec![
            Case::new("signature alone", bare),
            Case::new("minimum", over(&one.tokens, |token| assert!(one.bare.minimum(token).map(black_box).is_some()))),
            Case::new(
                "jsonwebtoken",
                over(&one.tokens, |token| assert!(one.peer.decode(token).map(black_box).is_ok())),
            ),
            portcullis,
            Case::new("portcullis, remembered", over(&one.tokens, |token| ours(&one.remembering, token)))
                .against("signature alone"),
        ];
        compare(criterion, &format!("verify/{algorithm}"), cases);
    }
}

fn over(tokens: &[String], work: impl FnMut(&str)) -> impl Run {
    let mut work = work;
    let mut tokens = tokens.iter().cycle();
    chunked(256, move || tokens.next().expect("there are tokens"), move |token| work(token))
}

fn main() {
    let mut criterion = criterion();
    algorithms(&mut criterion);
    let store = MemoryStore::new();
    let auth = auth(&store);
    let peer = Peer::new();
    for (table, roles) in [("verify/no roles, HS256", &[][..]), ("verify/8 roles, HS256", &["admin"; 8][..])] {
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
