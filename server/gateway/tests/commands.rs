//! The commands that look at the configuration, as a person runs them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use postern_proto::v1::event_sink_server::{EventSink, EventSinkServer};
use postern_proto::v1::{
    AttachRequest, AttachResponse, BindingProblem, ConfiguredBinding, DescribeRequest,
    DescribeResponse, EventInterest, EventKind,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

const BASE: &str = "[spool]\npath = \"state\"\n\
    [[server]]\nname = \"inbound\"\nhostname = \"mx.example.test\"\nlisten = \"127.0.0.1:2525\"\n";

struct Setup {
    folder: tempfile::TempDir,
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Setup {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("postern.toml"), text).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("postern.toml")
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], env: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.file())
            .stdin(Stdio::null());
        run(
            command.envs(env.iter().copied()),
            &self.folder.path().display().to_string(),
        )
    }
}

/// Runs it; the name of the folder is left out of what it says.
fn run(command: &mut Command, folder: &str) -> Outcome {
    let output = command.output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).replace(&format!("{folder}/"), "");
    Outcome {
        code: output.status.code().unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// A sink that only describes itself. Of bindings whose text is `wrong` it says so.
#[derive(Clone)]
struct Describing(DescribeResponse);

fn problems(bindings: &[ConfiguredBinding]) -> Vec<BindingProblem> {
    let wrong = bindings.iter().filter(|binding| {
        let properties = String::from_utf8_lossy(&binding.properties_json).into_owned();
        properties.contains("wrong")
    });
    wrong
        .map(|binding| BindingProblem {
            binding: binding.name.clone(),
            detail: format!(
                "\"text\" is\nwrong; may is {}, write \"right\"",
                binding.grants.join(",")
            ),
        })
        .collect()
}

#[tonic::async_trait]
impl EventSink for Describing {
    type AttachStream = tokio_stream::Empty<Result<AttachResponse, Status>>;

    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        Ok(Response::new(DescribeResponse {
            problems: problems(&request.get_ref().bindings),
            ..self.0.clone()
        }))
    }

    async fn attach(
        &self,
        _: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        Err(Status::unimplemented("it only describes itself"))
    }
}

fn description(events: &[EventKind], grants: &[&str]) -> DescribeResponse {
    DescribeResponse {
        name: "footer".into(),
        version: "1.2".into(),
        summary: "Adds a footer.".into(),
        protocol_version: 1,
        events: events.iter().map(|event| EventInterest { event: (*event).into(), ..EventInterest::default() }).collect(),
        grants: grants.iter().map(|&grant| grant.to_owned()).collect(),
        properties_schema: b"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"text\":{\"type\":\"string\"}}}"
            .as_slice()
            .into(),
        ..DescribeResponse::default()
    }
}

/// Serves on a thread of its own until the tests end.
fn serve(response: DescribeResponse) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let server = tonic::transport::Server::builder()
                .add_service(EventSinkServer::new(Describing(response)));
            server
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
    });
    address
}

fn with_sink(address: &str, binding: &str) -> Setup {
    Setup::new(&format!(
        "{BASE}[[sink]]\nname = \"footer\"\nendpoint = \"http://{address}\"\n\
         [[binding]]\nname = \"footer\"\nsink = \"footer\"\n{binding}"
    ))
}

