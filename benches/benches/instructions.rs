//! The instructions of a verification and of an issue, counted by valgrind: they are the same on a
//! busy machine.
//!
//! Each case runs twice in a process of its own, once more often than the other time; the
//! difference is the work alone. Of an issue only what happens inside `Issuer::access` counts.
//! Valgrind knows no SHA instructions, so the hashes count for more here than they take.

use std::{
    hint::black_box,
    process::{Command, ExitCode},
};

use portcullis::auth::Check;
use portcullis_benches::{
    cases::is_trial,
    setup::{add_user, at_once, client},
    tokens::{ALGORITHMS, Tokens, parts},
};

/// Names the case to a process of our own: the algorithm's number, the case's and how often.
const CASE: &str = "PORTCULLIS_CASE";
const NAMES: [&str; 6] =
    ["signature alone", "minimum", "jsonwebtoken", "portcullis", "portcullis, remembered", "sign alone"];
const REMEMBERED: usize = 4;
const ISSUE: usize = NAMES.len();

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        let numbers: Vec<usize> = case.split(' ').map(|number| number.parse().expect("it is a number")).collect();
        run(numbers[0], numbers[1], numbers[2]);
        return ExitCode::SUCCESS;
    }
    for (number, algorithm) in ALGORITHMS.iter().enumerate() {
        println!("{algorithm}, instructions:");
        for case in 0..=ISSUE {
            let name = NAMES.get(case).unwrap_or(&"issue");
            if is_trial() {
                run(number, case, 1);
                continue;
            }
            // What is set up first varies a little from process to process, so that short work has
            // to be repeated more often.
            let (few, many) = match case {
                REMEMBERED => (10, 5010),
                0..REMEMBERED => (10, 210),
                _ => (10, 60),
            };
            let counts = [few, many].map(|times| instructions(number, case, times));
            let [Some(few_counted), Some(many_counted)] = counts else {
                eprintln!("valgrind is missing or counts nothing: install it (as root: apt-get install valgrind)");
                return ExitCode::FAILURE;
            };
            let each = (many_counted.saturating_sub(few_counted)) / (many - few) as u64;
            println!("  {name:<24} {each:>9}");
        }
    }
    ExitCode::SUCCESS
}

/// Does the work of a case this many times.
fn run(algorithm: usize, case: usize, times: usize) {
    let one = Tokens::new(ALGORITHMS[algorithm], 1);
    let token = one.tokens[0].as_str();
    let (message, signature) = parts(token);
    let (user, device) = (add_user(&one.store), client());
    for _ in 0..times {
        let good = match case {
            0 => one.bare.verify(black_box(&message), &signature),
            1 => one.bare.minimum(black_box(token)).map(black_box).is_some(),
            2 => one.peer.decode(black_box(token)).map(black_box).is_ok(),
            3 => at_once(one.auth.authenticate(black_box(token), Check::Stateless)).map(black_box).is_ok(),
            REMEMBERED => {
                at_once(one.remembering.authenticate(black_box(token), Check::Stateless)).map(black_box).is_ok()
            }
            5 => one.bare.sign(black_box(&message)) > 0,
            _ => at_once(one.auth.start_session(&user, &device)).map(black_box).is_ok(),
        };
        assert!(good);
    }
}

/// How many instructions a process of this case takes.
fn instructions(algorithm: usize, case: usize, times: usize) -> Option<u64> {
    let own = std::env::current_exe().ok()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if case == ISSUE {
        valgrind.arg("--toggle-collect=*portcullis*Issuer*access*");
    }
    let output = valgrind.arg(own).env(CASE, format!("{algorithm} {case} {times}")).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}
