//! Logins: how many there are in a second, beside `spawn_blocking(argon2)` for each.
//!
//! What varies is the number of callers at once, and of our hashing threads. The table shows the
//! time of one login: a round's time divided by its callers.

use std::time::Instant;

use portcullis_benches::{
    cases::{Case, Run, compare, criterion},
    logins::{Way, Ways},
};
use tokio::runtime::Runtime;

fn rounds(runtime: &Runtime, way: &Way, callers: usize) -> impl Run {
    move |times| {
        let start = Instant::now();
        for _ in 0..times {
            runtime.block_on(async {
                let logins: Vec<_> = (0..callers).map(|_| tokio::spawn(way.clone().log_in())).collect();
                for login in logins {
                    login.await.expect("the login succeeds");
                }
            });
        }
        start.elapsed()
    }
}

fn main() {
    let mut criterion = criterion();
    let runtime = Runtime::new().expect("threads can be started");
    let Ways { naive, one, two, .. } = Ways::new(&runtime);
    for callers in [1, 2, 4, 16] {
        let rounds = |way| rounds(&runtime, way, callers);
        let each = callers as u64;
        let cases = vec![
            Case::new("naive", rounds(&naive)).of_many(each),
            Case::new("hash_threads(1)", rounds(&one)).of_many(each).against("naive"),
            Case::new("hash_threads(2)", rounds(&two)).of_many(each).against("naive"),
        ];
        compare(&mut criterion, &format!("password/{callers} at once"), cases);
    }
    criterion.final_summary();
}
