"""Shows that each check can fail: trees with one thing wrong, and what must be said of each."""

from checks import CHECKS, PAGE, Workspace, apart, arrows, files, machines, protobuf, pure, rooms
from page import Page


def replaced(path, old, new):
    """A change of one file."""

    def change(read):
        text = read(path)
        assert text is not None and old in text, f"{path} has no {old!r}: mend the self-test"
        return {path: text.replace(old, new, 1)}

    return change


# What is done to the tree, the check that must notice, and what it must say.
CASES = [
    (
        "the message model takes up the event model",
        arrows,
        replaced("server/message/Cargo.toml", "[dependencies]\n", "[dependencies]\npostern-events.workspace = true\n"),
        ": uses server/events; the drawing in docs/architecture.md:",
    ),
    (
        "the page draws an arrow that is not there",
        arrows,
        replaced(PAGE, "server/spool --> server/message", "server/spool --> server/message & server/events"),
        "draws server/spool --> server/events",
    ),
    (
        "the end-to-end tests link the gateway",
        apart,
        replaced("tests/e2e/Cargo.toml", "[dependencies]\n", "[dependencies]\npostern.workspace = true\n"),
        "tests/e2e/Cargo.toml:",
    ),
    (
        "the SDK tests itself with the gateway's event model",
        apart,
        replaced("sdk/rust/Cargo.toml", "[dev-dependencies]\n", "[dev-dependencies]\npostern-events.workspace = true\n"),
        "uses server/events",
    ),
    (
        "the event model locks",
        pure,
        replaced("server/events/Cargo.toml", "[dependencies]\n", "[dependencies]\nparking_lot.workspace = true\n"),
        "postern-events locks",
    ),
    (
        "an event takes from the plan, which lies above what it may use",
        rooms,
        replaced("server/events/src/context.rs", "mod codec;\n", "mod codec;\nuse crate::plan::Plan;\n"),
        "takes Plan from server/events/src/plan.rs",
    ),
    (
        "a room is new and on no floor",
        rooms,
        lambda read: {
            "server/events/src/lib.rs": read("server/events/src/lib.rs") + "mod nowhere;\n",
            "server/events/src/nowhere.rs": "//! Nowhere.\n",
        },
        "server/events/src/nowhere.rs:1: the floors of server/events",
    ),
    (
        "two files of one room use each other",
        files,
        replaced("server/dispatch/src/sink/face.rs", "use crate::observer::Observer;\n",
                 "use crate::observer::Observer;\nuse super::task::SinkTask;\n"),
        "takes SinkTask from server/dispatch/src/sink/task.rs",
    ),
    (
        "a circle over a full path in an expression",
        files,
        replaced("server/events/src/order.rs", "\n\n", "\n\nfn circle() {\n    crate::context::Context::session();\n}\n\n"),
        "server/events/src/order.rs",
    ),
    (
        "the scheduler uses another room",
        machines,
        replaced("server/transport/src/scheduler/destination.rs", "use super::rest::Rest;\n",
                 "use super::rest::Rest;\nuse crate::job::Job;\n"),
        "uses crate::job::Job",
    ),
    (
        "the scheduler uses a library",
        machines,
        replaced("server/transport/src/scheduler/rest.rs", "use std::time", "use bytes::Bytes;\nuse std::time"),
        "uses bytes;",
    ),
    (
        "the scheduler has a clock",
        machines,
        replaced("server/transport/src/scheduler/pace.rs", "self.is_up = true;", "self.is_up = Instant::now() > now;"),
        "has a clock or a lock",
    ),
    (
        "the front end speaks protobuf",
        protobuf,
        replaced("server/gateway/src/front.rs", "\nmod ", "\nuse postern_proto::v1 as pb;\nmod "),
        "server/gateway/src/front.rs:",
    ),
    (
        "rulings speak protobuf",
        protobuf,
        replaced("server/events/src/ruling.rs", "use crate::answer", "use postern_proto::v1::Verdict;\nuse crate::answer"),
        "bars them there",
    ),
]


def self_test(read):
    """Runs all cases; the exit code."""
    failed = 0
    for what, check, change, expected in CASES:
        changed = change(read)
        overlay = lambda path: changed.get(path, None) if path in changed else read(path)  # noqa: E731
        page, work = Page(PAGE, overlay(PAGE)), Workspace(overlay)
        failed += say(what, list(run(check, page, work, overlay)), expected)
    page, work = Page(PAGE, read(PAGE)), Workspace(read)
    found = list(pure(page, work, read, tree=lambda package: {package, "tokio"}))
    failed += say("tokio is in the tree of what does no I/O", found, "tokio is in the tree of postern-events")
    tried = {check for _, check, _, _ in CASES}
    for name, check in CHECKS.items():
        if check not in tried:
            failed += 1
            print(f"FAILED  no case shows that it can fail: {name}")
    return 1 if failed else 0


def run(check, page, work, read):
    """The findings of a check; of `pure` without asking cargo for trees of a workspace that is not there."""
    if check is pure:
        return check(page, work, read, tree=lambda package: {package})
    return check(page, work, read)


def say(what, findings, expected):
    """Prints how a case went; 1 if it went wrong."""
    if any(expected in finding for finding in findings):
        print(f"ok      noticed: {what}")
        return 0
    print(f"FAILED  not noticed: {what}; expected {expected!r} in {findings}")
    return 1
