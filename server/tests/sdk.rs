//! The client SDK and its examples against the server as a process.

mod support;

use std::process::Command;

use mvt_client::{Client, Error, identity, server_key};
use mvt_proto::keyfile;
use support::{Server, mvt_server};

fn connect(server: &Server) -> Client {
    let key = server_key(&keyfile::key_to_text(&server.public_key)).expect("a public key");
    let identity = identity::load(server.path("client.key")).expect("an identity");
    Client::connect(server.address, &key, identity).expect("logged in")
}

#[test]
fn a_request_is_one_call() {
    let server = Server::start("service.kind = \"echo\"");
    let mut client = connect(&server);
    for number in 0..100u16 {
        let payload = number.to_be_bytes();
        let response = client.request(number, &payload).expect("verified");
        assert_eq!((response.status, response.payload.as_slice()), (number, &payload[..]));
    }
}

#[test]
fn keys_are_replaced_before_their_limit_without_a_lost_request() {
    let server = Server::start(
        "io.shards = 1\nservice.kind = \"echo\"\nlimits.renew_after_requests = 50\nlimits.reject_after_requests = 100\n",
    );
    let mut client = connect(&server);
    for number in 0..1000u16 {
        assert_eq!(client.request(number, b"").expect("verified").status, number);
    }
    let log = server.stop();
    assert!(log.contains("verified=1000"), "{log}");
    assert!(!log.contains("limit="), "no key was used beyond its limit: {log}");
}

#[test]
fn a_stranger_is_told_that_login_was_refused() {
    let server = Server::start("");
    assert!(mvt_server(&server.path(""), &["keygen", "--client", "stranger.key"]).status.success());
    let identity = identity::load(server.path("stranger.key")).expect("an identity");
    let refused = Client::connect(server.address, &server.public_key, identity);
    assert!(matches!(refused, Err(Error::Login(_))), "{:?}", refused.err());
}

#[test]
fn the_examples_run() {
    let server = Server::start("service.kind = \"echo\"");
    for example in ["verify_one", "pipeline"] {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["run", "--quiet", "--package", "mvt-client", "--example", example, "--"])
            .arg(server.address.to_string())
            .arg(keyfile::key_to_text(&server.public_key))
            .arg(server.path("client.key"))
            .output()
            .expect("cargo runs the example");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{example}: {text}");
        assert!(!output.stdout.is_empty(), "{example} says what it saw");
    }
}
