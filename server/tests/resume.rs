//! Resume between real servers that share keys and ticket ring: what moves, and what is never accepted again (SPEC §12).

mod support;

use std::time::{Duration, Instant};

use mvt_client::{Client, Config, Error, identity};
use mvt_proto::{Suite, frame::resume::Mode, frame::retry::Retry, login::Mac1};
use support::{
    PATIENCE, Server, Wire, judge,
    resuming::{copy, resume, resume_frame, use_first, with_ticket},
    wait_for,
};

const MODES: [Mode; 2] = [Mode::DiffieHellman, Mode::PskAlone];
const PSK: &str = "tickets.psk_alone = true\n";

fn config_of(server: &Server) -> Config {
    let identity = identity::load(server.path("client.key")).expect("an identity");
    let config = Config::new(server.address, &server.public_key, identity).expect("an address");
    config.connect_timeout(PATIENCE).request_timeout(PATIENCE)
}

/// Sends recorded frames and asserts that nothing of it is executed.
fn assert_dead(server: &Server, recorded: &[Vec<u8>]) {
    for frame in recorded {
        let mut wire = server.connect();
        wire.send(frame);
        let answer = wire.frame().expect("a LOST, genuine or not");
        assert_eq!(answer[2], 0x1f, "{answer:02x?}");
    }
}

#[test]
fn a_session_is_resumed_on_its_own_server_and_on_another() {
    let first = Server::start(PSK);
    let second = first.twin(PSK);
    for suite in [Suite::Hs256, Suite::Gcm256] {
        for mode in MODES {
            let (_, old, kept, sent) = with_ticket(&first, suite);
            for server in [&first, &second] {
                let (mut wire, mut session) = resume(server, &kept, mode).expect("resumed");
                assert_eq!(session.suite(), suite);
                assert_ne!(session.key_id(), old.key_id());
                let (next, _) = use_first(&mut wire, &mut session);
                // The ticket of a resumed session resumes too, where it came from and elsewhere.
                assert!(resume(&first, &next, mode).is_some());
            }
            assert_dead(&second, &sent);
        }
    }
    assert!(second.stop().contains("resumes="));
}

/// §12.1.6 (CASES R-11, T-05): both servers live, one ticket, the same frames to both.
#[test]
fn a_frame_is_accepted_by_one_server_at_most_while_both_live() {
    let first = Server::start("");
    let second = first.twin("");
    let (mut old_wire, mut old, kept, _) = with_ticket(&first, Suite::Gcm256);
    let (mut here, mut session_here) = resume(&first, &kept, Mode::DiffieHellman).expect("resumed");
    let (mut there, mut session_there) = resume(&second, &kept, Mode::DiffieHellman).expect("resumed");
    for (session, wire, other) in
        [(&mut session_here, &mut here, &second), (&mut session_there, &mut there, &first)]
    {
        let (pending, frame) = wire.request(session, b"once");
        assert!(wire.answer(session, &pending).is_ok());
        let mut replay = Wire::connect(other.address);
        replay.send(&frame);
        let mut answer = replay.frame().expect("an answer");
        assert_ne!(judge(session, &pending, &mut answer), Ok(5), "executed by both");
    }
    // The old session lives on beside them.
    let (pending, _) = old_wire.request(&mut old, b"still");
    assert!(old_wire.answer(&mut old, &pending).is_ok());
}

/// CASES R-10, T-04: kill -9, restart on the same files, replay everything.
#[test]
fn nothing_recorded_before_a_kill_is_accepted_after_it() {
    let server = Server::start("");
    let (mut wire, mut session, kept, mut sent) = with_ticket(&server, Suite::Gcm256);
    for number in 0..20u8 {
        let (pending, frame) = wire.request(&mut session, &[number]);
        sent.push(frame);
        if number < 15 {
            assert!(wire.answer(&mut session, &pending).is_ok());
        }
    }
    let server = server.restart();
    let (mut wire, mut resumed) = resume(&server, &kept, Mode::DiffieHellman).expect("resumed at once");
    assert_dead(&server, &sent);
    use_first(&mut wire, &mut resumed);
    assert_dead(&server, &sent);
    let log = server.stop();
    assert!(log.contains("verified=1 ") || log.contains("verified=1\""), "one request was executed: {log}");
}

/// CASES V-02: a replayed RESUME is answered, makes a session nobody can use, and changes nothing for the others.
#[test]
fn a_replayed_resume_has_no_effect() {
    let server = Server::start("");
    let (_, _, kept, _) = with_ticket(&server, Suite::Gcm256);
    let (initiator, frame) = resume_frame(&server, &kept, Mode::DiffieHellman, None);
    let mut wire = server.connect();
    wire.send(&frame);
    let answer = wire.frame().expect("a RESUME_R");
    let mut session = initiator.finish(&answer, mvt_sys::clock::boottime_ms()).expect("honest");
    let mut replays: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for replay in &mut replays {
        replay.send(&frame);
        let given = replay.frame().expect("it is answered");
        assert_ne!(given, answer, "the server's part is fresh");
    }
    use_first(&mut wire, &mut session);
}