#[test]
fn every_error_is_a_line_and_the_code_is_that_of_a_configuration() {
    let setup = Setup::new(&format!(
        "{BASE}hostnme = \"x\"\n[trace]\nkeep = \"3d\"\n[queue]\nexpire = 5\n"
    ));
    for (arguments, label, last) in [
        (
            &["check", "--offline"][..],
            "error: ",
            "not well: 3 errors, no warnings\n",
        ),
        (&["check"], "error: ", "not well: 3 errors, no warnings\n"),
        (&["config", "show"], "", ""),
    ] {
        let outcome = setup.run(arguments);
        assert_eq!(outcome.code, 78);
        let lines: String = outcome
            .err
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix(label).unwrap()))
            .collect();
        assert_eq!(
            lines,
            "postern.toml:7:1: server.inbound.hostnme: unknown key; did you mean \"hostname\"?\n\
             postern.toml:8:2: trace: is not in this version; remove it\n\
             postern.toml:11:10: queue.expire: has no unit; write a number and ms, s, m, h or d, such as \"30s\"\n"
        );
        assert_eq!(outcome.out, last);
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let setup = Setup::new(BASE);
    for arguments in [
        &["chek"][..],
        &["check", "--offline", "--accept"],
        &["check", "--accept", "nobody"],
        &["config"],
        &["config", "explain", "spool.pth"],
    ] {
        let outcome = setup.run(arguments);
        assert_eq!(outcome.code, 64, "{}", outcome.err);
        assert!(!outcome.err.is_empty() && outcome.out.is_empty());
    }
    let outcome = setup.run_with(&["config", "show"], &[("POSTERN_LOG", "a=b=c")]);
    assert_eq!(outcome.code, 64);
    assert!(
        outcome.err.starts_with("environment POSTERN_LOG: "),
        "{}",
        outcome.err
    );
}

#[test]
fn help_and_version_are_no_errors() {
    for (argument, part) in [
        ("--help", "Examples:"),
        ("--version", env!("CARGO_PKG_VERSION")),
        ("-h", "Usage:"),
    ] {
        let outcome = run(
            Command::new(env!("CARGO_BIN_EXE_postern")).arg(argument),
            "",
        );
        assert_eq!(outcome.code, 0);
        assert!(outcome.out.contains(part), "{}", outcome.out);
    }
}

#[test]
fn the_configuration_in_effect_is_shown_with_its_places() {
    let setup = Setup::new(BASE);
    let env = [("POSTERN__SERVER__INBOUND__LIMITS__ERRORS", "7")];
    let outcome = setup.run_with(&["config", "show"], &env);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let line = |key: &str| {
        let line = outcome
            .out
            .lines()
            .find(|line| line.starts_with(&format!("{key} =")))
            .unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("spool.path"),
        "spool.path = \"state\" # postern.toml:2:8"
    );
    assert_eq!(
        line("spool.min_free"),
        "spool.min_free = \"512 MiB\" # default"
    );
    assert_eq!(
        line("server.inbound.limits.errors"),
        "server.inbound.limits.errors = 7 # environment POSTERN__SERVER__INBOUND__LIMITS__ERRORS"
    );

    let outcome = setup.run_with(&["config", "show", "--json"], &env);
    let shown: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let errors = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|own| own["key"] == "server.inbound.limits.errors")
        .unwrap();
    assert_eq!(errors["value"], 7);
    assert_eq!(
        errors["origin"]["variable"],
        "POSTERN__SERVER__INBOUND__LIMITS__ERRORS"
    );

    let outcome = setup.run(&["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(
        schema["properties"]["spool"]["properties"]["driver"]["enum"],
        serde_json::json!(["embedded"])
    );
}

#[test]
fn files_that_are_missing_or_do_not_fit_are_named() {
    let setup = Setup::new(&format!(
        "{BASE}tls = {{ cert = \"no.pem\", key = \"no.key\" }}\n\
         [[domain]]\nname = \"example.test\"\nrecipients = {{ file = \"people\" }}\ndeliver = \"smtp://127.0.0.1\"\n"
    ));
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 78);
    let lines: Vec<_> = outcome.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", outcome.err);
    assert!(
        lines[0].starts_with("error: postern.toml:7:7: server.inbound.tls: no.pem: "),
        "{}",
        lines[0]
    );
    assert!(
        lines[1]
            .starts_with("error: postern.toml:10:14: domain.\"example.test\".recipients: people: "),
        "{}",
        lines[1]
    );
}

