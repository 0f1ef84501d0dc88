//! From records to hosts and addresses, and the reasons why there are none.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::mx::{
    Answer, Exchangers, Judged, MOST_ADDRESSES, MOST_EXCHANGERS, MOST_LOOKED_AT, Network, NoTarget,
    Record, Target, exchangers, literal, targets,
};

const DOMAIN: &str = "example.test";

fn records(all: &[(u16, &str)]) -> Answer<Record> {
    let record = |(preference, host): &(u16, &str)| Record {
        preference: *preference,
        host: (*host).to_owned(),
    };
    Answer::Found(all.iter().map(record).collect())
}

/// Draws that keep the order in which the records came.
fn in_order() -> impl FnMut() -> u32 {
    let mut last = 0;
    move || {
        last += 1;
        last
    }
}

fn sorted(answer: Answer<Record>) -> Result<Exchangers, NoTarget> {
    exchangers(DOMAIN, answer, &["us.test".to_owned()], &mut in_order())
}

fn hosts(found: &Exchangers) -> Vec<&str> {
    found.hosts.iter().map(|one| one.host.as_str()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn found(addresses: &[&str]) -> Answer<IpAddr> {
    Answer::Found(addresses.iter().map(|one| ip(one)).collect())
}

/// `203.0.113.1` is ours.
fn judge(address: IpAddr) -> Judged {
    match Network::of(address) {
        _ if address == ip("203.0.113.1") => Judged::Own,
        Some(network) => Judged::Forbidden(network),
        None => Judged::Fine,
    }
}

fn resolved(
    mx: &[(u16, &str)],
    answers: Vec<Answer<IpAddr>>,
) -> Result<Vec<(String, Vec<IpAddr>)>, NoTarget> {
    let exchangers = sorted(records(mx)).unwrap();
    let all = targets(DOMAIN, &exchangers, answers, &judge, &mut in_order())?;
    let pair = |target: Target| (target.host, target.addresses);
    Ok(all.into_iter().map(pair).collect())
}

#[test]
fn hosts_are_tried_by_preference() {
    let found = sorted(records(&[(20, "b.test"), (10, "a.test"), (30, "c.test")])).unwrap();
    assert_eq!(hosts(&found), ["a.test", "b.test", "c.test"]);
}

#[test]
fn among_equal_ones_chance_decides_and_nothing_else() {
    let all = [(10, "a.test"), (10, "b.test"), (5, "first.test")];
    for (draws, expected) in [
        ([1, 2, 3], ["a.test", "b.test"]),
        ([2, 1, 3], ["b.test", "a.test"]),
    ] {
        let mut draws = draws.into_iter();
        let found = exchangers(DOMAIN, records(&all), &[], &mut || draws.next().unwrap()).unwrap();
        assert_eq!(hosts(&found)[..1], ["first.test"]);
        assert_eq!(hosts(&found)[1..], expected);
    }
}

#[test]
fn without_mx_the_domain_is_the_host() {
    let found = sorted(Answer::Nothing).unwrap();
    assert_eq!(hosts(&found), [DOMAIN]);
}

#[test]
fn a_null_mx_takes_no_mail_and_is_a_mistake_beside_others() {
    let null = sorted(records(&[(0, "")])).unwrap_err();
    assert!(matches!(&null, NoTarget::NullMx { .. }), "{null:?}");
    assert!(null.is_permanent());
    assert_eq!((null.status(), null.code()), ((1, 10), Some(556)));
    let beside = sorted(records(&[(0, ""), (10, "a.test")])).unwrap();
    assert_eq!(hosts(&beside), ["a.test"]);
}

#[test]
fn what_is_certain_fails_and_what_is_not_waits() {
    let gone = sorted(Answer::NoSuchName).unwrap_err();
    assert!(gone.is_permanent());
    assert_eq!(gone.status(), (1, 2));
    let failed = sorted(Answer::Failed("SERVFAIL".to_owned())).unwrap_err();
    assert!(!failed.is_permanent());
    assert_eq!(failed.status(), (4, 3));
    let addresses = sorted(records(&[(10, "192.0.2.1"), (20, "a..")])).unwrap_err();
    assert!(
        matches!(addresses, NoTarget::NoHost { .. }),
        "{addresses:?}"
    );
}

#[test]
fn our_own_name_cuts_the_list_at_its_preference() {
    let mx = [
        (10, "a.test"),
        (20, "b.test"),
        (20, "US.test"),
        (30, "c.test"),
    ];
    let cut = sorted(records(&mx)).unwrap();
    assert_eq!(hosts(&cut), ["a.test"]);
    for best in [
        &[(10, "us.test"), (20, "b.test")][..],
        &[(10, "b.test"), (10, "us.test")],
    ] {
        let none = resolved(best, Vec::new()).unwrap_err();
        assert!(
            matches!(&none, NoTarget::Own { host, .. } if host == "us.test"),
            "{none:?}"
        );
        assert!(none.is_permanent());
        assert_eq!(none.status(), (4, 6));
    }
}

#[test]
fn our_own_address_cuts_the_list_too() {
    let mx = [
        (10, "a.test"),
        (20, "b.test"),
        (20, "c.test"),
        (30, "d.test"),
    ];
    let answers = || {
        let ours = found(&["198.51.100.3", "203.0.113.1"]);
        vec![
            found(&["198.51.100.1"]),
            found(&["198.51.100.2"]),
            ours,
            found(&["198.51.100.4"]),
        ]
    };
    let left = resolved(&mx, answers()).unwrap();
    assert_eq!(left, [("a.test".to_owned(), vec![ip("198.51.100.1")])]);
    let none = resolved(&mx[1..], answers()[1..].to_vec()).unwrap_err();
    assert!(
        matches!(&none, NoTarget::Own { host, .. } if host == "c.test"),
        "{none:?}"
    );
}

#[test]
fn addresses_that_strangers_must_not_name_are_left_out() {
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "192.0.0.8",
        "198.18.0.1",
        "198.19.255.255",
        "64:ff9b:1::c633:6401",
        "100::1",
        "2001::c633:6401",
        "::ffff:0:10.0.0.1",
    ] {
        let none = resolved(&[(10, "a.test")], vec![found(&[address])]).unwrap_err();
        let NoTarget::Forbidden {
            host,
            address: named,
            ..
        } = &none
        else {
            panic!("{address}: {none:?}")
        };
        assert_eq!((host.as_str(), *named), ("a.test", ip(address)));
        assert!(!none.is_permanent(), "a domain may say so for a while");
        assert_eq!(none.status(), (4, 4));
        let beside = resolved(&[(10, "a.test")], vec![found(&[address, "198.51.100.1"])]);
        assert_eq!(beside.unwrap()[0].1, [ip("198.51.100.1")], "{address}");
    }
    for address in [
        "198.51.100.1",
        "172.32.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "198.20.0.1",
        "2001:1::1",
        "::ffff:0:198.51.100.1",
        "2001:db8::1",
        "64:ff9b::c633:6401",
    ] {
        assert_eq!(Network::of(ip(address)), None, "{address}");
    }
}

#[test]
fn a_host_that_cannot_be_looked_up_is_a_reason_to_wait() {
    let mx = [(10, "a.test"), (20, "b.test")];
    let failed = || Answer::Failed("no answer".to_owned());
    let other = resolved(&mx, vec![failed(), found(&["198.51.100.1"])]).unwrap();
    assert_eq!(other[0].0, "b.test", "the next one is tried");
    for rest in [Answer::Nothing, Answer::NoSuchName, found(&["127.0.0.1"])] {
        for answers in [vec![failed(), rest.clone()], vec![rest, failed()]] {
            let none = resolved(&mx, answers).unwrap_err();
            assert!(!none.is_permanent(), "{none:?}");
        }
    }
    // What is behind us is not asked about.
    let mx = [(10, "a.test"), (20, "ours.test"), (30, "c.test")];
    let answers = vec![Answer::Nothing, found(&["203.0.113.1"]), failed()];
    assert!(resolved(&mx, answers).unwrap_err().is_permanent());
    let none = resolved(&[(10, "a.test")], vec![Answer::NoSuchName]).unwrap_err();
    assert!(matches!(none, NoTarget::NoAddress { .. }), "{none:?}");
}

#[test]
fn both_kinds_of_address_count_and_take_turns() {
    let both = found(&["2001:db8::1", "2001:db8::2"]).and(found(&["198.51.100.1", "198.51.100.2"]));
    let order = ["2001:db8::1", "198.51.100.1", "2001:db8::2", "198.51.100.2"].map(ip);
    assert_eq!(resolved(&[(10, "a.test")], vec![both]).unwrap()[0].1, order);
    let failed = || Answer::Failed("no answer".to_owned());
    let partly = |address| Answer::Partly(vec![ip(address)], "no answer".to_owned());
    for (address, good) in [("198.51.100.1", true), ("10.0.0.1", false)] {
        let half = failed().and(found(&[address]));
        assert_eq!(half, partly(address));
        assert_eq!(found(&[address]).and(failed()), half);
        // What could not be looked up may be better than what was found.
        match resolved(&[(10, "a.test")], vec![half]) {
            Ok(hosts) => assert!(good && hosts[0].1 == [ip(address)]),
            Err(why) => assert!(!good && matches!(why, NoTarget::Lookup { .. }), "{why:?}"),
        }
    }
    assert_eq!(Answer::<IpAddr>::Nothing.and(failed()), failed());
    assert_eq!(
        Answer::<IpAddr>::Nothing.and(Answer::NoSuchName),
        Answer::Nothing
    );
    assert_eq!(
        Answer::<IpAddr>::NoSuchName.and(Answer::NoSuchName),
        Answer::NoSuchName
    );
}

#[test]
fn literals_are_hosts_under_the_same_rules() {
    let target = literal("[198.51.100.1]", ip("198.51.100.1"), &judge).unwrap();
    assert_eq!(target.host, "198.51.100.1");
    let forbidden = literal("[10.0.0.1]", ip("10.0.0.1"), &judge).unwrap_err();
    assert!(matches!(forbidden, NoTarget::Forbidden { .. }));
    assert!(forbidden.is_permanent(), "it says so itself");
    let own = literal("[203.0.113.1]", ip("203.0.113.1"), &judge).unwrap_err();
    assert_eq!(own.status(), (4, 6));
}

#[test]
fn hosts_that_were_not_looked_up_may_have_addresses() {
    for (count, permanent) in [(MOST_EXCHANGERS, true), (MOST_EXCHANGERS + 1, false)] {
        let names: Vec<_> = (0..count).map(|number| format!("h{number}.test")).collect();
        let mx: Vec<_> = names.iter().map(|name| (10, name.as_str())).collect();
        let none = resolved(&mx, vec![Answer::Nothing; MOST_EXCHANGERS]).unwrap_err();
        assert!(matches!(none, NoTarget::NoAddress { .. }), "{none:?}");
        assert_eq!(none.is_permanent(), permanent, "{count}");
    }
}

#[test]
fn a_bounded_number_of_addresses_is_judged_once_each() {
    let v4 = (0..200u8).map(|last| IpAddr::from([198, 51, 100, last]));
    let v6 = (0..200u16).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
    let all: Vec<IpAddr> = v4.flat_map(|one| [one, one]).chain(v6).collect();
    let judged = std::cell::RefCell::new(Vec::new());
    let counted = |address| {
        judged.borrow_mut().push(address);
        judge(address)
    };
    let exchangers = sorted(records(&[(10, "a.test")])).unwrap();
    let answers = vec![Answer::Found(all)];
    let found = targets(DOMAIN, &exchangers, answers, &counted, &mut in_order()).unwrap();
    assert_eq!(found[0].addresses.len(), MOST_ADDRESSES);
    let mut judged = judged.into_inner();
    assert_eq!(judged.len(), 2 * MOST_LOOKED_AT);
    judged.sort();
    judged.dedup();
    assert_eq!(judged.len(), 2 * MOST_LOOKED_AT, "none of them twice");
}

fn any_host() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-e]\\.test",
        1 => Just("us.test".to_owned()),
        1 => Just(String::new()),
        1 => Just("192.0.2.1".to_owned()),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer<IpAddr>> {
    let address = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        any::<u128>().prop_map(|bits| IpAddr::from(bits.to_be_bytes())),
        (1..=9u8).prop_map(|last| IpAddr::from([203, 0, 113, last])),
    ];
    prop_oneof![
        5 => vec(address.clone(), 1..9).prop_map(Answer::Found),
        1 => vec(address, 1..9).prop_map(|all| Answer::Partly(all, "x".to_owned())),
        1 => Just(Answer::Nothing),
        1 => Just(Answer::NoSuchName),
        1 => Just(Answer::Failed("x".to_owned())),
    ]
}