/// §12.3.3
#[test]
fn a_refused_resume_is_answered_by_closing() {
    let server = Server::start("io.shards = 1");
    let (_, _, kept, _) = with_ticket(&server, Suite::Gcm256);
    let mut forged = copy(&kept);
    forged.ticket[60] ^= 1;
    assert!(resume(&server, &forged, Mode::DiffieHellman).is_none(), "a ticket that does not open");
    let mut stolen = copy(&kept);
    stolen.resume_secret = support::random();
    assert!(resume(&server, &stolen, Mode::DiffieHellman).is_none(), "a ticket without its secret");
    assert!(resume(&server, &kept, Mode::PskAlone).is_none(), "psk alone is not allowed by default");
    assert!(resume(&server, &kept, Mode::DiffieHellman).is_some());
    let log = server.stop();
    assert!(log.contains("ticket=1") && log.contains("binder=2"), "{log}");
}

/// CASES T-01: a server with a ring of its own takes no ticket of another.
#[test]
fn a_server_with_another_ring_refuses() {
    let first = Server::start("");
    let second = first.twin("");
    let (_, _, kept, _) = with_ticket(&first, Suite::Gcm256);
    assert!(resume(&second, &kept, Mode::DiffieHellman).is_some());
    // The same static key, so that mac1 holds: only the ring differs.
    std::fs::remove_file(first.path("tickets.ring")).expect("removed");
    let stranger = first.twin("io.shards = 1");
    assert!(resume(&stranger, &kept, Mode::DiffieHellman).is_none());
    assert!(stranger.stop().contains("ticket=1"));
}

/// CASES T-07, §12.2.1: by command, on the server that is told; its tickets are dead when the command returns.
#[test]
fn a_revoked_client_resumes_no_more_and_its_sessions_end() {
    let server = Server::start("");
    let (mut wire, mut session, kept, _) = with_ticket(&server, Suite::Gcm256);
    let began = Instant::now();
    assert!(server.command(&["revoke", "tester"]).status.success());
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(resume(&server, &kept, Mode::DiffieHellman).is_none());
    let (pending, _) = wire.request(&mut session, b"too late");
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()));
    let server = server.restart();
    assert!(resume(&server, &kept, Mode::DiffieHellman).is_none(), "and after a restart");
    assert!(server.stop().contains("revoked=1"));
}

