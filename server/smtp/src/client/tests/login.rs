//! AUTH.

use super::play::{Play, config, transaction};
use crate::client::{
    Config, Failure, Login, NextStage, Protocol, Questions, ResponseAnswer, Stage, Taking, Wants,
};

fn with_login() -> Config {
    let mut config = config(Protocol::Smtp);
    config.login = Some(Login::new("tim", "tanstaaf").unwrap());
    config.login_in_clear = true;
    config
}

/// A session that was told of these extensions.
fn told(config: Config, extensions: &str) -> (Play, String) {
    let mut play = Play::new(config);
    play.hears("220 mx.test");
    let said = play.hears(&format!("250-mx.test\r\n250 {extensions}"));
    (play, said)
}

#[test]
fn plain_is_said_at_once_and_login_step_by_step() {
    let (mut play, said) = told(with_login(), "AUTH LOGIN plain");
    assert_eq!(
        said, "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n",
        "as in RFC 4616"
    );
    assert!(!play.ready);
    assert_eq!(play.hears("235 2.7.0 welcome"), "");
    assert!(play.ready);
    let (mut play, said) = told(with_login(), "AUTH LOGIN CRAM-MD5");
    assert_eq!(said, "AUTH LOGIN\r\n");
    assert_eq!(play.hears("334 VXNlcm5hbWU6"), "dGlt\r\n");
    assert_eq!(play.hears("334 UGFzc3dvcmQ6"), "dGFuc3RhYWY=\r\n");
    play.hears("235 2.7.0 welcome");
    assert!(play.ready && play.session.is_ready());
}

#[test]
fn without_a_welcome_nothing_is_sent() {
    for reply in [
        "535 5.7.8 no",
        "454 4.7.0 later",
        "250 ok",
        "334 more",
        "421 bye",
    ] {
        let (mut play, _) = told(with_login(), "AUTH PLAIN");
        let said = play.hears(reply);
        assert!(["", "QUIT\r\n"].contains(&said.as_str()), "{reply}: {said}");
        assert!(!play.ready, "{reply}");
        let failure = play.closed.unwrap().unwrap();
        assert!(!failure.is_permanent(), "{failure}");
        let refused = matches!(
            &*failure,
            Failure::Refused {
                stage: Stage::Auth,
                ..
            }
        );
        let unexpected = matches!(
            &*failure,
            Failure::Unexpected {
                stage: Stage::Auth,
                ..
            }
        );
        assert!(refused || unexpected, "{failure}");
        assert_eq!(failure.rules_out_host(), !reply.starts_with('5'), "{reply}");
        let words = reply.rsplit(' ').next().unwrap();
        assert!(!failure.to_string().ends_with(words), "{failure}");
    }
    for silence in [false, true] {
        let (mut play, _) = told(with_login(), "AUTH PLAIN");
        match silence {
            true => {
                let (until, _) = play.session.poll_timeout().unwrap();
                play.session.handle_timeout(until);
            }
            false => play.session.handle_eof(),
        }
        play.sent();
        let failure = play.closed.unwrap().unwrap();
        assert!(failure.rules_out_host(), "{failure}");
    }
    let (mut play, _) = told(with_login(), "AUTH LOGIN");
    assert!(!play.hears("235 so soon").contains("dGlt") && !play.ready);
    let (play, said) = told(with_login(), "AUTH GSSAPI");
    assert_eq!(said, "QUIT\r\n");
    assert_eq!(*play.closed.unwrap().unwrap(), Failure::LoginNotOffered);
}

#[test]
fn a_password_is_not_sent_in_clear() {
    let mut careful = with_login();
    careful.login_in_clear = false;
    let (play, said) = told(careful, "AUTH PLAIN");
    assert_eq!(said, "QUIT\r\n");
    assert_eq!(*play.closed.unwrap().unwrap(), Failure::LoginInClear);
    // Behind TLS it is, by what is offered there.
    let mut careful = with_login();
    careful.login_in_clear = false;
    let mut play = Play::new(careful);
    play.hears("220 mx.test");
    assert_eq!(
        play.hears("250-mx.test\r\n250-AUTH LOGIN\r\n250 STARTTLS"),
        "STARTTLS\r\n"
    );
    play.hears("220 go");
    assert_eq!(play.session.wants(), Wants::Tls);
    play.session.tls_established(play.now);
    assert_eq!(play.sent(), b"EHLO client.test\r\n");
    let said = play.hears("250-mx.test\r\n250 AUTH PLAIN");
    assert!(said.starts_with("AUTH PLAIN "), "{said}");
}

#[test]
fn no_answer_shows_the_password_or_goes_around_it() {
    let mut config = with_login();
    config.questions = Questions::ALL;
    let asked = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = std::rc::Rc::clone(&asked);
    let mut play = Play::new(config).answers(move |question| {
        seen.borrow_mut().push(format!("{question:?}"));
        match question {
            crate::client::Question::Response(_) => {
                super::play::Said::Response(ResponseAnswer::Take(Taking {
                    response: None,
                    next: Some(NextStage::MessageStart),
                }))
            }
            _ => super::play::Said::Default,
        }
    });
    play.hears("220 mx.test");
    let said = play.hears("250-mx.test\r\n250 AUTH PLAIN");
    assert!(said.starts_with("AUTH PLAIN "), "{said}");
    assert!(!play.ready);
    play.hears("235 welcome");
    assert!(play.ready);
    for question in asked.borrow().iter() {
        assert!(!question.contains("AHRpbQ"), "{question}");
    }
    play.send(transaction(&["a@x.test"], b"x\r\n"), b"x\r\n");
}

#[test]
fn a_login_is_checked_and_not_shown() {
    let login = Login::new("tim", "tanstaaf").unwrap();
    assert_eq!(format!("{login:?}"), "Login(_)");
    for (user, password) in [("", "x"), ("x", ""), ("a\0b", "x"), ("x", "a\0b")] {
        assert!(Login::new(user, password).is_err());
    }
    assert!(Login::new("x", &"y".repeat(5000)).is_err());
}
