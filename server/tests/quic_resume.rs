//! Resume and recovery inside QUIC, between real servers: what moves, and what is never accepted again (SPEC §12, §13, §17.2.3).

mod support;

use mvt_client::{Client as Blocking, Config, RecoveryKit, identity, quic::ServerCertificate};
use mvt_proto::{
    Suite,
    frame::{resume::Mode, retry::Retry},
    login::Identity,
    recovery::{self, Initiator},
    resume::Kept,
    session::ClientSession,
};
use support::{
    PATIENCE, Server, counted, judge,
    quic::{Host, Stream, binding},
    random,
    resuming::{Carrier, resume, resume_by, resume_frame_bound, use_first, with_ticket},
    seal,
};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\ntickets.psk_alone = true\nservice.kind = \"echo\"\n";

/// Resumes on a new QUIC connection; `None` when the server refuses.
fn resume_inside<'h>(
    host: &'h Host,
    server: &Server,
    kept: &Kept,
    mode: Mode,
) -> Option<(quinn::Connection, Stream<'h>, ClientSession)> {
    let connection = host.connect(server);
    let mut stream = host.open(&connection);
    let session = resume_by(&mut stream, server, kept, mode, &binding(&connection))?;
    Some((connection, stream, session))
}

/// Sends recorded frames in every way there is, and asserts that nothing of it is executed.
fn assert_dead(host: &Host, server: &Server, recorded: &[Vec<u8>]) {
    for frame in recorded {
        let mut wire = server.connect();
        wire.send(frame);
        let by_tcp = wire.frame().expect("a LOST, genuine or not");
        let connection = host.connect(server);
        let mut stream = host.open(&connection);
        stream.send(frame);
        let by_stream = stream.frame().expect("a LOST, genuine or not");
        connection.send_datagram(frame.clone().into()).expect("sent");
        let by_datagram = host.datagram(&connection).remove(0);
        for answer in [by_tcp, by_stream, by_datagram] {
            assert_eq!(answer[2], 0x1f, "{answer:02x?}");
        }
    }
}

/// §12.1.6, §17: the ticket of either transport serves on both, on its own server and on another.
#[test]
fn a_ticket_of_one_transport_resumes_on_the_other_at_every_server() {
    let first = Server::start(CONFIG);
    let second = first.twin(CONFIG);
    let host = Host::new();
    for suite in [Suite::Hs256, Suite::Gcm256] {
        let (_wire, _, by_tcp, sent_by_tcp) = with_ticket(&first, suite);
        let (_connection, mut stream, mut session) = host.login(&first, suite);
        let (by_quic, sent_by_quic) = use_first(&mut stream, &mut session);
        for (kept, sent) in [(&by_tcp, &sent_by_tcp), (&by_quic, &sent_by_quic)] {
            for mode in [Mode::DiffieHellman, Mode::PskAlone] {
                for server in [&first, &second] {
                    let (_connection, mut stream, mut resumed) =
                        resume_inside(&host, server, kept, mode).expect("resumed inside QUIC");
                    assert_eq!(resumed.suite(), suite);
                    let (next, _) = use_first(&mut stream, &mut resumed);
                    let (mut wire, mut back) = resume(server, &next, mode).expect("resumed by TCP");
                    use_first(&mut wire, &mut back);
                }
            }
            // Nothing that was sent under the old keys is accepted where the session went.
            assert_dead(&host, &second, sent);
        }
    }
    assert_eq!(counted(&second.stop(), "resumes"), 2 * 2 * 2 * 2);
}

/// CASES R-10, T-04 inside QUIC: kill -9, restart on the same files, resume, replay everything.
#[test]
fn nothing_recorded_before_a_kill_is_accepted_after_it() {
    let server = Server::start(CONFIG);
    let host = Host::new();
    let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
    let (kept, mut sent) = use_first(&mut stream, &mut session);
    for number in 0..20u8 {
        let (pending, frame) = seal(&mut session, &[number]);
        if number % 2 == 0 {
            stream.send(&frame);
            assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(5));
        } else {
            connection.send_datagram(frame.clone().into()).expect("sent");
            assert_eq!(judge(&mut session, &pending, &mut host.datagram(&connection).remove(0)), Ok(5));
        }
        sent.push(frame);
    }
    let server = server.restart();
    // Few at a time, for a session that nobody uses is forgotten (SPEC §10.3.2).
    for recorded in sent.chunks(3) {
        let (_connection, mut stream, mut resumed) =
            resume_inside(&host, &server, &kept, Mode::DiffieHellman).expect("resumed at once");
        assert_dead(&host, &server, recorded);
        use_first(&mut stream, &mut resumed);
        assert_dead(&host, &server, recorded);
    }
    assert_eq!(counted(&server.stop(), "verified"), 7);
}

