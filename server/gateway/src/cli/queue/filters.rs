//! The filters that all verbs have.

use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use postern_proto::admin::v1::{Filter, MessageState};

use super::words::{duration, size};

/// Which messages: those that fit all that is said.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// From a sender that fits this pattern; <> is the null sender
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    sender: Option<String>,
    /// To a recipient that fits this pattern
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    recipient: Option<String>,
    /// Waiting, after an attempt, for a destination that fits this pattern
    #[arg(long, value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    destination: Option<String>,
    /// Received longer ago than this, such as 30m, 4h or 2d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<Duration>,
    /// In this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Whose reason has this text in it
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Kept or put off by this binding
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    binding: Option<String>,
    /// Larger than this, such as 5MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    larger_than: Option<u64>,
    /// Tried at least so often
    #[arg(long, value_name = "NUMBER")]
    attempts: Option<u32>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Sinks are to be asked
    Submit,
    /// Recipients are to be resolved
    Categorize,
    /// To be delivered
    Deliver,
    /// Kept by a failure policy or a verdict, and asked about again
    Held,
    /// Kept by a verdict until it is released
    Quarantined,
    /// Kept by an operator until it is released
    OnHold,
    /// Set aside, since something of it is damaged
    Damaged,
}

impl Filters {
    /// Something is said.
    pub(super) fn say_something(&self) -> bool {
        self.filter() != Filter::default()
    }

    /// As the gateway is asked.
    pub(super) fn filter(&self) -> Filter {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let state = match self.state {
            None => MessageState::Unspecified,
            Some(State::Submit) => MessageState::Submit,
            Some(State::Categorize) => MessageState::Categorize,
            Some(State::Deliver) => MessageState::Deliver,
            Some(State::Held) => MessageState::Held,
            Some(State::Quarantined) => MessageState::Quarantined,
            Some(State::OnHold) => MessageState::OnHold,
            Some(State::Damaged) => MessageState::Damaged,
        };
        Filter {
            state: state.into(),
            sender: text(&self.sender),
            recipient: text(&self.recipient),
            destination: text(&self.destination),
            older_than: self.older_than.and_then(|age| age.try_into().ok()),
            reason: text(&self.reason),
            binding: text(&self.binding),
            larger_than: self.larger_than.unwrap_or(0),
            attempts: self.attempts.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::error::ErrorKind;
    use clap::{Command, FromArgMatches as _};

    use super::*;

    #[test]
    fn a_filter_without_a_value_is_no_filter_that_fits_all() {
        let command = || Filters::augment_args(Command::new("list"));
        for text in ["sender", "recipient", "destination", "reason", "binding"] {
            let argument = format!("--{text}");
            let wrong = command().try_get_matches_from(["list", &argument, ""]);
            let wrong = wrong.unwrap_err();
            assert_eq!(wrong.kind(), ErrorKind::InvalidValue, "{argument}");
            let right = command().try_get_matches_from(["list", &argument, "x"]);
            let right = Filters::from_arg_matches(&right.unwrap()).unwrap();
            assert!(right.say_something());
        }
    }
}
