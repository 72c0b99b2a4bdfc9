//! Tests every property of the memory store.

use portcullis_properties::{memory::Memory, properties, run::Run};

/// Makes a test for each property, so that they run in parallel and a log says which one failed.
macro_rules! hold {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                if let Err(failure) = properties::$name(&Memory, Run::from_env()) {
                    panic!("{failure}");
                }
            }
        )*

        #[test]
        fn no_property_is_left_out() {
            assert_eq!([$(stringify!($name)),*].len(), properties::ALL.len());
        }
    };
}

hold! {
    invariant_1_exactly_one_concurrent_refresh_rotates
    invariant_1_exactly_one_refresh_on_threads_rotates
    invariant_2_a_superseded_token_ends_its_session
    invariant_3_an_ended_session_stays_ended_on_every_node
    invariant_4_no_failure_and_no_death_of_a_node_ends_a_session
    invariant_4_no_failure_of_a_refresh_leaves_two_chains
    invariant_5_nothing_outlives_the_absolute_expiry
    each_operation_is_answered_as_the_model_says
    a_clock_that_is_set_back_revives_nothing
    ends_that_the_store_missed_are_written_later
    a_password_change_ends_every_other_session
    a_password_change_that_fails_leaves_no_half_state
    operations_that_overlap_keep_the_rules
    operations_that_overlap_keep_the_rules_when_calls_fail
    operations_that_overlap_a_password_change_keep_the_rules
}