#[test]
fn a_sink_that_cannot_be_reached_is_a_line_and_69() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let setup = with_sink(&nobody, "events = [\"inbound.rcpt\"]\nmay = []\n");
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 69, "{}", outcome.err);
    // What has to be done is last on the screen, and behind it whether all is well.
    let (warning, error) = outcome.err.trim_end().split_once('\n').unwrap();
    assert!(
        warning.starts_with("warning: postern.toml:9:12: sink.footer.endpoint: "),
        "{}",
        outcome.err
    );
    let start = format!(
        "error: postern.toml:9:12: sink.footer.endpoint: http://{nobody} cannot be reached: "
    );
    assert!(error.starts_with(&start), "{}", outcome.err);
    assert!(
        outcome.out.contains("binding footer"),
        "the rest is still shown: {}",
        outcome.out
    );
    assert!(
        outcome.out.ends_with("\n\nnot well: 1 error, 1 warning\n"),
        "{}",
        outcome.out
    );
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(
        outcome
            .out
            .ends_with("\n\nwell: no errors, 1 warning; no sink and no next hop was asked\n"),
        "{}",
        outcome.out
    );
    assert_eq!(setup.run(&["check", "--offline", "--strict"]).code, 78);
}

#[test]
fn what_a_sink_finds_wrong_with_a_binding_is_an_error_at_its_properties() {
    let address = serve(description(&[EventKind::InboundMessage], &["body"]));
    let binding = |text: &str| {
        format!(
            "events = [\"inbound.message\"]\nmay = [\"body\"]\n[binding.properties]\ntext = \"{text}\"\n"
        )
    };
    let setup = with_sink(&address.to_string(), &binding("wrong"));
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 78, "{}", outcome.err);
    // The warning is of the sink's port on loopback.
    let errors = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("warning:"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        errors(&outcome.err),
        [
            "error: postern.toml:15:1: binding.footer.properties: \"text\" is wrong; may is body, write \"right\"; \
             the sink \"footer\" says so"
        ]
    );
    assert!(outcome.out.contains("binding footer"), "{}", outcome.out);
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let outcome = with_sink(&address.to_string(), &binding("right")).run(&["check"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(errors(&outcome.err).is_empty(), "{}", outcome.err);
    // What no frame could hold would fail at every message.
    let long = binding(&"x".repeat(1 << 20));
    let outcome = with_sink(&address.to_string(), &long).run(&["check"]);
    assert_eq!(outcome.code, 78, "{}", outcome.err);
    assert!(
        outcome
            .err
            .ends_with("1048587 octets as JSON, a sink takes 983040; shorten them\n"),
        "{}",
        outcome.err
    );
}

#[test]
fn what_a_sink_asks_for_is_given_once_it_is_accepted_and_no_more_after() {
    let address = serve(description(
        &[EventKind::InboundRcpt, EventKind::ServiceConfig],
        &["body"],
    ));
    let setup = with_sink(&address.to_string(), "");
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 78);
    assert!(
        outcome
            .err
            .contains("binding.footer.events: nothing says what this binding may see and do"),
        "{}",
        outcome.err
    );
    assert!(outcome.err.contains("postern check --accept footer"));
    // It is shown whole before anybody consents.
    for part in [
        "  asks for    events inbound.rcpt\n              to read what these events show\n              may body\n",
        "  events      inbound.rcpt\n",
        "  accepted    not yet; `postern check --accept footer` gives it the above\n",
    ] {
        assert!(
            outcome.out.contains(part),
            "{part:?} is not in\n{}",
            outcome.out
        );
    }
    assert!(
        outcome.err.contains(
            "note: binding.footer: footer 1.2 asks for events inbound.rcpt; to read what these events show; may body\n"
        ),
        "{}",
        outcome.err
    );

    let outcome = setup.run(&["check", "--accept"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(
        outcome.err.contains("accepted: binding.footer: footer 1.2"),
        "{}",
        outcome.err
    );
    assert!(
        outcome
            .err
            .contains("service.config, which is not in this version"),
        "{}",
        outcome.err
    );
    assert!(
        setup
            .folder
            .path()
            .join("state/accepted/footer.json")
            .exists()
    );
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
    for part in [
        "events      inbound.rcpt\n",
        "may         body\n",
        "on failure  command: tempfail\n",
        "command 5s",
    ] {
        assert!(
            outcome.out.contains(part),
            "{part:?} is not in\n{}",
            outcome.out
        );
    }

    let address = serve(description(
        &[EventKind::InboundRcpt, EventKind::InboundMail],
        &["body", "recipients"],
    ));
    let env = [(
        "POSTERN__SINK__FOOTER__ENDPOINT",
        &*format!("http://{address}"),
    )];
    let outcome = setup.run_with(&["check"], &env);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for (key, wish) in [
        ("events", "its sink also wants inbound.mail"),
        ("may", "its sink also asks for recipients"),
    ] {
        assert!(
            outcome.err.contains(&format!(
                "binding.footer.{key}: {wish}; accept it with `postern check --accept footer`, or give it"
            )),
            "{}",
            outcome.err
        );
        assert!(
            outcome.out.contains(&format!("  not given   {wish}\n")),
            "{}",
            outcome.out
        );
    }
    assert!(
        outcome.out.contains("may         body\n"),
        "{}",
        outcome.out
    );
}

#[test]
fn what_a_binding_of_its_own_words_does_not_give_is_shown_without_any_consent() {
    let address = serve(description(
        &[EventKind::InboundRcpt],
        &["body", "act:routes"],
    ));
    let own = "events = [\"inbound.rcpt\"]\nmay = []\n";
    let outcome = with_sink(&address.to_string(), own).run(&["check"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(
        outcome.err.contains(
            "note: postern.toml:14:7: binding.footer.may: its sink also asks for body; give it in the binding, if it is \
             to have it\n"
        ),
        "{}",
        outcome.err
    );
    assert!(
        outcome
            .out
            .contains("  not given   its sink also asks for body, act:routes\n"),
        "{}",
        outcome.out
    );
}

#[test]
fn properties_of_a_sink_that_says_nothing_of_them_are_left_to_it() {
    let mut silent = description(&[EventKind::InboundRcpt], &[]);
    silent.properties_schema = Default::default();
    let address = serve(silent);
    let setup = with_sink(&address.to_string(), "properties = { txt = \"x\" }\n");
    let outcome = setup.run(&["check", "--accept"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
}

#[test]
fn properties_that_a_sink_does_not_take_are_refused() {
    let address = serve(description(&[EventKind::InboundRcpt], &[]));
    let setup = with_sink(&address.to_string(), "properties = { txt = \"x\" }\n");
    let outcome = setup.run(&["check", "--accept"]);
    assert_eq!(outcome.code, 78);
    assert!(
        outcome
            .err
            .contains("note: nothing was accepted, because of the errors")
            && !setup.folder.path().join("state").exists(),
        "{}",
        outcome.err
    );
    assert!(
        outcome.err.contains("postern.toml:13:14: binding.footer.properties: \"txt\" is unknown to it; the sink \"footer\" takes text"),
        "{}",
        outcome.err
    );
}

#[test]
fn properties_are_shown_once_the_sink_has_said_which_are_public() {
    let address = serve(description(&[EventKind::InboundRcpt], &[]));
    let setup = with_sink(
        &address.to_string(),
        "properties = { text = \"for all to read\" }\n",
    );
    let shown = || setup.run(&["config", "show"]).out;
    assert!(shown().contains("binding.footer.properties = { text = \"(set)\" }"));
    let outcome = setup.run(&["check", "--accept"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(shown().contains("binding.footer.properties = { text = \"for all to read\" }"));
}

#[test]
fn a_spool_that_cannot_be_is_named_with_its_key_and_a_hop_that_is_away_is_told() {
    let setup = Setup::new(
        "[spool]\npath = \"file/state\"\n\
         [[server]]\nname = \"a\"\nhostname = \"mx.test\"\nlisten = \"127.0.0.1:0\"\n\
         [[domain]]\nname = \"d.test\"\nrecipients = \"any\"\ndeliver = \"smtp://127.0.0.1:1\"\n",
    );
    std::fs::write(setup.folder.path().join("file"), "").unwrap();
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 78);
    assert!(
        outcome
            .err
            .contains("postern.toml:2:8: spool.path: file/state: file is not a folder;"),
        "{}",
        outcome.err
    );
    assert!(
        outcome
            .err
            .contains("domain.\"d.test\".deliver: smtp://127.0.0.1:1 cannot be reached"),
        "{}",
        outcome.err
    );
    let outcome = setup.run(&["serve"]);
    assert_ne!(outcome.code, 0);
    assert!(
        outcome.err.contains("spool.path: file/state: "),
        "{}",
        outcome.err
    );
}

fn two_bindings(address: &str) -> Setup {
    with_sink(
        address,
        "[[binding]]\nname = \"other\"\nsink = \"footer\"\n",
    )
}

#[test]
fn w9_one_binding_is_accepted_by_its_name_and_the_others_are_not() {
    let address = serve(description(&[EventKind::InboundRcpt], &["body"]));
    let setup = two_bindings(&address.to_string());
    let accepted = |name: &str| {
        let file = format!("state/accepted/{name}.json");
        setup.folder.path().join(file).exists()
    };
    let outcome = setup.run(&["check", "--accept", "other"]);
    assert_eq!(outcome.code, 78, "footer is still open: {}", outcome.err);
    assert!(accepted("other") && !accepted("footer"), "{}", outcome.err);
    let outcome = setup.run(&["check", "--accept", "other", "--accept", "footer"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(accepted("footer"));
}

#[test]
fn w9_nothing_is_accepted_while_the_file_has_an_error() {
    let address = serve(description(&[EventKind::InboundRcpt], &["body"]));
    let setup = with_sink(
        &address.to_string(),
        "rule = \"RCPT TO\"\nwhen = \"session.helo ==\"\n",
    );
    for arguments in [&["check", "--accept"][..], &["check", "--accept", "footer"]] {
        let outcome = setup.run(arguments);
        assert_eq!(outcome.code, 78);
        assert!(
            outcome.err.contains("binding.footer.when: "),
            "{}",
            outcome.err
        );
        assert!(
            outcome.err.contains("nothing was accepted"),
            "{}",
            outcome.err
        );
        assert!(!setup.folder.path().join("state").exists());
    }
}

#[test]
fn v24_a_binding_that_shows_less_of_the_body_than_its_sink_asks_for_is_a_warning() {
    let mut whole = description(&[], &[]);
    whole.events = vec![EventInterest {
        event: EventKind::InboundMessage.into(),
        body: Some(postern_proto::v1::BodyDepth {
            kind: Some(postern_proto::v1::body_depth::Kind::Full(
                postern_proto::v1::FullBody {},
            )),
        }),
        ..EventInterest::default()
    }];
    let address = serve(whole);
    let binding = "events = [\"inbound.message\"]\nmay = []\nbody = \"none\"\n";
    let setup = with_sink(&address.to_string(), binding);
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(
        outcome.err.contains(
            "warning: postern.toml:15:8: binding.footer.body: at inbound.message its sink asks for body \"full\" and gets \
             \"none\"; give it in the binding"
        ),
        "{}",
        outcome.err
    );
    assert_eq!(setup.run(&["check", "--strict"]).code, 78);
}

#[test]
fn x3_another_program_takes_a_consent_of_its_own() {
    let address = serve(description(&[EventKind::InboundRcpt], &[]));
    let setup = with_sink(&address.to_string(), "");
    assert_eq!(setup.run(&["check", "--accept"]).code, 0);
    let mut other = description(&[EventKind::InboundRcpt], &["body"]);
    other.name = "impostor".into();
    let endpoint = format!("http://{}", serve(other));
    let env = [("POSTERN__SINK__FOOTER__ENDPOINT", endpoint.as_str())];
    let pin = || std::fs::read_to_string(setup.folder.path().join("state/accepted/footer.json"));
    for arguments in [&["check"][..], &["check", "--accept"]] {
        let outcome = setup.run_with(arguments, &env);
        assert_eq!(outcome.code, 69, "{}", outcome.err);
        assert!(
            outcome.err.contains(&format!(
                "sink.footer.endpoint: {endpoint}: \"footer\" was accepted, and \"impostor\" answers; it is not asked; start the \
                 one that was accepted, or accept this one with `postern check --accept footer`"
            )),
            "{}",
            outcome.err
        );
        assert!(pin().unwrap().contains("\"footer\""));
    }
    let outcome = setup.run_with(&["check", "--accept", "footer"], &env);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert!(pin().unwrap().contains("\"impostor\""));
}

/// Who owns the folder could have put them there before root accepts.
#[test]
fn x4_accepting_writes_through_no_link_and_into_no_folder_of_everybodys() {
    let address = serve(description(&[EventKind::InboundRcpt], &[]));
    let setup = with_sink(&address.to_string(), "");
    let victim = setup.folder.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    let accepted = setup.folder.path().join("state/accepted");
    std::fs::create_dir_all(&accepted).unwrap();
    let names = [
        "footer.json",
        "footer.json.new",
        "footer.properties-schema",
        "footer.properties-schema.new",
    ];
    for name in &names[1..] {
        std::os::unix::fs::symlink(&victim, accepted.join(name)).unwrap();
    }
    let outcome = setup.run(&["check", "--accept"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(
        accepted
            .join("footer.json")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );

    let state = setup.folder.path().join("state");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&state, mode(0o770)).unwrap();
    for arguments in [
        &["check", "--accept"][..],
        &["check", "--offline"],
        &["serve"],
    ] {
        let outcome = setup.run(arguments);
        assert_eq!(outcome.code, 78, "{arguments:?}: {}", outcome.err);
        assert!(
            outcome.err.contains("postern.toml:2:8: spool.path: state: its mode is 0770: others than its owner may write"),
            "{arguments:?}: {}",
            outcome.err
        );
    }
}

#[test]
fn x4_the_state_folder_that_accepting_makes_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let address = serve(description(&[EventKind::InboundRcpt], &[]));
    let setup = with_sink(&address.to_string(), "");
    assert_eq!(setup.run(&["check", "--accept"]).code, 0);
    for (path, expected) in [
        ("state", 0o700),
        ("state/accepted", 0o700),
        ("state/accepted/footer.json", 0o600),
    ] {
        let found = std::fs::metadata(setup.folder.path().join(path)).unwrap();
        assert_eq!(found.mode() & 0o7777, expected, "{path}");
    }
}

#[test]
fn x11_an_expired_certificate_and_an_open_key_are_told() {
    let setup = Setup::new(&format!(
        "{BASE}tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\n"
    ));
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let path = |name: &str| setup.folder.path().join(name);
    let write = |params: &rcgen::CertificateParams| {
        std::fs::write(path("mx.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    };
    write(&params);
    std::fs::write(path("mx.key"), key.serialize_pem()).unwrap();
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path("mx.key"), mode).unwrap();
    };
    mode(0o644);
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 78);
    for line in [
        "error: postern.toml:7:7: server.inbound.tls: mx.pem: expired on 2021-01-01; renew it",
        "warning: postern.toml:7:7: server.inbound.tls: mx.key: its mode is 0644: any user of this machine can read",
    ] {
        assert!(
            outcome.err.contains(line),
            "{line} is not in\n{}",
            outcome.err
        );
    }
    mode(0o600);
    params.not_after = rcgen::date_time_ymd(2999, 1, 1);
    write(&params);
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    assert!(outcome.out.contains("well: no errors, no warnings"));
}

#[test]
fn f6_spool_domains_and_next_hops_are_shown() {
    let hop = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hop.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in hop.incoming() {
            std::io::Write::write_all(&mut stream.unwrap(), b"220 hop\r\n").unwrap();
        }
    });
    let setup = Setup::new(&format!(
        "{BASE}[[domain]]\nname = \"d.test\"\nrecipients = \"any\"\ndeliver = \"smtp://{address}\"\n\
         [[domain]]\nname = \"e.test\"\nrecipients = \"any\"\ndeliver = \"maildir:mail/{{user}}\"\ncreate = true\n\
         [outbound]\ndeliver = \"smtp://no-such-host.invalid:25\"\n"
    ));
    let outcome = setup.run(&["check"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for part in [
        format!("domain d.test\n  recipients  any\n  deliver     smtp://{address}, greets in "),
        "domain e.test\n  recipients  any\n  deliver     maildir:".to_owned(),
        "outbound\n  deliver     smtp://no-such-host.invalid:25, has a name that does not resolve: ".to_owned(),
        "spool\n  path        state\n  owner       it is made at the first start\n  free        ".to_owned(),
    ] {
        assert!(outcome.out.contains(&part), "{part:?} is not in\n{}", outcome.out);
    }
    assert!(
        outcome.err.starts_with(
            "warning: postern.toml:17:11: outbound.deliver: smtp://no-such-host.invalid:25 has a name that does not resolve: "
        ),
        "{}",
        outcome.err
    );
    assert_eq!(setup.run(&["check", "--strict"]).code, 69);
}

#[test]
fn x8_x12_users_and_sockets_are_shown_and_what_the_system_does_not_know_is_refused() {
    let listen = "listen = [{ address = \"unix:in.sock\", mode = \"0600\", group = \"root\" }, \"unix:b.sock\"]";
    let base = BASE.replace("listen = \"127.0.0.1:2525\"", listen);
    let setup = Setup::new(&format!("[process]\nuser = \"root\"\n{base}"));
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    for part in [
        "process\n  runs as     root\n",
        "in.sock (mode 0600, group root), ",
        "b.sock (mode 0660) (smtp)",
    ] {
        assert!(
            outcome.out.contains(part),
            "{part:?} is not in\n{}",
            outcome.out
        );
    }

    let unknown = base.replace("group = \"root\"", "owner = \"no-such-user\"");
    let setup = Setup::new(&format!("[process]\nuser = \"no-such-one\"\n{unknown}"));
    let outcome = setup.run(&["check", "--offline"]);
    assert_eq!(outcome.code, 78, "{}", outcome.out);
    for part in [
        "process.user: there is no user \"no-such-one\"; name one that the system has",
        "server.inbound.listen: there is no user \"no-such-user\"; name one that the system has",
    ] {
        assert!(
            outcome.err.contains(part),
            "{part:?} is not in\n{}",
            outcome.err
        );
    }

    let tcp = BASE.replace(
        "\"127.0.0.1:2525\"",
        "{ address = \"127.0.0.1:2525\", mode = \"0600\" }",
    );
    let outcome = Setup::new(&tcp).run(&["check", "--offline"]);
    assert_eq!(outcome.code, 78, "{}", outcome.out);
    let refusal =
        "127.0.0.1:2525 has mode, owner or group; remove them: they are for \"unix:/path\"";
    assert!(outcome.err.contains(refusal), "{}", outcome.err);

    let memory =
        format!("[memory]\nclients = \"8 MiB\"\nper_client = \"9 MiB\"\n{BASE}limits = {{}}\n");
    let outcome = Setup::new(&memory).run(&["check", "--offline"]);
    assert_eq!(outcome.code, 78, "{}", outcome.out);
    assert!(
        outcome.err.contains("memory.per_client: is more than"),
        "{}",
        outcome.err
    );
}
