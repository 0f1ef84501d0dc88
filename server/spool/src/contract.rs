//! One suite of tests for all drivers of a store: what a [`Store`] promises, whatever it is made of.
//!
//! A driver's own tests say `contract::every_driver_does!(rig)` with a [`Rig`] that opens its store, and add what is its
//! own: files, crashes, formats.
#![allow(clippy::unwrap_used)]

pub(crate) mod basics;
pub(crate) mod claims;
pub(crate) mod lists;
pub(crate) mod model;

use postern_message::Status;

use crate::Store;
use crate::sample::time;

/// Opens one store, again and again: each time as another process would find it.
pub(crate) trait Rig {
    fn open(&self) -> Box<dyn Store>;
}

pub(crate) fn status(text: &str) -> Status {
    Status {
        at: time(5),
        code: Some(450),
        enhanced: Some((4, 2, 0)),
        text: text.to_owned(),
        remote: None,
    }
}

/// Makes a test of each promise, on a rig of its own.
macro_rules! every_driver_does {
    ($rig:expr) => {
        $crate::contract::promises! { $rig =>
            basics::what_was_committed_is_there_after_a_restart,
            basics::a_version_is_read_as_it_is_to_be_delivered,
            basics::stage_due_time_and_recipients_change_apart,
            basics::a_batch_is_all_or_nothing_and_spoils_no_other,
            basics::a_notification_comes_with_the_failure_that_it_is_about,
            basics::an_id_is_committed_once,
            basics::a_key_is_used_once,
            basics::a_key_is_known_for_a_day_and_while_its_messages_are_here,
            basics::a_message_whose_content_still_arrives_is_not_committed,
            basics::messages_are_due_in_their_order,
            claims::a_claim_is_one_holders,
            claims::a_change_under_a_claim_that_ended_is_refused,
            claims::what_is_given_back_is_not_claimed_before_its_time,
            claims::a_new_message_is_adopted_once,
            claims::a_message_that_was_worked_on_is_not_new,
            claims::ten_thousand_in_hand_hide_nothing,
            lists::a_list_has_pages_and_filters,
            lists::what_waits_for_a_destination_is_listed_until_it_is_done,
            lists::what_is_put_aside_is_not_due_and_says_why,
            lists::every_filter_finds_its_own_and_no_other,
            lists::what_is_on_hold_waits_for_nothing_until_it_goes_on,
            lists::whatever_nobody_has_can_be_seized,
            lists::what_waits_for_a_sink_is_listed_in_its_order_and_taken_before_its_time,
        }

        #[test]
        fn the_store_is_what_a_map_would_be() {
            $crate::contract::model::the_store_is_what_a_map_would_be(&|| Box::new($rig));
        }
    };
}

macro_rules! promises {
    ($rig:expr => $($module:ident :: $name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::contract::$module::$name(&$rig).await;
            }
        )*
    };
}

pub(crate) use {every_driver_does, promises};
