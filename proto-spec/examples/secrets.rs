//! Does a secret decide a branch or an address? Every key is marked as undefined memory, and memcheck reports what depends on it.
//!
//! To be run by `cargo x harden secrets`, on valgrind, which hides SHA-NI: what is shown is the portable path (CASES P-01). The
//! verdict on a tag is known to all, so what tests it is excepted, by name, in `secrets.supp`.

use std::process::ExitCode;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    ClientId, Header, Limits, Role, Suite,
    constants::TICKET_NONCE_BYTES,
    frame::{grant::Grant, hello::Hello, recover::Recover},
    login::{self, Identity, Mac1},
    lost::LostKeys,
    recovery::{self, RecoveryKey, RecoveryKit},
    schedule::GenerationKeys,
    secret::Secret,
    session::{Batch, ClientSession, Granted, ServerSession},
    ticket::{Ticket, TicketKey},
};
use mvt_sys::poison::{is_watched, poison, report_count, reveal};

const KEY_ID: u64 = 0x0001_0203_0405_0607;
const NOW_MS: u64 = 1_700_000_000_000;

fn plain(fill: u8) -> Secret {
    Secret::new([fill; 32])
}

/// The same 32 bytes as [`plain`] gives, and nothing may depend on them.
fn hidden(fill: u8) -> Secret {
    let mut bytes = [fill; 32];
    poison(&mut bytes);
    Secret::new(bytes)
}

fn keys(secret: Secret) -> GenerationKeys {
    GenerationKeys::derive(secret, KEY_ID, 0)
}

fn client(suite: Suite) -> ClientSession {
    let granted = Granted {
        key_id: KEY_ID,
        suite,
        limits: Limits::DEFAULT,
        server_time_ms: NOW_MS,
        keys: keys(plain(1)),
        lost_key: LostKeys::new(&plain(2), 0).lost_key(KEY_ID),
    };
    ClientSession::new(granted, NOW_MS)
}

/// Requests one by one: honest, and with a wrong tag.
fn requests(suite: Suite) {
    let mut client = client(suite);
    let mut server = ServerSession::new(KEY_ID, suite, Limits::DEFAULT, keys(hidden(1)), NOW_MS);
    for (payload, is_honest) in [(&b""[..], true), (b"transfer 42", true), (b"transfer 42", false)] {
        let mut frame = Vec::new();
        let pending = client.seal_request(1, payload, NOW_MS + 1, &mut frame).expect("sealable");
        *frame.last_mut().expect("a tag") ^= u8::from(!is_honest);
        let header = Header::parse(&frame, Role::Server).expect("well formed");
        let fresh = server.check(&header, NOW_MS + 1);
        let opened = server.open(fresh, &mut frame);
        assert_eq!(opened.is_ok(), is_honest);
        let Ok(authentic) = opened else { continue };
        let exchange = server.commit(authentic, NOW_MS + 1).expect("fresh");
        let mut answer = Vec::new();
        exchange.respond(0, b"done", NOW_MS + 1, &mut answer);
        reveal(&answer[..]);
        let header = Header::parse(&answer, Role::Client).expect("well formed");
        assert!(client.open_answer(&pending, &header, &mut answer, NOW_MS + 1).is_ok());
    }
}

/// The same in lanes, for every number of frames that takes another way.
fn lanes(engine: Engine, suite: Suite) {
    let mut client = client(suite);
    let server = ServerSession::new(KEY_ID, suite, Limits::DEFAULT, keys(hidden(1)), NOW_MS);
    let (mut state, mut window, _rekey) = server.into_parts();
    let mut batch = Batch::new(engine);
    for count in [1, 3, 8, 17] {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for number in 0..count {
            let start = bytes.len();
            client.seal_request(1, &[7; 20][..number], NOW_MS + 1, &mut bytes).expect("sealable");
            *bytes.last_mut().expect("a tag") ^= u8::from(number % 5 == 4);
            spans.push(start..bytes.len());
        }
        for span in &spans {
            let header = Header::parse(&bytes[span.clone()], Role::Server).expect("well formed");
            let fresh = state.check(&header, NOW_MS + 1);
            batch.push(&state, fresh, span.clone());
        }
        batch.open(&mut bytes, |_| &state);
        let mut answers = Vec::new();
        for number in 0..count {
            let taken = batch.take(number);
            assert_eq!(taken.is_ok(), number % 5 != 4);
            let Ok(authentic) = taken else { continue };
            let exchange = state.commit(&mut window, authentic).expect("fresh");
            batch.respond(exchange, 0, b"done", NOW_MS + 1, &mut answers);
        }
        batch.seal(&mut answers);
    }
}

