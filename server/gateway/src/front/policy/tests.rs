#![allow(clippy::unwrap_used)]
use super::*;

fn policy() -> (Policy, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipients");
    std::fs::write(&path, "anna@file.test\n").unwrap();
    let mut domains = Domains::default();
    domains.insert("example.test", Recipients::Any, None);
    domains.insert("*.wild.test", Recipients::Any, None);
    domains.insert("xn--bcher-kva.test", Recipients::Any, None);
    domains.insert(
        "file.test",
        Recipients::File(Arc::new(RecipientFile::load(path).unwrap())),
        None,
    );
    let policy = Policy {
        proxy_from: Vec::new(),
        relay_from: vec![
            "127.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ],
        priority_from: vec!["192.0.2.0/24".parse().unwrap()],
        domains: Arc::new(domains),
        names: Arc::default(),
        ways_out: ways_out("[outbound]\ndeliver = \"mx\""),
    };
    (policy, folder)
}

/// Those of a configuration with these tables.
fn ways_out(text: &str) -> WaysOut {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postern.toml");
    let text = format!(
        "[spool]\npath = \"state\"\n{text}\n\
         [[server]]\nname = \"in\"\nhostname = \"mx.test\"\nlisten = [\"127.0.0.1:2525\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    WaysOut::of(&postern_config::load(&file, &[("NONE", "")]).unwrap().config)
}

fn judge(policy: &Policy, path: &str, may_relay: bool) -> String {
    let path = ForwardPath::parse(path.as_bytes(), true).unwrap();
    match policy.judge(&path, may_relay) {
        Ok(()) => "ok".to_owned(),
        Err(reply) => format!("{} {}", reply.code(), reply.enhanced().unwrap()),
    }
}

#[test]
fn strangers_reach_our_domains_and_no_others() {
    let (policy, _folder) = policy();
    for ours in [
        "<u@example.test>",
        "<u@EXAMPLE.Test>",
        "<u@a.wild.test>",
        "<u@a.b.wild.test>",
        "<grün@bücher.test>",
        "<u@BÜCHER.test>",
        "<Postmaster>",
        "<postMASTER>",
        "<@other.test,@more.test:u@example.test>",
        "<\"a@other.test\"@example.test>",
        "<u%other.test@example.test>",
        "<other.test!u@example.test>",
    ] {
        assert_eq!(judge(&policy, ours, false), "ok", "{ours}");
    }
    for foreign in [
        "<u@other.test>",
        "<u@notexample.test>",
        "<u@example.test.org>",
        "<u@sub.example.test>",
        "<u@wild.test>",
        "<u@nowild.test>",
        "<u@[192.0.2.1]>",
        "<u@[IPv6:2001:db8::1]>",
        "<@example.test:u@other.test>",
        "<\"u@example.test\"@other.test>",
        "<u%example.test@other.test>",
        "<example.test!u@other.test>",
    ] {
        assert_eq!(judge(&policy, foreign, false), "550 5.7.1", "{foreign}");
        assert_eq!(judge(&policy, foreign, true), "ok", "{foreign}");
    }
}

#[test]
fn a_file_says_who_exists_but_the_postmaster_always_does() {
    let (policy, _folder) = policy();
    assert_eq!(judge(&policy, "<ANNA@file.test>", false), "ok");
    assert_eq!(judge(&policy, "<PostMaster@file.test>", false), "ok");
    assert_eq!(judge(&policy, "<carl@file.test>", false), "550 5.1.1");
    assert_eq!(judge(&policy, "<carl@file.test>", true), "550 5.1.1");
}

#[test]
fn without_a_way_out_nobody_relays() {
    let (mut policy, _folder) = policy();
    policy.ways_out = ways_out("");
    assert_eq!(judge(&policy, "<u@other.test>", true), "550 5.4.4");
    policy.ways_out = ways_out(
        "[[route]]\nname = \"a\"\nmatch = \"*.other.test\"\ndeliver = \"mx\"\n\
         [[route]]\nname = \"b\"\nmatch = \"one.test\"\ndeliver = \"mx\"\n\
         [[route]]\nname = \"c\"\nmatch = \"two.test\"\ntls = \"required\"",
    );
    for (to, what) in [
        ("<u@deep.in.other.test>", "ok"),
        ("<u@ONE.test>", "ok"),
        ("<u@other.test>", "550 5.4.4"),
        ("<u@x.one.test>", "550 5.4.4"),
        ("<u@two.test>", "550 5.4.4"),
        ("<u@[192.0.2.1]>", "550 5.4.4"),
    ] {
        assert_eq!(judge(&policy, to, true), what, "{to}");
    }
    policy.ways_out =
        ways_out("[[route]]\nname = \"a\"\nmatch = \"*\"\ndeliver = \"smtp://relay.test\"");
    assert_eq!(judge(&policy, "<u@[192.0.2.1]>", true), "ok");
    assert_eq!(judge(&policy, "<u@example.test>", true), "ok");
}

#[test]
fn relay_goes_by_network_and_not_by_spelling() {
    let (policy, _folder) = policy();
    let may = |addr: &str| policy.may_relay(Some(addr.parse().unwrap()));
    assert!(may("127.9.9.9") && may("::ffff:127.0.0.1") && may("2001:db8:ffff::1"));
    assert!(!may("128.0.0.1") && !may("::1") && !may("2001:db9::1") && !may("::ffff:10.0.0.1"));
    assert!(!policy.may_relay(None));
    let may = |addr: &str| policy.may_set_priorities(Some(addr.parse().unwrap()));
    assert!(may("192.0.2.1") && may("::ffff:192.0.2.1") && !may("127.0.0.1"));
    assert!(!policy.may_set_priorities(None));
}

#[test]
fn what_a_sink_says_of_a_recipient_stands_in_for_domain_relay_and_list_and_for_nothing_else() {
    use RecipientKind as Kind;
    let (policy, _folder) = policy();
    let judged = |path: &str, may_relay, kind, routed| {
        let path = ForwardPath::parse(path.as_bytes(), true).unwrap();
        let claim = Claim { kind, routed };
        match policy.judge_claimed(&path, may_relay, claim) {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                let reply = error.into_reply();
                format!("{} {}", reply.code(), reply.enhanced().unwrap())
            }
        }
    };
    for (path, kind, routed, stranger, relays) in [
        // It says nothing of what it is: as the service would say.
        (
            "<carl@file.test>",
            Kind::Unspecified,
            true,
            "550 5.1.1",
            "550 5.1.1",
        ),
        ("<anna@file.test>", Kind::Unspecified, true, "ok", "ok"),
        (
            "<u@other.test>",
            Kind::Unspecified,
            false,
            "550 5.7.1",
            "ok",
        ),
        ("<u@other.test>", Kind::Unspecified, true, "550 5.7.1", "ok"),
        ("<carl@file.test>", Kind::Hosted, false, "ok", "ok"),
        (
            "<u@other.test>",
            Kind::Hosted,
            false,
            "451 4.3.5",
            "451 4.3.5",
        ),
        ("<u@other.test>", Kind::Hosted, true, "ok", "ok"),
        (
            "<u@[192.0.2.1]>",
            Kind::Hosted,
            false,
            "451 4.3.5",
            "451 4.3.5",
        ),
        ("<u@other.test>", Kind::Relayed, false, "ok", "ok"),
        ("<u@example.test>", Kind::Relayed, false, "ok", "ok"),
        ("<Postmaster>", Kind::Unspecified, false, "ok", "ok"),
    ] {
        assert_eq!(
            judged(path, false, kind, routed),
            stranger,
            "{path} {kind:?}"
        );
        assert_eq!(judged(path, true, kind, routed), relays, "{path} {kind:?}");
    }
    let without = Policy {
        ways_out: ways_out(""),
        ..policy
    };
    let path = ForwardPath::parse(b"<u@other.test>", true).unwrap();
    for (kind, routed, passes) in [
        (Kind::Relayed, false, false),
        (Kind::Relayed, true, true),
        (Kind::Unspecified, false, false),
        (Kind::Unspecified, true, true),
    ] {
        let claim = Claim { kind, routed };
        let judged = without.judge_claimed(&path, true, claim);
        assert_eq!(judged.is_ok(), passes, "{kind:?} {routed}");
    }
}

/// The names of a domain with an alias, sub-addresses and mailboxes that exist, and of another name of it.
#[test]
fn what_a_sink_says_of_another_name_counts_for_whom_it_names() {
    use RecipientKind as Kind;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let aliases = super::super::aliases::AliasFile::load(file("aliases", "sales: anna\n")).unwrap();
    let people = RecipientFile::load(file("people", "anna\n")).unwrap();
    std::fs::create_dir_all(folder.path().join("mail/anna/cur")).unwrap();
    let template = folder.path().join("mail/{user}");
    let mailboxes = Arc::new(Mailboxes::load(template, false, false));
    let (mut domains, mut names) = (Domains::default(), KnownNames::default());
    let aliases = Arc::new(aliases);
    let file = Recipients::File(Arc::new(people));
    for (domain, recipients, mailboxes) in [
        ("listed.test", file, None),
        ("stored.test", Recipients::Any, Some(mailboxes)),
    ] {
        domains.insert(domain, recipients.clone(), mailboxes.clone());
        let own = super::super::directory::Names {
            aliases: Some(Arc::clone(&aliases)),
            separator: Some('+'),
            recipients: Some(recipients),
            mailboxes,
            ..Default::default()
        };
        names.insert(domain, own);
    }
    domains.insert("old.test", Recipients::Any, None);
    let own = super::super::directory::Names {
        of: Some("stored.test".to_owned()),
        ..Default::default()
    };
    names.insert("old.test", own);
    let (mut policy, _folder) = policy();
    policy.domains = Arc::new(domains);
    policy.names = Arc::new(names);
    for (path, kind, passes) in [
        ("<sales@listed.test>", Kind::Unspecified, true),
        ("<anna+tag@listed.test>", Kind::Unspecified, true),
        ("<bert@listed.test>", Kind::Unspecified, false),
        ("<bert@listed.test>", Kind::Hosted, true),
        ("<sales@stored.test>", Kind::Unspecified, true),
        ("<sales@stored.test>", Kind::Hosted, true),
        ("<sales@stored.test>", Kind::Relayed, true),
        ("<anna+tag@stored.test>", Kind::Hosted, true),
        ("<sales@old.test>", Kind::Hosted, true),
        ("<anna@old.test>", Kind::Hosted, true),
        ("<bert@old.test>", Kind::Hosted, false),
        ("<bert@stored.test>", Kind::Hosted, false),
        ("<bert@stored.test>", Kind::Unspecified, false),
    ] {
        let path = ForwardPath::parse(path.as_bytes(), true).unwrap();
        let claim = Claim {
            kind,
            routed: false,
        };
        let judged = policy.judge_claimed(&path, false, claim);
        assert_eq!(judged.is_ok(), passes, "{path} {kind:?}");
    }
}