/// A connection that may wait for as long as it likes: one that nobody used is closed (SPEC §10.3.2).
fn used<'h>(host: &'h Host, server: &Server) -> (quinn::Connection, Stream<'h>) {
    let (connection, mut stream, mut session) = host.login(server, Suite::Hs256);
    use_first(&mut stream, &mut session);
    (connection, stream)
}

/// §12.3, §17.2.3: a RESUME made for one connection is nothing on another, nor is one made for TCP.
#[test]
fn a_resume_relayed_from_one_connection_to_another_is_refused() {
    let server = Server::start(CONFIG);
    let host = Host::new();
    let (_wire, _, kept, _) = with_ticket(&server, Suite::Gcm256);
    let (victim, _stream) = used(&host, &server);
    let bindings = [binding(&victim).to_vec(), Vec::new()];
    for mode in [Mode::DiffieHellman, Mode::PskAlone] {
        for made_for in &bindings {
            let (_, frame) = resume_frame_bound(&server, &kept, mode, None, made_for);
            let relay = host.connect(&server);
            let mut stream = host.open(&relay);
            stream.send(&frame);
            assert_eq!(stream.frame(), None, "closed without a word");
        }
        // One made for QUIC is nothing on TCP either.
        let mut wire = server.connect();
        wire.send(&resume_frame_bound(&server, &kept, mode, None, &bindings[0]).1);
        wire.expect_close();
    }
    // The canary: where it belongs it is let in.
    let mut stream = host.open(&victim);
    let bound = binding(&victim);
    let mut session = resume_by(&mut stream, &server, &kept, Mode::DiffieHellman, &bound).expect("resumed");
    use_first(&mut stream, &mut session);
    assert_eq!(counted(&server.stop(), "binder"), 6);
}