/// A ticket is sealed, opened, and refused, under a key that is hidden.
fn tickets() {
    let mut bytes = [3; 32];
    poison(&mut bytes);
    let key = TicketKey::new(&bytes).expect("not all zero");
    reveal(&key.id());
    let ticket = Ticket {
        suite: Suite::Gcm256,
        client: ClientId::of_name("alice"),
        resume_secret: hidden(4),
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + 1000,
        authenticated_ms: NOW_MS,
        generation: 0,
        psk_alone: false,
    };
    let mut sealed = ticket.seal(&key, &[5; TICKET_NONCE_BYTES]);
    reveal(&sealed);
    assert!(Ticket::open(&sealed, &key, NOW_MS).is_ok());
    sealed[60] ^= 1;
    assert!(Ticket::open(&sealed, &key, NOW_MS).is_err());
}

fn grant() -> Grant {
    let lost_key = LostKeys::new(&hidden(2), 0).lost_key(KEY_ID);
    Grant { key_id: KEY_ID, suite: Suite::Gcm256, server_time_ms: NOW_MS, limits: Limits::DEFAULT, lost_key }
}

/// The server's identity with its private key hidden.
fn server_identity() -> Identity {
    let identity = Identity::new(hidden(6));
    reveal(identity.public());
    identity
}

fn logins() {
    let server = server_identity();
    let offer = login::Offer {
        server_public: server.public(),
        suites: &[Suite::Gcm256],
        login_id: 1,
        cookie: None,
        channel_binding: &[],
    };
    for is_honest in [true, false] {
        let (initiator, mut hello) =
            login::Initiator::start(&Identity::new(plain(7)), &offer, plain(8)).expect("a good key");
        hello[120] ^= u8::from(!is_honest);
        let hello = Hello::parse(&hello).expect("well formed");
        let responder = login::Responder::read(&server, hello, &[], hidden(9));
        assert_eq!(responder.is_ok(), is_honest);
        let Ok(responder) = responder else { continue };
        // Known to the server, and looked up in its tables.
        reveal(responder.client_public());
        let admitted = responder.admit(&grant()).expect("a good point");
        reveal(&admitted.answer[..]);
        assert!(initiator.finish(&admitted.answer, NOW_MS).is_ok());
    }
}

fn recoveries() {
    let (server, key) = (server_identity(), RecoveryKey::new(&hidden(10)));
    reveal(key.public());
    let kit = RecoveryKit {
        name: "alice".into(),
        recovery_secret: plain(11),
        server_public: *server.public(),
        recovery_public: *key.public(),
    };
    for is_honest in [true, false] {
        let new_identity = Identity::new(plain(12));
        let offer = recovery::Offer {
            new_identity: &new_identity,
            suites: &[Suite::Gcm256],
            login_id: 1,
            cookie: Some(&[7; 16]),
            channel_binding: &[],
        };
        let (initiator, frame) =
            recovery::Initiator::start(&kit, &offer, &plain(13), plain(14)).expect("good keys");
        Mac1::new(server.public()).verify(&frame).expect("honest");
        let recover = Recover::parse(&frame).expect("well formed");
        let psk = hidden(if is_honest { 11 } else { 15 });
        let responder = recovery::Responder::read(&recover, &key, server.public(), &psk, &[]);
        assert_eq!(responder.is_ok(), is_honest);
        let Ok(responder) = responder else { continue };
        reveal(responder.new_public());
        let admitted = responder.admit(&grant(), &plain(16), &hidden(17)).expect("good points");
        reveal(&admitted.answer[..]);
        assert!(initiator.finish(&admitted.answer, NOW_MS).is_ok());
    }
}

/// Must be reported: that memcheck sees a branch on a secret at all.
fn canary() {
    let secret = hidden(1);
    if std::hint::black_box(secret.expose())[0] == 2 {
        println!("impossible");
    }
}

fn main() -> ExitCode {
    if !is_watched() {
        eprintln!("not on valgrind: nothing would be seen");
        return ExitCode::FAILURE;
    }
    let mut reports = 0;
    let mut try_it = |name: &str, run: &dyn Fn()| {
        let before = report_count();
        run();
        let count = report_count() - before;
        println!("{count:>6} reports   {name}");
        reports += count;
    };
    for suite in [Suite::Hs256, Suite::Gcm256] {
        try_it(&format!("{suite:?} one by one"), &|| requests(suite));
        for engine in Path::ALL.into_iter().filter_map(Engine::forced) {
            try_it(&format!("{suite:?} in lanes, {:?}", engine.path()), &|| lanes(engine, suite));
        }
    }
    try_it("tickets", &tickets);
    try_it("logins", &logins);
    try_it("recoveries", &recoveries);
    let before = report_count();
    canary();
    let is_alive = report_count() > before;
    println!("{}", if is_alive { "the canary was reported" } else { "THE CANARY WAS NOT REPORTED" });
    if reports == 0 && is_alive { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
