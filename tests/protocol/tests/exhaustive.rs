//! Every order of steps within the bounds keeps the rules, and each flaw breaks one.

use std::time::Instant;

use portcullis_protocol::{Bounds, Flaw, Protocol, rules};
use stateright::{Checker, HasDiscoveries, Model};

fn holds(name: &str, bounds: Bounds) {
    let started = Instant::now();
    let checker =
        Protocol::new(bounds).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{name}: {} states in {:?}", checker.unique_state_count(), started.elapsed());
    checker.assert_properties();
}

#[test]
fn rotation_keeps_the_rules_in_every_order() {
    holds("rotation", Bounds::ROTATION);
}

#[test]
fn outages_keep_the_rules_in_every_order() {
    holds("outage", Bounds::OUTAGE);
    holds("outage without a grace", Bounds::NO_GRACE);
}

#[test]
fn endings_keep_the_rules_in_every_order() {
    holds("ending", Bounds::ENDING);
    holds("ending in an outage", Bounds::ENDING_IN_OUTAGE);
    holds("login", Bounds::LOGIN);
}

/// Which rule each flaw breaks, and within which bounds it shows.
fn broken_by(flaw: Flaw) -> (&'static str, Bounds) {
    match flaw {
        Flaw::RotateReadsThenWrites | Flaw::ReplayForks => (rules::ONE_CHAIN, Bounds::ROTATION),
        Flaw::GraceSlides | Flaw::GraceAdmitsAll => (rules::NO_LATE_TOKEN, Bounds::ROTATION),
        Flaw::GraceBeatsEnding => (rules::ENDED_IS_ENDED, Bounds::ROTATION),
        Flaw::ReuseEndsNothing => (rules::REUSE_ENDS, Bounds::ROTATION),
        Flaw::OutageEndsSession => (rules::OUTAGES_END_NOTHING, Bounds::OUTAGE),
        Flaw::RetryAsksForAnother => (rules::OUTAGES_END_NOTHING, Bounds::NO_GRACE),
        Flaw::LogoutAnswersFirst => (rules::ANSWERED_IS_WRITTEN, Bounds::ENDING_IN_OUTAGE),
        Flaw::VersionRaisedLast => (rules::NO_LOGIN_SLIPS_THROUGH, Bounds::LOGIN),
        Flaw::NoOverlap | Flaw::PollCountsFromItsAnswer | Flaw::HorizonWithoutClocks => {
            (rules::GUARDS_KNOW, Bounds::ENDING)
        }
        Flaw::ServesBeforeLoad | Flaw::LateWithoutRestamp => (rules::GUARDS_KNOW, Bounds::ENDING_IN_OUTAGE),
    }
}

#[test]
fn each_flaw_breaks_the_rule_that_it_is_about() {
    for flaw in Flaw::ALL {
        let (rule, bounds) = broken_by(flaw);
        let started = Instant::now();
        let until = HasDiscoveries::AnyOf([rule].into());
        let checker = Protocol::with_flaw(bounds, flaw).checker().threads(2).finish_when(until).spawn_bfs().join();
        let path = checker.discovery(rule).unwrap_or_else(|| panic!("{flaw:?} does not break: {rule}"));
        println!("{flaw:?} breaks: {rule}, after {} steps ({:?})", path.into_actions().len(), started.elapsed());
    }
}