proptest! {
    /// Whatever DNS says: bounded, in order, never us nor what is not preferred to us, never a forbidden address, and nothing
    /// final while something is not known.
    #[test]
    fn whatever_dns_says(
        mx in vec((0..4u16, any_host()), 0..30),
        answers in vec(any_answer(), MOST_EXCHANGERS),
        draws in vec(any::<u32>(), 200),
    ) {
        let mut draws = draws.into_iter().cycle();
        let mut draw = || draws.next().unwrap();
        let all: Vec<_> = mx.iter().map(|(preference, host)| (*preference, host.as_str())).collect();
        let own = ["us.test".to_owned()];
        let answer = match all.is_empty() {
            true => Answer::Nothing,
            false => records(&all),
        };
        let Ok(exchangers) = exchangers(DOMAIN, answer, &own, &mut draw) else {
            prop_assert!(all.iter().all(|(_, host)| host.is_empty() || *host == "192.0.2.1"));
            return Ok(());
        };
        prop_assert!(exchangers.hosts.len() <= MOST_EXCHANGERS);
        prop_assert!(exchangers.hosts.is_sorted_by_key(|one| one.preference));
        let ours = all.iter().filter(|(_, host)| *host == "us.test").map(|(preference, _)| *preference).min();
        for one in &exchangers.hosts {
            prop_assert!(ours.is_none_or(|ours| one.preference < ours), "{one:?} with us at {ours:?}");
        }
        let answers = answers[..exchangers.hosts.len()].to_vec();
        let at_ours = exchangers.hosts.iter().zip(&answers).filter(|(_, answer)| {
            matches!(answer, Answer::Found(all) | Answer::Partly(all, _) if all.contains(&ip("203.0.113.1")))
        });
        let ours = at_ours.map(|(one, _)| one.preference).min();
        let preferred = |one: &crate::mx::Exchanger| ours.is_none_or(|ours| one.preference < ours);
        match targets(DOMAIN, &exchangers, answers.clone(), &judge, &mut draw) {
            Ok(found) => {
                prop_assert!(!found.is_empty());
                let mut tried = Vec::new();
                for target in found {
                    let exchanger = exchangers.hosts.iter().find(|one| one.host == target.host);
                    prop_assert!(exchanger.is_some_and(preferred), "{target:?}");
                    prop_assert!((1..=MOST_ADDRESSES).contains(&target.addresses.len()));
                    for address in target.addresses {
                        prop_assert_eq!(judge(address), Judged::Fine);
                        prop_assert!(!tried.contains(&address), "{} twice", address);
                        tried.push(address);
                    }
                }
            }
            Err(why) => {
                let pairs = exchangers.hosts.iter().zip(&answers);
                let mut unknown = pairs.filter(|(one, _)| preferred(one)).map(|(_, answer)| answer);
                // Addresses that were found are of networks that may be others tomorrow.
                let waits = unknown.any(|answer| !matches!(answer, Answer::Nothing | Answer::NoSuchName));
                prop_assert_eq!(why.is_permanent(), !waits, "{:?}", why);
            }
        }
    }
}
