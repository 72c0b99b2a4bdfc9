//! The properties, each a sentence. Those that begin with a number are the invariants of the design.

use crate::{
    StoreFactory,
    concurrent::{self, Weather},
    run::{Failure, Run},
    schedule::{Focus, Profile},
    sequential,
};

/// How many times fewer schedules there are where each hashes passwords.
const HASHING: u32 = 8;

/// Declares the properties and a list of them.
macro_rules! properties {
    ($($(#[$doc:meta])* $name:ident = $check:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// The smallest schedule found in which it does not hold.
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
    invariant_1_of_concurrent_refreshes_exactly_one_advances_the_session = concurrent::check_rush;

    /// Invariant 1, on several threads.
    invariant_1_on_several_threads_exactly_one_refresh_advances_the_session =
        |factory, run, name| concurrent::check_threads(factory, run.sparing(2), name);

    /// Invariant 2.
    invariant_2_a_token_superseded_longer_than_the_grace_ago_ends_its_session = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Refreshes, ..Profile::PLAIN })
    };

    /// Invariant 3.
    invariant_3_what_has_ended_stays_ended_on_every_node_and_after_a_restart = |factory, run, name| {
        sequential::check(factory, run, name, Profile { nodes: 3, focus: Focus::Endings, ..Profile::PLAIN })
    };

    /// Invariant 4, of one operation after the other.
    invariant_4_no_failure_and_no_death_of_a_node_ends_a_session = |factory, run, name| {
        sequential::check(factory, run, name, Profile { faults: true, ..Profile::PLAIN })
    };

    /// Invariant 4, of refreshes that overlap.
    invariant_4_no_failure_among_concurrent_refreshes_leaves_two_chains = |factory, run, name| {
        concurrent::check(factory, run, name, Weather { refreshes_only: true, faults: true, passwords: false })
    };

    /// Invariant 5.
    invariant_5_nothing_outlives_the_absolute_expiry = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Expiry, ..Profile::PLAIN })
    };

    /// The model, of everything.
    each_operation_is_answered_as_the_model_says =
        |factory, run, name| sequential::check(factory, run, name, Profile::PLAIN);

    /// The model, when the clock is set back by hours.
    a_clock_that_is_set_back_revives_nothing = |factory, run, name| {
        sequential::check(factory, run.sparing(2), name, Profile { wild_clock: true, ..Profile::PLAIN })
    };

    /// The model, of endings that nodes could not write.
    endings_that_a_store_could_not_take_are_brought_later = |factory, run, name| {
        sequential::check(factory, run, name, Profile { focus: Focus::Endings, faults: true, ..Profile::PLAIN })
    };

    /// The model, of password changes.
    a_password_change_ends_every_other_session = |factory, run, name| {
        let profile = Profile { passwords: true, steps: 20, ..Profile::PLAIN };
        sequential::check(factory, run.sparing(HASHING), name, profile)
    };

    /// The model, of password changes in which the store fails.
    a_password_change_that_fails_half_way_leaves_nothing_to_the_old_password = |factory, run, name| {
        let profile = Profile { passwords: true, faults: true, steps: 20, ..Profile::PLAIN };
        sequential::check(factory, run.sparing(HASHING), name, profile)
    };

    /// The rules, in every order.
    operations_that_overlap_keep_the_rules = |factory, run, name| {
        concurrent::check(factory, run, name, Weather { refreshes_only: false, faults: false, passwords: false })
    };

    /// The rules, in every order, when the store fails, nodes die and clients hang up.
    operations_that_overlap_keep_the_rules_whatever_fails = |factory, run, name| {
        concurrent::check(factory, run, name, Weather { refreshes_only: false, faults: true, passwords: false })
    };

    /// The rules, in every order, with password changes.
    operations_that_overlap_a_password_change_keep_the_rules = |factory, run, name| {
        let weather = Weather { refreshes_only: false, faults: true, passwords: true };
        concurrent::check(factory, run.sparing(HASHING), name, weather)
    };
}

/// Checks every property of a store, one after the other; answers how many schedules there were.
///
/// # Errors
/// The first property that does not hold.
pub fn suite(factory: &dyn StoreFactory, run: Run) -> Result<u32, Failure> {
    ALL.iter().map(|check| check(factory, run)).sum()
}
