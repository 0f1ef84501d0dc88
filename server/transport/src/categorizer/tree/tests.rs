#![allow(clippy::unwrap_used)]
use postern_delivery::testing::message;
use postern_message::Notify;

use super::*;

fn path(address: &str) -> ForwardPath {
    ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap()
}

fn mail(recipients: &[&str]) -> Message {
    message(
        &bytes::Bytes::from_static(b"Subject: x\r\n\r\nText\r\n"),
        recipients,
        SystemTime::UNIX_EPOCH,
    )
}

fn is_own(path: &ForwardPath) -> bool {
    path.to_string().ends_with("@x.test>")
}

fn members(addresses: &[&str]) -> Found {
    Found {
        recipients: addresses
            .iter()
            .map(|one| NewRecipient::new(path(one)))
            .collect(),
        ..Found::default()
    }
}

/// What the addresses of a book stand for: one word is another name, several are members, `!` is nobody.
type Book<'a> = &'a [(&'a str, &'a [&'a str])];

/// Resolves by a book as a directory does.
fn resolve(message: &Message, book: Book<'_>) -> Resolved {
    let mut tree = Tree::new(message, &is_own, SystemTime::UNIX_EPOCH);
    walk(&mut tree, book);
    tree.finish()
}

fn walk(tree: &mut Tree<'_>, book: Book<'_>) {
    loop {
        let level = tree.take_level();
        if level.is_empty() {
            return;
        }
        for id in level {
            let Some(one) = tree.recipient(id) else {
                continue;
            };
            let address = one.address.mailbox().unwrap().to_string();
            match book.iter().find(|(name, _)| *name == address) {
                None => tree.is_final(id, None),
                Some((_, ["!"])) => {
                    tree.fail(
                        id,
                        own_status(5, (1, 1), "no".to_owned(), SystemTime::UNIX_EPOCH),
                    );
                }
                Some((_, ["=", other])) => tree.is_another(id, path(other)),
                Some((_, addresses)) => tree.members(id, members(addresses)),
            }
        }
    }
}

/// Who gets the message, and who does not, with the enhanced code.
fn shown(resolved: &Resolved) -> (Vec<String>, Vec<String>) {
    let recipients = &resolved.message.recipients;
    let name = |one: &Recipient| one.address.mailbox().unwrap().to_string();
    let open = recipients.iter().filter(|one| !one.state.is_done());
    let failed = recipients.iter().filter_map(|one| match &one.state {
        RecipientState::Failed(status) => {
            let (_, subject, detail) = status.enhanced.unwrap();
            Some(format!("{} {subject}.{detail}", name(one)))
        }
        _ => None,
    });
    (open.map(name).collect(), failed.collect())
}

fn check(recipients: &[&str], book: Book<'_>, get: &[&str], fail: &[&str]) -> Resolved {
    let resolved = resolve(&mail(recipients), book);
    let (got, failed) = shown(&resolved);
    assert_eq!(got, get, "{recipients:?} {book:?}");
    assert_eq!(failed, fail, "{recipients:?} {book:?}");
    assert_eq!(resolved.failures.len(), failed.len());
    resolved
}

#[test]
fn lists_in_lists_come_to_their_members_each_once() {
    let book: Book<'_> = &[
        ("all@x.test", &["staff@x.test", "bert@x.test", "out@y.test"]),
        (
            "staff@x.test",
            &["anna@x.test", "BERT@x.test", "Out@y.test"],
        ),
        ("anna@x.test", &["=", "anna@z.test"]),
        ("gone@x.test", &["!"]),
    ];
    let resolved = check(
        &["carl@x.test", "all@x.test", "gone@x.test"],
        book,
        &[
            "carl@x.test",
            "bert@x.test",
            "out@y.test",
            "anna@z.test",
            "Out@y.test",
        ],
        &["gone@x.test 1.1"],
    );
    let tally = Tally {
        expanded: 2,
        members: 5,
        rewritten: 1,
        failed: 1,
    };
    assert_eq!(resolved.tally, tally);
    assert!(resolved.changed);
    // Whoever stands for himself is no change.
    assert!(!check(&["carl@x.test"], book, &["carl@x.test"], &[]).changed);
}

#[test]
fn an_alias_among_its_own_addresses_is_its_mailbox() {
    let book: Book<'_> = &[("anna@x.test", &["Anna@x.test", "bert@y.test"])];
    check(&["anna@x.test"], book, &["Anna@x.test", "bert@y.test"], &[]);
    // Also after a restart behind the expansion.
    let resolved = resolve(&mail(&["anna@x.test"]), book);
    let again = resolve(&resolved.message, book);
    assert!(!again.changed, "it is looked up again");
}

#[test]
fn what_leads_back_fails_once_and_nobody_is_lost() {
    let two: Book<'_> = &[
        ("a@x.test", &["b@x.test", "-@y.test"]),
        ("b@x.test", &["a@x.test"]),
    ];
    // Everybody in the circle gets it.
    check(&["a@x.test"], two, &["-@y.test"], &[]);
    let pure: Book<'_> = &[
        ("a@x.test", &["b@x.test", "b@x.test"]),
        ("b@x.test", &["c@x.test", "c@x.test"]),
        ("c@x.test", &["a@x.test", "b@x.test"]),
    ];
    let resolved = check(&["a@x.test"], pure, &[], &["c@x.test 4.6"]);
    let last = resolved.failures[0].0;
    let named = resolved.message.recipients[last].given_address();
    assert_eq!(*named, path("a@x.test"), "the sender wrote another address");
    // Both were named: each is in the other, and nobody gets it.
    let both: Book<'_> = &[
        ("a@x.test", &["b@x.test", "b@x.test"]),
        ("b@x.test", &["a@x.test", "a@x.test"]),
    ];
    check(
        &["a@x.test", "b@x.test"],
        both,
        &[],
        &["a@x.test 4.6", "b@x.test 4.6"],
    );
    // Lists that share everybody are no loop.
    let shared: Book<'_> = &[
        ("a@x.test", &["m@y.test", "n@y.test"]),
        ("b@x.test", &["n@y.test", "m@y.test"]),
    ];
    check(
        &["a@x.test", "b@x.test"],
        shared,
        &["m@y.test", "n@y.test"],
        &[],
    );
    let names: Book<'_> = &[
        ("a@x.test", &["=", "b@x.test"]),
        ("b@x.test", &["=", "a@x.test"]),
    ];
    check(&["a@x.test"], names, &[], &["b@x.test 4.6"]);
    let empty: Book<'_> = &[("a@x.test", &[])];
    check(&["a@x.test"], empty, &[], &["a@x.test 2.4"]);
}