/// §12.1.3, by command and without a restart of either server.
#[test]
fn a_rotated_ticket_key_is_taken_in_by_every_server() {
    let config = "tickets.distribute_ms = 300\n";
    let first = Server::start(config);
    let second = first.twin(config);
    let (_, _, old, _) = with_ticket(&first, Suite::Gcm256);
    let told = first.command(&["rotate-ticket-key"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let mut new = None;
    wait_for("sealed under the new key", || {
        let (_, _, kept, _) = with_ticket(&first, Suite::Gcm256);
        new = Some(kept).filter(|kept| kept.ticket[1..5] != old.ticket[1..5]);
        new.is_some()
    });
    let new = new.expect("waited for");
    // The other one looks at the ring when its thread gets to it.
    wait_for("taken in", || resume(&second, &new, Mode::DiffieHellman).is_some());
    for server in [&first, &second] {
        for kept in [&old, &new] {
            assert!(resume(server, kept, Mode::DiffieHellman).is_some());
        }
    }
}

#[test]
fn without_ticket_keys_there_are_no_tickets_and_logins_go_on() {
    let server = Server::start("tickets.rotate = false\n");
    let mut client = Client::connect_with(config_of(&server)).expect("a login");
    assert!(client.request(1, b"x").is_ok());
    assert!(client.export_ticket().is_none());
    assert!(!server.path("tickets.ring").exists());
}

/// §14: a queue of one makes the server ask for cookies under any load; a RESUME follows one as a HELLO does.
#[test]
fn under_load_a_resume_is_asked_for_a_cookie_and_never_gets_more_than_it_sent() {
    let server = Server::start("login.queue = 1\nlogin.threads = 1\n");
    let (_, _, kept, _) = with_ticket(&server, Suite::Gcm256);
    let mac1 = Mac1::new(&server.public_key);
    let mut wires: Vec<Wire> = (0..32).map(|_| server.connect()).collect();
    let frames: Vec<_> =
        wires.iter().map(|_| resume_frame(&server, &kept, Mode::DiffieHellman, None)).collect();
    for (wire, (_, frame)) in wires.iter_mut().zip(&frames) {
        wire.send(frame);
    }
    let mut kinds = [0; 16];
    for (wire, (initiator, frame)) in wires.iter_mut().zip(&frames) {
        let answer = wire.frame().expect("an answer");
        assert!(answer.len() <= frame.len());
        kinds[usize::from(answer[2] & 0x0f)] += 1;
        if answer[2] & 0x0f == 0x0a {
            assert!(Retry::parse(&answer, 9, &mvt_proto::suite::tag_of(frame), &mac1).is_ok());
            assert!(initiator.retry(&answer).is_ok());
        }
    }
    assert!(kinds[0x0c] > 0, "some are served: {kinds:?}");
    assert_eq!(kinds[0x0c] + kinds[0x0a], 32, "and the others told: {kinds:?}");
}

/// §12.4.2: the old ticket serves until an answer under the new keys verified.
#[test]
fn a_ticket_serves_again_while_the_session_it_gave_is_not_proved() {
    let first = Server::start("");
    let second = first.twin("");
    let mut client = Client::connect_with(config_of(&first)).expect("a login");
    assert!(client.request(7, b"one").is_ok());
    let ticket = client.export_ticket().expect("a ticket");
    let config = config_of(&first).also_at(second.address).expect("an address");
    let mut client = Client::connect_with(config.ticket(&ticket).expect("an export")).expect("resumed");
    assert_eq!(client.export_ticket().as_deref(), Some(&*ticket), "nothing was answered yet");
    first.kill();
    assert!(client.request(7, b"two").is_ok());
    assert_eq!((client.login_count(), client.resume_count()), (0, 2), "the same ticket, on the other server");
    assert_ne!(client.export_ticket().as_deref(), Some(&*ticket), "and now the new one");
}

#[test]
fn the_sdk_resumes_when_its_server_dies_and_goes_to_the_next_one() {
    let first = Server::start("service.kind = \"echo\"");
    let second = first.twin("service.kind = \"echo\"");
    let config = config_of(&first).also_at(second.address).expect("an address");
    let mut client = Client::connect_with(config).expect("a login");
    assert_eq!(client.request(7, b"one").expect("verified").payload, b"one");
    assert!(client.export_ticket().is_some(), "the ticket came with the first answer");
    let before = client.key_id();
    first.kill();
    assert_eq!(client.request(7, b"two").expect("on the other server").payload, b"two");
    assert_ne!(client.key_id(), before);
    assert_eq!((client.login_count(), client.resume_count()), (1, 1));
    assert!(second.stop().contains("resumes=1"));
}

#[test]
fn the_sdk_tells_the_unknown_and_resumes_when_the_key_is_lost() {
    let server = Server::start("service.kind = \"echo\"");
    let mut client = Client::connect_with(config_of(&server)).expect("a login");
    assert!(client.request(7, b"one").is_ok());
    let server = server.restart();
    // Another port: the config's address is gone, so a client with the new one goes on from the ticket.
    let ticket = client.export_ticket().expect("a ticket");
    drop(client);
    let config = config_of(&server).ticket(&ticket).expect("an export");
    let mut client = Client::connect_with(config).expect("resumed");
    assert_eq!((client.login_count(), client.resume_count()), (0, 1));
    assert_eq!(client.request(7, b"two").expect("verified").payload, b"two");
    assert!(server.stop().contains("resumes=1"));
}

#[test]
fn the_sdk_logs_in_where_no_ticket_is_taken() {
    let server = Server::start("");
    let mut client = Client::connect_with(config_of(&server)).expect("a login");
    assert!(client.request(7, b"one").is_ok());
    let mut ticket = client.export_ticket().expect("a ticket");
    ticket[100] ^= 1;
    let config = config_of(&server).ticket(&ticket).expect("an export");
    let client = Client::connect_with(config).expect("a login instead");
    assert_eq!((client.login_count(), client.resume_count()), (1, 0));
    let error = config_of(&server).ticket(&ticket[1..]).err();
    assert!(matches!(error, Some(Error::Login(_))), "{error:?}");
}

#[test]
fn the_sdk_resumes_without_an_agreement_where_that_is_allowed() {
    let server = Server::start(PSK);
    let mut client = Client::connect_with(config_of(&server)).expect("a login");
    assert!(client.request(7, b"one").is_ok());
    let ticket = client.export_ticket().expect("a ticket");
    let config = config_of(&server).resume_without_agreement().ticket(&ticket).expect("an export");
    let mut client = Client::connect_with(config).expect("resumed");
    assert_eq!(client.resume_count(), 1);
    assert!(client.request(7, b"two").is_ok());
    // Its next ticket has the policy of the one before.
    let ticket = client.export_ticket().expect("a ticket");
    let config = config_of(&server).resume_without_agreement().ticket(&ticket).expect("an export");
    assert_eq!(Client::connect_with(config).expect("resumed").resume_count(), 1);
}
