//! Recovery against real servers: the new key counts, the old one is void, and who is barred stays so (SPEC §13).

mod support;

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use mvt_client::{Client, Config, Error, RecoveryKit, identity};
use mvt_proto::{
    Suite,
    frame::resume::Mode,
    frame::retry::Retry,
    login::Identity,
    recovery::{Initiator, Offer},
    session::ClientSession,
};
use support::{
    PATIENCE, Server, Wire, random,
    resuming::{resume, with_ticket},
};

/// The kit the server prints.
fn kit_of(server: &Server) -> RecoveryKit {
    let made = server.command(&["recover-kit", "tester"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    RecoveryKit::parse(&String::from_utf8(made.stdout).expect("text")).expect("a kit")
}

fn config_of(server: &Server, identity: Identity) -> Config {
    let config = Config::new(server.address, &server.public_key, identity).expect("an address");
    config.connect_timeout(PATIENCE).request_timeout(PATIENCE)
}

fn new_identity() -> (Identity, Identity) {
    let private = random();
    let copy = mvt_proto::secret::Secret::new(*private.expose());
    (Identity::new(private), Identity::new(copy))
}

/// Sends a RECOVER with the cookie the server asks for; gives its frame and the session, of which nothing was used.
fn recover(server: &Server, kit: &RecoveryKit, new: &Identity) -> Option<(Wire, ClientSession, [u8; 512])> {
    let mut wire = server.connect();
    let offer = |cookie| Offer {
        new_identity: new,
        suites: &[Suite::Gcm256],
        login_id: 3,
        cookie,
        channel_binding: &[],
    };
    let (initiator, frame) = Initiator::start(kit, &offer(None), &random(), random()).expect("good keys");
    wire.send(&frame);
    let Ok(Retry::Cookie(cookie)) = initiator.retry(&wire.frame()?) else { panic!("always a cookie first") };
    let (initiator, frame) =
        Initiator::start(kit, &offer(Some(&cookie)), &random(), random()).expect("good keys");
    wire.send(&frame);
    let answer = wire.frame()?;
    assert!(answer.len() <= frame.len());
    let session = initiator.finish(&answer, mvt_sys::clock::boottime_ms()).expect("an honest RECOVER_R");
    Some((wire, session, frame))
}

/// Asks until the recovery is recorded or its session is gone.
fn prove(wire: &mut Wire, session: &mut ClientSession) -> Result<u16, String> {
    let mut pending_count = 0;
    loop {
        let (pending, _) = wire.request(session, b"proof");
        match wire.answer(session, &pending) {
            Err(reason) if reason == "Pending" => pending_count += 1,
            answer => {
                assert!(pending_count > 0 || answer.is_err(), "the first request is never executed");
                return answer;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn recovery_is_one_call_and_the_old_key_is_void_after_it() {
    let server = Server::start("service.kind = \"echo\"");
    let (mut old_wire, mut old, kept, _) = with_ticket(&server, Suite::Gcm256);
    let kit = kit_of(&server);
    let (new, again) = new_identity();
    let mut client = Client::recover(config_of(&server, new), &kit).expect("recovered");
    assert_eq!(client.request(4, b"hello").expect("verified").payload, b"hello");
    // What was authenticated before has ended: session, ticket, key.
    let (pending, _) = old_wire.request(&mut old, b"too late");
    assert_eq!(old_wire.answer(&mut old, &pending), Err("Lost".into()));
    assert!(resume(&server, &kept, Mode::DiffieHellman).is_none());
    let old_key = server.client_keys().identity;
    assert!(matches!(Client::connect_with(config_of(&server, old_key)), Err(Error::Login(_))));
    // What came after lives: the new session, its ticket, the new key, also across a restart.
    assert!(client.request(4, b"on").is_ok());
    let server = server.restart();
    let mut client = Client::connect_with(config_of(&server, again)).expect("the new key");
    assert_eq!(client.request(4, b"again").expect("verified").payload, b"again");
}

/// §13.4.2, §13.4.4: PENDING confirms nothing, any other answer does.
#[test]
fn nothing_is_executed_before_it_is_recorded() {
    let server = Server::start("io.shards = 1");
    let (mut wire, mut session, _) = recover(&server, &kit_of(&server), &new_identity().0).expect("opens");
    assert_eq!(prove(&mut wire, &mut session), Ok(0));
    let log = server.stop();
    assert!(log.contains("recoveries=1") && log.contains("pending="), "{log}");
    assert!(log.contains("verified=1 ") || log.contains("verified=1\""), "{log}");
}

/// §13.4.1 (CASES V-02): a RECOVER alone, the same one again, and a session that is never used, change nothing.
#[test]
fn a_recover_that_is_not_confirmed_has_no_effect() {
    let server = Server::start("");
    let kit = kit_of(&server);
    let (_, _, frame) = recover(&server, &kit, &new_identity().0).expect("opens");
    let mut replay = server.connect();
    replay.send(&frame);
    assert_eq!(replay.frame().expect("a RETRY: its cookie is of another port")[2], 0x1a);
    let old_key = server.client_keys().identity;
    assert!(Client::connect_with(config_of(&server, old_key)).is_ok(), "the old key still counts");
    assert!(!server.stop().contains("recoveries="));
}

/// §13.2.2 (CASES V-01): one answer for all causes, the closing of the connection.
#[test]
fn an_unknown_client_a_wrong_secret_and_a_client_without_a_kit_are_refused_alike() {
    let server = Server::start("io.shards = 1");
    let new = new_identity().0;
    let without = RecoveryKit {
        name: "tester".into(),
        recovery_secret: random(),
        server_public: server.public_key,
        recovery_public: kit_of(&Server::start("")).recovery_public,
    };
    assert!(recover(&server, &without, &new).is_none(), "a recovery key of another server");
    let kit = kit_of(&server);
    let unknown = RecoveryKit { name: "nobody".into(), ..kit_of(&server) };
    assert!(recover(&server, &unknown, &new).is_none());
    // The kit made last is the one that counts.
    assert!(recover(&server, &kit, &new).is_none());
    let wrong = RecoveryKit { recovery_secret: random(), ..kit_of(&server) };
    assert!(recover(&server, &wrong, &new).is_none());
    assert!(server.stop().contains("recovery=4"));
}

/// §13.2.4.
#[test]
fn a_key_that_is_enrolled_already_is_refused() {
    let server = Server::start("");
    let kit = kit_of(&server);
    assert!(recover(&server, &kit, &server.client_keys().identity).is_none(), "its own of now");
    let other = new_identity();
    let key = mvt_proto::keyfile::key_to_text(other.0.public());
    assert!(server.command(&["enroll", "other", &key]).status.success());
    assert!(recover(&server, &kit, &other.0).is_none(), "another client's");
    assert!(recover(&server, &kit, &new_identity().0).is_some());
}

/// CASES V-04, §13.4.3: barred before the RECOVER, between it and its proof, and after it was recorded.
#[test]
fn barring_wins_over_a_recovery_in_every_order() {
    let revoke = |server: &Server| assert!(server.command(&["revoke", "tester"]).status.success());
    let server = Server::start("");
    let kit = kit_of(&server);
    revoke(&server);
    assert!(recover(&server, &kit, &new_identity().0).is_none(), "barred before");

    let server = Server::start("");
    let kit = kit_of(&server);
    let (mut wire, mut session, _) = recover(&server, &kit, &new_identity().0).expect("opens");
    revoke(&server);
    assert_eq!(prove(&mut wire, &mut session), Err("Lost".into()), "barred between");
    let log = server.stop();
    assert!(!log.contains("recoveries="), "{log}");

    let server = Server::start("");
    let kit = kit_of(&server);
    let (new, again) = new_identity();
    let (mut wire, mut session, _) = recover(&server, &kit, &new).expect("opens");
    assert_eq!(prove(&mut wire, &mut session), Ok(0));
    revoke(&server);
    let (pending, _) = wire.request(&mut session, b"too late");
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()), "barred after");
    let server = server.restart();
    assert!(matches!(Client::connect_with(config_of(&server, again)), Err(Error::Login(_))));
    assert!(recover(&server, &kit, &new_identity().0).is_none(), "and never again");
}

/// CASES V-05: killed at any moment around the proof, the server knows either key and never both, or neither.
#[test]
fn a_crash_around_the_proof_leaves_one_key() {
    for delay_ms in [0, 1, 2, 4, 8, 30] {
        let server = Server::start("");
        let kit = kit_of(&server);
        let (new, again) = new_identity();
        let (mut wire, mut session, _) = recover(&server, &kit, &new).expect("opens");
        let _ = wire.request(&mut session, b"proof");
        std::thread::sleep(Duration::from_millis(delay_ms));
        let server = server.restart();
        let old = Client::connect_with(config_of(&server, server.client_keys().identity)).is_ok();
        let new = Client::connect_with(config_of(&server, again)).is_ok();
        assert!(old != new, "after {delay_ms} ms: old {old}, new {new}");
    }
}

/// §13.2.3.
#[test]
fn recoveries_of_one_client_are_limited() {
    let server = Server::start("");
    let kit = kit_of(&server);
    for number in 0..5 {
        let (mut wire, mut session, _) = recover(&server, &kit, &new_identity().0).expect("opens");
        assert_eq!(prove(&mut wire, &mut session), Ok(0), "recovery {number}: the kit stays good");
    }
    let (mut wire, mut session, _) = recover(&server, &kit, &new_identity().0).expect("opens");
    assert_eq!(prove(&mut wire, &mut session), Err("Lost".into()));
    let refused = Client::recover(config_of(&server, new_identity().0), &kit);
    assert!(matches!(refused, Err(Error::Login(_))), "{:?}", refused.err());
}

#[test]
fn a_kit_is_read_from_a_private_file_alone() {
    let server = Server::start("");
    let made = server.command(&["recover-kit", "tester"]);
    let path = server.path("kit");
    fs::write(&path, &made.stdout).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    assert!(identity::load_kit(&path).is_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    assert_eq!(identity::load_kit(&path).expect("a kit").name, "tester");
}