fn kit_of(server: &Server) -> RecoveryKit {
    let made = server.command(&["recover-kit", "tester"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    RecoveryKit::parse(&String::from_utf8(made.stdout).expect("text")).expect("a kit")
}

/// Sends a RECOVER bound to `channel_binding` with the cookie the server asks for on this very stream.
fn recover_by(
    stream: &mut Stream<'_>,
    kit: &RecoveryKit,
    new: &Identity,
    channel_binding: &[u8],
) -> Option<ClientSession> {
    let offer = |cookie| recovery::Offer {
        new_identity: new,
        suites: &[Suite::Hs256],
        login_id: 3,
        cookie,
        channel_binding,
    };
    let start = |cookie| Initiator::start(kit, &offer(cookie), &random(), random()).expect("good keys");
    let (initiator, frame) = start(None);
    stream.send(&frame);
    let Ok(Retry::Cookie(cookie)) = initiator.retry(&stream.frame()?) else {
        panic!("always a cookie first")
    };
    let (initiator, frame) = start(Some(&cookie));
    stream.send(&frame);
    let answer = stream.frame()?;
    Some(initiator.finish(&answer, mvt_sys::clock::boottime_ms()).expect("an honest RECOVER_R"))
}

/// §13.1: the channel binding is sealed with the recovery.
#[test]
fn a_recover_relayed_from_one_connection_to_another_is_refused() {
    let server = Server::start(CONFIG);
    let kit = kit_of(&server);
    let host = Host::new();
    let (victim, _stream) = used(&host, &server);
    for made_for in [&binding(&victim)[..], &[]] {
        let relay = host.connect(&server);
        let mut stream = host.open(&relay);
        assert!(recover_by(&mut stream, &kit, &Identity::new(random()), made_for).is_none());
    }
    // The canary: where it belongs it is let in, and recorded by its first request.
    let mut stream = host.open(&victim);
    let new = Identity::new(random());
    let mut session = recover_by(&mut stream, &kit, &new, &binding(&victim)).expect("let in");
    let answer = loop {
        let (pending, frame) = seal(&mut session, b"proof");
        stream.send(&frame);
        match judge(&mut session, &pending, &mut stream.frame().expect("an answer")) {
            Err(reason) if reason == "Pending" => host.sleep(std::time::Duration::from_millis(5)),
            answer => break answer,
        }
    };
    assert_eq!(answer, Ok(5));
    let log = server.stop();
    assert_eq!((counted(&log, "recovery"), counted(&log, "recoveries")), (2, 1), "{log}");
}

/// §13 by the SDK inside QUIC: the new key counts, and what the lost one authenticated has ended on both transports.
#[test]
fn recovery_is_one_call_inside_quic() {
    let server = Server::start(CONFIG);
    let host = Host::new();
    let (mut old_wire, mut old, kept, _) = with_ticket(&server, Suite::Gcm256);
    let (_connection, mut old_stream, mut inside) = host.login(&server, Suite::Hs256);
    use_first(&mut old_stream, &mut inside);
    let kit = kit_of(&server);
    let config = |identity| {
        let address = server.quic.as_ref().expect("QUIC is on").0;
        let config = Config::new(address, &server.public_key, identity).expect("an address");
        config.quic(ServerCertificate::CheckedByLogin).connect_timeout(PATIENCE).request_timeout(PATIENCE)
    };
    let private = random();
    let again = Identity::new(mvt_proto::secret::Secret::new(*private.expose()));
    let mut client = Blocking::recover(config(Identity::new(private)), &kit).expect("recovered");
    assert_eq!(client.request(4, b"hello").expect("verified").payload, b"hello");
    assert!(client.export_ticket().is_some());

    assert_lost(&mut old_wire, &mut old);
    assert_lost(&mut old_stream, &mut inside);
    assert!(resume(&server, &kept, Mode::DiffieHellman).is_none());
    assert!(resume_inside(&host, &server, &kept, Mode::DiffieHellman).is_none());
    let lost = identity::load(server.path("client.key")).expect("an identity");
    assert!(Blocking::connect_with(config(lost)).is_err());
    let mut client = Blocking::connect_with(config(again)).expect("the new key");
    assert_eq!(client.request(4, b"again").expect("verified").payload, b"again");
}

fn assert_lost(carrier: &mut impl Carrier, session: &mut ClientSession) {
    let (pending, frame) = seal(session, b"too late");
    carrier.send(&frame);
    let mut answer = carrier.frame().expect("an answer");
    assert_eq!(judge(session, &pending, &mut answer), Err("Lost".into()));
}

/// §17.2.6: a TICKET is sent once, so it comes by the stream also when its request came in a datagram.
#[test]
fn the_ticket_of_a_request_in_a_datagram_comes_by_the_stream() {
    let server = Server::start(CONFIG);
    let host = Host::new();
    let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
    let (pending, frame) = seal(&mut session, b"first");
    connection.send_datagram(frame.into()).expect("sent");
    let ticket = stream.any_frame().expect("a TICKET");
    assert_eq!(ticket[2], 0x14, "{ticket:02x?}");
    assert_eq!(judge(&mut session, &pending, &mut host.datagram(&connection).remove(0)), Ok(5));
    let kept = support::resuming::take_ticket(&mut session, ticket).expect("a ticket");
    assert!(resume_inside(&host, &server, &kept, Mode::DiffieHellman).is_some());
}

/// §12.4.3 at the SDK: what QUIC kept from eyes is not resumed where anyone reads it.
#[test]
fn a_readable_session_of_quic_is_not_resumed_by_tcp() {
    let server = Server::start(CONFIG);
    let config = |address| {
        let identity = identity::load(server.path("client.key")).expect("an identity");
        let config = Config::new(address, &server.public_key, identity).expect("an address");
        config.connect_timeout(PATIENCE).request_timeout(PATIENCE)
    };
    let inside = server.quic.as_ref().expect("QUIC is on").0;
    for (suite, logins, resumes) in [(Suite::Hs256, 1, 0), (Suite::Gcm256, 0, 1)] {
        let quic = || config(inside).quic(ServerCertificate::CheckedByLogin).suite(suite);
        let mut client = Blocking::connect_with(quic()).expect("logged in");
        assert!(client.request(1, b"x").is_ok());
        let ticket = client.export_ticket().expect("a ticket");
        let resumed = Blocking::connect_with(quic().ticket(&ticket).expect("an export")).expect("resumed");
        assert_eq!((resumed.login_count(), resumed.resume_count()), (0, 1));
        let by_tcp = Blocking::connect_with(config(server.address).ticket(&ticket).expect("an export"));
        let mut by_tcp = by_tcp.expect("a session");
        assert_eq!((by_tcp.login_count(), by_tcp.resume_count()), (logins, resumes), "{suite:?}");
        assert!(by_tcp.request(1, b"x").is_ok());
        // The other way round there is nothing to protect.
        let ticket = by_tcp.export_ticket().expect("a ticket");
        let back = Blocking::connect_with(quic().ticket(&ticket).expect("an export")).expect("resumed");
        assert_eq!((back.login_count(), back.resume_count()), (0, 1));
    }
}
