//! A store put back to an older copy, or cut, is found at start and nothing of it is served (CASES X-07).

mod support;

use std::{fs, os::unix::fs::PermissionsExt, process::Output};

use mvt_proto::Suite;
use support::{Server, mvt_server};

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn run(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    told(&mvt_server(&server.path(""), arguments))
}

/// A server that was killed after it revoked its client; its store is the copy made before that.
fn put_back() -> Server {
    let server = Server::start("io.shards = 1");
    server.kill();
    let before = fs::read(server.path("mvt.store")).expect("a store");
    let server = server.restart();
    assert_eq!(run(&server, &["revoke", "tester"]).0, Some(0));
    server.kill();
    fs::write(server.path("mvt.store"), before).expect("put back");
    server
}

fn is_let_in(server: &Server) -> bool {
    let mut wire = server.connect();
    wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
    wire.any_frame().is_some()
}

#[test]
fn an_older_copy_of_the_store_is_refused_until_an_operator_accepts_it() {
    let server = put_back();
    for arguments in
        [&["run", "--config", "mvt.toml"][..], &["check-config"], &["list"], &["revoke", "tester"]]
    {
        let (status, said) = run(&server, arguments);
        assert_eq!(status, Some(65), "{arguments:?}: {said}");
        assert!(
            said.contains("mvt.store: put back to an older copy") && said.contains("mvt.store.mark"),
            "{said}"
        );
    }
    let (status, said) = run(&server, &["accept-store"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(run(&server, &["accept-store"]).0 == Some(0), "again, after a crash say");
    let audit = mvt_server(&server.path(""), &["audit"]);
    let audit = String::from_utf8(audit.stdout).expect("text");
    assert!(audit.contains("accept-store as of change"), "{audit}");
    let server = server.restart();
    assert!(is_let_in(&server), "the store knows nothing of the revocation: that is what was accepted");
    assert_eq!(run(&server, &["revoke", "tester"]).0, Some(0));
    let server = server.restart();
    assert!(!is_let_in(&server), "and it is a store like any other again");
}

/// Sessions that the forgotten revocation ended, and tickets of them, stay void: a floor for all.
#[test]
fn what_was_authenticated_before_an_older_copy_was_accepted_is_void() {
    use mvt_server::{config::Config, registry};
    let server = put_back();
    let now_ms = mvt_sys::clock::wall_ms();
    assert_eq!(run(&server, &["accept-store"]).0, Some(0));
    let mut config = Config::default();
    config.store.file = server.path("mvt.store");
    config.store.seal_key_file = server.path("seal.key");
    let registry = registry::open(&config).expect("accepted");
    let anybody = mvt_proto::ClientId::of_name("anybody");
    assert!(registry.revocations().refuses(&anybody, now_ms));
    assert!(!registry.revocations().refuses(&anybody, now_ms + 60_000));
}

/// Its next change is later than all that the mark knew of: who follows this store takes it for news.
#[test]
fn changes_after_an_accepted_copy_are_later_than_those_it_forgot() {
    let revision = |server: &Server| {
        let mark = fs::read_to_string(server.path("mvt.store.mark")).expect("a mark");
        mark.lines().last().unwrap().trim_start_matches("revision ").parse::<u64>().expect("a number")
    };
    let server = put_back();
    let forgotten = revision(&server);
    let mode = |bits| {
        let permissions = fs::Permissions::from_mode(bits);
        fs::set_permissions(server.path("mvt.store.mark"), permissions).expect("changed");
    };
    mode(0o644);
    assert_eq!(run(&server, &["accept-store"]).0, Some(77), "it is not passed over");
    mode(0o600);
    assert_eq!(run(&server, &["accept-store"]).0, Some(0));
    assert_eq!(revision(&server), forgotten + 1);
    assert_eq!(forgotten, 2, "an enrolment, a revocation");
}

#[test]
fn a_store_that_was_cut_or_bent_is_refused() {
    let server = Server::start("io.shards = 1");
    server.kill();
    let whole = fs::read(server.path("mvt.store")).expect("a store");
    for length in [0, 100, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(server.path("mvt.store"), &whole[..length]).expect("cut");
        let (status, said) = run(&server, &["run", "--config", "mvt.toml"]);
        assert_eq!(status, Some(65), "{length} bytes: {said}");
        assert!(said.contains("mvt.store: "), "{said}");
    }
    let mut bent = whole.clone();
    bent[4096..].iter_mut().for_each(|byte| *byte ^= 1);
    fs::write(server.path("mvt.store"), bent).expect("bent");
    assert_eq!(run(&server, &["run", "--config", "mvt.toml"]).0, Some(65));
    fs::write(server.path("mvt.store"), whole).expect("mended");
    assert!(is_let_in(&server.restart()));
}

/// By a mistake in the configuration: nothing else is overwritten with a mark.
#[test]
fn what_is_no_mark_is_not_replaced_by_one() {
    let server = Server::start("io.shards = 1");
    server.kill();
    for name in ["mvt.store", "server.key", "seal.key"] {
        let before = fs::read(server.path(name)).expect("there");
        fs::write(server.path("wrong.toml"), format!("store.mark_file = {name:?}")).expect("written");
        for arguments in [&["list"][..], &["accept-store"]] {
            let (status, said) = run(&server, &[arguments, &["--config", "wrong.toml"]].concat());
            assert!(status == Some(65) && said.contains("not the mark of a store"), "{name}: {said}");
        }
        // To open a store writes to it.
        let is_same = fs::read(server.path(name)).expect("there") == before;
        assert!(is_same || name == "mvt.store", "{name}");
    }
    let text = "store.mark_file = \"new.store\"\nstore.file = \"new.store\"";
    fs::write(server.path("wrong.toml"), text).expect("written");
    assert_eq!(run(&server, &["init", "--config", "wrong.toml"]).0, Some(65));
    assert!(is_let_in(&server.restart()));
}

#[test]
fn a_mark_that_is_missing_or_behind_is_made_up_for_and_a_broken_one_refused() {
    let server = Server::start("io.shards = 1");
    server.kill();
    let path = server.path("mvt.store.mark");
    let behind = fs::read_to_string(&path).expect("a mark");
    let server = server.restart();
    assert_eq!(run(&server, &["rotate-ticket-key"]).0, Some(0));
    server.kill();
    let mark = fs::read_to_string(&path).expect("a mark");
    assert_ne!(mark, behind);
    fs::write(&path, behind).expect("as after a crash of the machine");
    let server = server.restart();
    assert_eq!(fs::read_to_string(&path).expect("a mark"), mark, "it was brought up to the store");
    server.kill();
    fs::write(&path, &mark[..40]).expect("cut");
    let (status, said) = run(&server, &["check-config"]);
    assert!(status == Some(65) && said.contains("mvt.store.mark: not the mark of a store"), "{said}");
    fs::write(&path, mark.replace("id ", "id 1").replace("id 1", "id ").replace('0', "1"))
        .expect("another's");
    assert_eq!(run(&server, &["check-config"]).0, Some(65));
    fs::remove_file(&path).expect("removed");
    let server = server.restart();
    assert_eq!(fs::read_to_string(&path).expect("a mark"), mark);
    let log = server.stop();
    assert!(log.contains("whether the store is the latest is not known"), "{log}");
}