#[test]
fn what_lies_too_deep_fails() {
    let chain: Vec<(String, String)> = (0..12)
        .map(|n| (format!("l{n}@x.test"), format!("l{}@x.test", n + 1)))
        .collect();
    let lists: Vec<(&str, Vec<&str>)> = chain
        .iter()
        .map(|(list, member)| (list.as_str(), vec![member.as_str(), member.as_str()]))
        .collect();
    let book: Vec<(&str, &[&str])> = lists
        .iter()
        .map(|(list, all)| (*list, all.as_slice()))
        .collect();
    check(&["l2@x.test"], &book, &["l12@x.test"], &[]);
    check(&["l1@x.test"], &book, &[], &["l11@x.test 4.6"]);
}

#[test]
fn a_list_that_is_too_long_fails_and_takes_nobody_with_it() {
    let message = mail(&["big@x.test", "anna@x.test", "small@x.test"]);
    let mut tree = Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    let [id, _, small] = tree.take_level()[..] else {
        panic!("three recipients");
    };
    let part = |from: usize, more| Found {
        recipients: (from..from + MOST_RECIPIENTS / 2)
            .map(|n| NewRecipient::new(path(&format!("u{n}@y.test"))))
            .collect(),
        more,
        ..Found::default()
    };
    tree.members(id, part(0, true));
    assert!(tree.recipient(id).is_some(), "more of it is to come");
    tree.members(id, part(MOST_RECIPIENTS / 2, false));
    // Whoever is in it and in another list has that one's copy.
    tree.members(small, members(&["u1@y.test", "u9999@y.test"]));
    walk(&mut tree, &[]);
    let resolved = tree.finish();
    let (got, failed) = shown(&resolved);
    assert_eq!(got, ["anna@x.test", "u1@y.test", "u9999@y.test"]);
    assert_eq!(failed, ["big@x.test 2.4"]);
}

