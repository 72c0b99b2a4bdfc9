//! Every property, of the memory store.

use portcullis_properties::{memory::Memory, properties, run::Run};

/// A test for each property, so that they run side by side and a log says which failed.
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
    invariant_1_of_concurrent_refreshes_exactly_one_advances_the_session
    invariant_1_on_several_threads_exactly_one_refresh_advances_the_session
    invariant_2_a_token_superseded_longer_than_the_grace_ago_ends_its_session
    invariant_3_what_has_ended_stays_ended_on_every_node_and_after_a_restart
    invariant_4_no_failure_and_no_death_of_a_node_ends_a_session
    invariant_4_no_failure_among_concurrent_refreshes_leaves_two_chains
    invariant_5_nothing_outlives_the_absolute_expiry
    each_operation_is_answered_as_the_model_says
    a_clock_that_is_set_back_revives_nothing
    endings_that_a_store_could_not_take_are_brought_later
    a_password_change_ends_every_other_session
    a_password_change_that_fails_half_way_leaves_nothing_to_the_old_password
    operations_that_overlap_keep_the_rules
    operations_that_overlap_keep_the_rules_whatever_fails
    operations_that_overlap_a_password_change_keep_the_rules
}
