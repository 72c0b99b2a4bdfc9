//! Tests earlier faults, each by the shortest schedule that showed it.

use std::time::Duration;

use portcullis_properties::{
    concurrent::{self, Overlap, OverlapAction, OverlapProfile, Round},
    faulty::{Fault, Plan},
    interleave::Order,
    memory::Memory,
    schedule::{Action, Pick, Profile, Schedule, Step},
    sequential,
    settings::Settings,
};

const NEWEST: Pick = Pick { session: 0, age: 0 };

/// Runs a schedule over this many nodes. One session exists at the beginning.
fn play<const N: usize>(nodes: usize, steps: [(usize, Action, Plan); N]) {
    let steps = steps.into_iter().map(|(node, action, faults)| Step { node, action, faults }).collect();
    let schedule = Schedule { settings: Settings::with_grace(Duration::from_secs(10)), nodes, steps };
    if let Err(problem) = sequential::replay(&Memory, &schedule, Profile::PLAIN) {
        panic!("{problem}\n\n{schedule}");
    }
}

fn logout() -> Action {
    Action::Logout { token: NEWEST, forgery: None, also_access: false }
}

/// Fails both attempts to write an end.
fn outage() -> Plan {
    Plan::from([(0, Fault::Before), (1, Fault::Before)])
}

fn works() -> Plan {
    Plan::new()
}

#[test]
fn a_repeated_password_change_moves_the_session_once() {
    let answer_is_lost = Plan::from([(2, Fault::After)]);
    play(1, [(0, Action::ChangePassword { token: NEWEST, right: true }, answer_is_lost)]);
}

#[test]
fn an_end_that_was_left_survives_a_client_that_disconnects() {
    let hangs_up = Plan::from([(0, Fault::HungUp)]);
    play(
        1,
        [
            (0, logout(), outage()),
            // The first request of a node writes what it left.
            (0, Action::Use { token: NEWEST }, hangs_up),
            (0, Action::Poll, works()),
            (0, Action::Refresh { token: NEWEST, forgery: None }, works()),
        ],
    );
}

#[test]
fn a_late_end_reaches_the_other_nodes() {
    play(
        2,
        [
            (1, Action::Use { token: NEWEST }, works()),
            (0, logout(), outage()),
            // This is longer than the time that one poll reads beyond the last.
            (0, Action::Wait { millis: 190_000 }, works()),
            (1, Action::Poll, works()),
            (0, Action::Poll, works()),
            (1, Action::Poll, works()),
            (1, Action::Use { token: NEWEST }, works()),
        ],
    );
}

#[test]
fn a_slow_read_of_the_user_does_not_shorten_the_grace() {
    let refresh = (0, OverlapAction::Refresh { token: NEWEST });
    let order = Order {
        // The first client begins, its user is read, and its session rotates. Then the second
        // client begins.
        choices: vec![0, 1, 1, 0],
        ticks: vec![0, 9_000, 0, 3_000],
        longest: 12_000,
        cut: None,
    };
    let round = Round { actions: vec![refresh, refresh], order, faults: works(), pause: 0 };
    let settings = Settings::with_grace(Duration::from_secs(10));
    let overlap = Overlap { settings, nodes: 1, logins: vec![0], rounds: vec![round] };
    let profile = OverlapProfile { refreshes_only: true, faults: false, passwords: false };
    if let Err(problem) = concurrent::replay(&Memory, &overlap, profile) {
        panic!("{problem}\n\n{overlap}");
    }
}