#[test]
fn many_that_come_to_one_are_left_out_together() {
    let message = mail(&["big@x.test", "anna@x.test"]);
    let mut tree = Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    let id = tree.take_level()[0];
    let addresses = (0..MOST_RECIPIENTS - 2).map(|n| path(&format!("bert+{n}@x.test")));
    let found = Found {
        recipients: addresses.map(NewRecipient::new).collect(),
        ..Found::default()
    };
    tree.members(id, found);
    for id in tree.take_level() {
        tree.is_another(id, path("bert@x.test"));
    }
    walk(&mut tree, &[]);
    let resolved = tree.finish();
    assert_eq!(shown(&resolved).0, ["anna@x.test", "bert@x.test"]);
}

#[test]
fn members_keep_what_the_sender_asked_for_and_wrote() {
    let mut message = mail(&["all@x.test"]);
    message.recipients[0].notify = Some(Notify::NEVER);
    message.recipients[0].orcpt = Some(bytes::Bytes::from_static(b"rfc822;all@x.test"));
    let resolved = resolve(&message, &[("all@x.test", &["a@y.test", "b@y.test"])]);
    let member = &resolved.message.recipients[1];
    assert_eq!(member.notify, Some(Notify::NEVER));
    assert_eq!(member.orcpt.as_deref(), Some(&b"rfc822;all@x.test"[..]));
    assert_eq!(member.given, Some(path("all@x.test")));
    assert_eq!(member.parent, Some(message.recipients[0].id));
}

#[test]
fn a_list_with_an_owner_goes_out_by_itself() {
    let message = mail(&["outer@x.test", "anna@x.test"]);
    let owner = ReversePath::parse(b"<owner@x.test>", true).unwrap();
    let mut tree = Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    let [outer, anna] = tree.take_level()[..] else {
        panic!("two recipients");
    };
    tree.members(outer, members(&["list@x.test", "bert@x.test"]));
    tree.is_final(anna, None);
    let list = tree.take_level()[0];
    let found = Found {
        sender: Some(owner.clone()),
        ..members(&["anna@x.test", "carl@y.test"])
    };
    tree.members(list, found);
    walk(&mut tree, &[]);
    let resolved = tree.finish();
    assert_eq!(shown(&resolved).0, ["anna@x.test", "bert@x.test"]);
    assert_eq!(resolved.message.envelope.sender, message.envelope.sender);
    let [fork] = &resolved.forks[..] else {
        panic!("{:?}", resolved.forks);
    };
    assert_eq!(fork.sender, owner);
    // The same address once with each sender.
    let expanded = |one: &Recipient| matches!(one.state, RecipientState::Expanded(_));
    let addresses: Vec<_> = fork
        .recipients
        .iter()
        .map(|one| (one.address.to_string(), expanded(one)))
        .collect();
    assert_eq!(
        addresses,
        [
            ("<outer@x.test>".to_owned(), true),
            ("<list@x.test>".to_owned(), true),
            ("<anna@x.test>".to_owned(), false),
            ("<carl@y.test>".to_owned(), false),
        ]
    );
    assert_eq!(
        fork.recipients[2].given, None,
        "its owner knows its members"
    );
    // Where it goes on, it knows how deep it is.
    let forked = Message {
        recipients: fork.recipients.clone(),
        ..message.clone()
    };
    let mut tree = Tree::new(&forked, &is_own, SystemTime::UNIX_EPOCH);
    let level = tree.take_level();
    assert_eq!(level.len(), 2);
    assert_eq!(tree.depth(level[0]), 2);
    tree.members(level[1], members(&["outer@x.test", "list@x.test"]));
    walk(&mut tree, &[]);
    let (got, failed) = shown(&tree.finish());
    assert_eq!(
        (got.len(), failed.len()),
        (1, 0),
        "what led here is no member again"
    );
}

