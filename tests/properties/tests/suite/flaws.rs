//! Tests the properties themselves. Stores that are wrong on purpose are found, each by the
//! property for its flaw.

use portcullis_properties::{
    StoreFactory,
    flawed::Flaw,
    properties as p,
    run::{Failure, Run},
};

type Property = fn(&dyn StoreFactory, Run) -> Result<u32, Failure>;

const SEED: u64 = 20_261_121;

fn is_caught(flaw: Flaw, property: Property) {
    let run = Run::from_env();
    // The first schedule that breaks the property ends the search, so that more schedules cost
    // nothing. With this seed every flaw is found. A search that finds nothing would not prove the
    // property wrong.
    let run = Run { cases: run.cases.max(1024) * 8, seed: SEED, shrink: 0 };
    assert!(property(&flaw, run).is_err(), "{flaw:?} was not caught");
}

/// Makes a test for each flaw. Its name says what the store does.
macro_rules! are_caught {
    ($($name:ident: $flaw:ident by $property:ident;)*) => {
        $(
            #[test]
            fn $name() {
                is_caught(Flaw::$flaw, p::$property);
            }
        )*
    };
}

are_caught! {
    a_rotation_in_two_steps: RotatesInTwoSteps
        by invariant_1_exactly_one_concurrent_refresh_rotates;
    a_rotation_in_two_steps_on_threads: RotatesInTwoSteps
        by invariant_1_exactly_one_refresh_on_threads_rotates;
    a_rotation_in_two_steps_among_other_operations: RotatesInTwoSteps by operations_that_overlap_keep_the_rules;
    an_ending_in_two_steps: EndsInTwoSteps by operations_that_overlap_keep_the_rules;
    a_grace_that_slides: GraceSlides by invariant_2_a_superseded_token_ends_its_session;
    a_grace_without_an_end: GraceStaysOpen by invariant_2_a_superseded_token_ends_its_session;
    a_grace_for_every_generation: GraceAdmitsAll
        by invariant_2_a_superseded_token_ends_its_session;
    a_reuse_that_ends_nothing: ForgetsToEndOnReuse
        by invariant_2_a_superseded_token_ends_its_session;
    a_failure_that_logs_out: LogsOutOnFailure by invariant_4_no_failure_and_no_death_of_a_node_ends_a_session;
    a_failure_that_logs_out_of_many: LogsOutOnFailure
        by invariant_4_no_failure_of_a_refresh_leaves_two_chains;
    a_retry_that_rotates_again: RotatesOnRetry by invariant_4_no_failure_and_no_death_of_a_node_ends_a_session;
    an_ending_without_a_tombstone: LeavesNoTombstones
        by invariant_3_an_ended_session_stays_ended_on_every_node;
    a_logout_everywhere_that_raises_no_version: ForgetsRaisedVersions
        by invariant_3_an_ended_session_stays_ended_on_every_node;
    a_token_version_that_is_not_compared: IgnoresTheVersion
        by invariant_3_an_ended_session_stays_ended_on_every_node;
    an_idle_expiry_past_the_absolute_one: OutlivesTheAbsoluteExpiry by invariant_5_nothing_outlives_the_absolute_expiry;
    a_record_served_past_its_expiry: ServesTheExpired by invariant_5_nothing_outlives_the_absolute_expiry;
    a_login_that_leaves_an_orphan: KeepsTheReplaced by each_operation_is_answered_as_the_model_says;
    a_password_change_that_ends_nothing: ForgetsTheOthers by a_password_change_ends_every_other_session;
    a_password_change_that_is_applied_twice: RestampsOnRetry
        by a_password_change_that_fails_leaves_no_half_state;
}

#[test]
fn a_store_without_a_flaw_passes() {
    let passed = p::suite(&Flaw::None, Run::from_env().sparing(4));
    assert!(passed.is_ok(), "{}", passed.unwrap_err());
}
