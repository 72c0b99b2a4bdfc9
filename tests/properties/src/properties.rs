//! The properties, each a sentence. Those that begin with `invariant` are the invariants of the
//! design.

use crate::{
    StoreFactory,
    concurrent::{self, OverlapProfile},
    run::{Failure, Run},
    schedule::{Focus, Profile},
    sequential,
};

/// Divides the number of schedules for properties that hash passwords.
const HASHING: u32 = 8;

/// Declares the properties, and a list of them.
macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident = $check:expr;)*) => {
        $(
            $(#[$doc])*
            /// # Errors
            /// Returns the smallest schedule found in which the property does not hold.
            pub fn $name(factory: &dyn StoreFactory, run: Run) -> Result<u32, Failure> {
                let check: fn(&dyn StoreFactory, Run, &str) -> Result<u32, Failure> = $check;
                check(factory, run, stringify!($name))
            }
        )*

        /// Every property.
        pub const ALL: &[fn(&dyn StoreFactory, Run) -> Result<u32, Failure>] = &[$($name),*];
    };
}

properties! {
    /// Invariant 1, one store call after the other in every order.
    invariant_1_exactly_one_concurrent_refresh_rotates = concurrent::check_race;

    /// Invariant 1, on several threads.
    invariant_1_exactly_one_refresh_on_threads_rotates =
        |factory, run, name| concurrent::check_threads(factory, run.sparing(2), name);

    /// Invariant 2.
    invariant_2_a_superseded_token_ends_its_session = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Refreshes, ..Profile::PLAIN })
    };

    /// Invariant 3.
    invariant_3_an_ended_session_stays_ended_on_every_node = |factory, run, name| {
        sequential::check(factory, run, name, Profile { nodes: 3, focus: Focus::Endings, ..Profile::PLAIN })
    };

    /// Invariant 4, for one operation after the other.
    invariant_4_no_failure_and_no_death_of_a_node_ends_a_session = |factory, run, name| {
        sequential::check(factory, run, name, Profile { faults: true, ..Profile::PLAIN })
    };

    /// Invariant 4, for refreshes that overlap.
    invariant_4_no_failure_of_a_refresh_leaves_two_chains = |factory, run, name| {
        concurrent::check(factory, run, name, OverlapProfile { refreshes_only: true, faults: true, passwords: false })
    };

    /// Invariant 5.
    invariant_5_nothing_outlives_the_absolute_expiry = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Expiry, ..Profile::PLAIN })
    };

    /// The model, for every operation.
    each_operation_is_answered_as_the_model_says =
        |factory, run, name| sequential::check(factory, run, name, Profile::PLAIN);

    /// The model, when the clock is set back by hours.
    a_clock_that_is_set_back_revives_nothing = |factory, run, name| {
        sequential::check(factory, run.sparing(2), name, Profile { wild_clock: true, ..Profile::PLAIN })
    };

    /// The model, for ends that nodes could not write.
    ends_that_the_store_missed_are_written_later = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Endings, faults: true, ..Profile::PLAIN })
    };

    /// The model, for password changes.
    a_password_change_ends_every_other_session = |factory, run, name| {
        let profile = Profile { passwords: true, steps: 20, ..Profile::PLAIN };
        sequential::check(factory, run.sparing(HASHING), name, profile)
    };

    /// The model, for password changes in which the store fails.
    a_password_change_that_fails_leaves_no_half_state = |factory, run, name| {
        let profile = Profile { passwords: true, faults: true, steps: 20, ..Profile::PLAIN };
        sequential::check(factory, run.sparing(HASHING), name, profile)
    };

    /// The rules, in every order.
    operations_that_overlap_keep_the_rules = |factory, run, name| {
        concurrent::check(factory, run, name, OverlapProfile { refreshes_only: false, faults: false, passwords: false })
    };

    /// The rules, in every order, when the store fails, nodes die and clients disconnect.
    operations_that_overlap_keep_the_rules_when_calls_fail = |factory, run, name| {
        concurrent::check(factory, run, name, OverlapProfile { refreshes_only: false, faults: true, passwords: false })
    };

    /// The rules, in every order, with password changes.
    operations_that_overlap_a_password_change_keep_the_rules = |factory, run, name| {
        let profile = OverlapProfile { refreshes_only: false, faults: true, passwords: true };
        concurrent::check(factory, run.sparing(HASHING), name, profile)
    };
}

/// Checks every property of a store, one after the other. Returns how many schedules were run.
///
/// # Errors
/// Returns the first property that does not hold.
pub fn suite(factory: &dyn StoreFactory, run: Run) -> Result<u32, Failure> {
    ALL.iter().map(|check| check(factory, run)).sum()
}