#[test]
fn a_list_with_an_owner_goes_out_once_it_is_complete_each_member_once() {
    let message = mail(&["list@x.test", "anna@x.test"]);
    let owner = ReversePath::parse(b"<owner@x.test>", true).unwrap();
    let part = |addresses: &[&str], more| Found {
        sender: Some(owner.clone()),
        more,
        ..members(addresses)
    };
    let new = || Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    // Its second part is not there yet: all of it is asked for again.
    let mut tree = new();
    let list = tree.take_level()[0];
    tree.members(list, part(&["anna@x.test"], true));
    let resolved = tree.finish();
    assert_eq!(resolved.forks, []);
    assert_eq!(shown(&resolved).0, ["list@x.test", "anna@x.test"]);
    // Its second part cannot be had: it fails as a whole.
    let mut tree = new();
    let list = tree.take_level()[0];
    tree.members(list, part(&["anna@x.test"], true));
    let refused = own_status(5, (1, 1), "no".to_owned(), SystemTime::UNIX_EPOCH);
    tree.fail(list, refused);
    assert_eq!(tree.grown(), 0);
    let resolved = tree.finish();
    assert_eq!(resolved.forks, []);
    assert_eq!(shown(&resolved).1, ["list@x.test 1.1"]);
    let mut tree = new();
    let list = tree.take_level()[0];
    tree.members(list, part(&["anna@x.test", "bert@y.test"], true));
    tree.members(
        list,
        part(&["Anna@x.test", "carl@y.test", "carl@y.test"], false),
    );
    let resolved = tree.finish();
    let addresses = resolved.forks[0].recipients.iter();
    let addresses: Vec<_> = addresses.map(|one| one.address.to_string()).collect();
    let expected = [
        "<list@x.test>",
        "<anna@x.test>",
        "<bert@y.test>",
        "<carl@y.test>",
    ];
    assert_eq!(addresses, expected);
}

#[test]
fn a_notification_gets_no_sender() {
    let mut message = mail(&["list@x.test"]);
    message.envelope.sender = ReversePath::Null;
    let owner = ReversePath::parse(b"<owner@x.test>", true).unwrap();
    let mut tree = Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    let list = tree.take_level()[0];
    tree.sender(owner.clone());
    let found = Found {
        sender: Some(owner),
        ..members(&["carl@y.test"])
    };
    tree.members(list, found);
    walk(&mut tree, &[]);
    let resolved = tree.finish();
    assert_eq!(resolved.message.envelope.sender, ReversePath::Null);
    assert_eq!(resolved.forks, []);
    assert_eq!(shown(&resolved).0, ["carl@y.test"]);
}

#[test]
fn what_two_names_come_to_is_one_recipient() {
    let book: Book<'_> = &[
        ("anna+a@x.test", &["=", "anna@x.test"]),
        ("anna+b@x.test", &["=", "anna@x.test"]),
    ];
    let resolved = check(
        &["anna+a@x.test", "anna+b@x.test"],
        book,
        &["anna@x.test"],
        &[],
    );
    assert_eq!(
        resolved.message.recipients[0].given,
        Some(path("anna+a@x.test"))
    );
}

#[test]
fn an_alias_whose_member_is_somebody_elses_recipient_by_another_name_fails_nobody() {
    let book: Book<'_> = &[
        ("sales@x.test", &["bob+sales@x.test"]),
        ("info@x.test", &["bob+x@x.test"]),
        ("bob+sales@x.test", &["=", "bob@x.test"]),
        ("bob+x@x.test", &["=", "bob@x.test"]),
    ];
    for to in [
        // The second member becomes the first one.
        &["sales@x.test", "info@x.test"][..],
        // The member is a recipient who has become another one since, or is none any more.
        &["bob+x@x.test", "info@x.test"],
        &["bob@x.test", "bob+x@x.test", "info@x.test"],
    ] {
        check(to, book, &["bob@x.test"], &[]);
    }
    // An alias that comes to nobody but itself by another name still fails.
    let circle: Book<'_> = &[
        ("info@x.test", &["other@x.test"]),
        ("other@x.test", &["=", "info@x.test"]),
    ];
    check(&["info@x.test"], circle, &[], &["info@x.test 4.6"]);
    // As a sink says it.
    let message = mail(&["bob+x@x.test", "info@x.test"]);
    let mut tree = Tree::new(&message, &is_own, SystemTime::UNIX_EPOCH);
    let level = tree.take_level();
    tree.is_final(level[0], Some(path("bob@x.test")));
    tree.members(level[1], members(&["bob+x@x.test"]));
    let (got, failed) = shown(&tree.finish());
    assert_eq!((got.len(), failed.len()), (1, 0));
}
