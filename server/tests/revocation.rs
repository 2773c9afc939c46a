//! Revocation (SPEC §12.2): in force on every shard before the command says so, kept through a crash, and past re-enrolment.

#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use mvt_proto::{ClientId, Limits, Suite, keyfile, session::ClientSession};
use mvt_server::{
    limits::{REVOKE_COUNT_MAX, REVOKE_ERASED_MAX},
    mailbox::Mail,
    owner::Owner,
    revocations::{Revocations, Revoked},
    service::ServiceKind,
};
use rig::{ORIGIN_MS, Rig, halves};
use support::{PATIENCE, Server, Wire, counted, mvt_server, wait_for};

fn run(server: &Server, arguments: &[&str]) {
    let output = mvt_server(&server.path(""), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sends requests until one is not accepted; panics if one sent after the acknowledgement is.
fn use_up(mut wire: Wire, mut session: ClientSession, is_acknowledged: &AtomicBool, accepted: &AtomicU64) {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let is_after = is_acknowledged.load(Ordering::SeqCst);
        let (pending, _) = wire.request(&mut session, b"in flight");
        match wire.answer(&mut session, &pending) {
            Ok(_) => {
                assert!(!is_after, "a request sent after the acknowledgement was accepted");
                accepted.fetch_add(1, Ordering::SeqCst);
            }
            Err(refusal) => {
                assert_eq!(refusal, "Lost", "the session is one nobody holds");
                return;
            }
        }
    }
    panic!("the session was never refused");
}

/// X-01, §12.2.1
#[test]
fn nothing_is_accepted_after_the_acknowledgement() {
    for shards in [1, 2, 4] {
        let server = Server::start(&format!("io.shards = {shards}"));
        let sessions: Vec<_> = (0..12).map(|_| server.login(Suite::Hs256)).collect();
        let (is_acknowledged, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for (wire, session) in sessions {
                scope.spawn(|| use_up(wire, session, &is_acknowledged, &accepted));
            }
            wait_for("used", || accepted.load(Ordering::SeqCst) >= 200);
            run(&server, &["revoke", "tester"]);
            is_acknowledged.store(true, Ordering::SeqCst);
        });
        let mut wire = server.connect();
        wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
        wire.expect_close();
        // A crash does not forget it.
        let server = server.restart();
        let mut wire = server.connect();
        wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
        wire.expect_close();
        let log = server.stop();
        assert!(log.contains("unknown_client=1"), "as a client nobody knows: {log}");
    }
}

/// Logins that are under way while the client is revoked: none of them makes a session that outlives the acknowledgement.
#[test]
fn a_login_under_way_does_not_slip_through() {
    let server = Server::start("io.shards = 2\nlogin.threads = 4");
    let (is_acknowledged, granted) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut sessions = Vec::new();
                    loop {
                        let mut wire = server.connect();
                        let (initiator, hello) = server.hello(&server.client_keys(), Suite::Hs256);
                        let is_after = is_acknowledged.load(Ordering::SeqCst);
                        wire.send(&hello);
                        let Some(frame) = wire.frame() else { return sessions };
                        assert!(!is_after, "a login begun after the acknowledgement was granted");
                        let session =
                            initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("honest");
                        granted.fetch_add(1, Ordering::SeqCst);
                        sessions.push((wire, session));
                    }
                })
            })
            .collect();
        wait_for("under way", || granted.load(Ordering::SeqCst) > 40);
        run(&server, &["revoke", "tester"]);
        is_acknowledged.store(true, Ordering::SeqCst);
        let sessions: Vec<_> = logins.into_iter().flat_map(|login| login.join().expect("honest")).collect();
        let mut latest: Vec<_> = sessions.into_iter().rev().map(|(_, session)| session).take(64).collect();
        // By connections of their own: those of the logins may have been closed, as nothing followed. The eighth such answer ends one.
        for some in latest.chunks_mut(7) {
            let mut wire = server.connect();
            for session in some {
                let (pending, _) = wire.request(session, b"too late");
                assert_eq!(wire.answer(session, &pending), Err("Lost".into()));
            }
        }
    });
}

/// On each driver: a scan of more than one step goes on although nothing else wakes the shard.
#[test]
fn a_scan_in_steps_needs_no_traffic_to_go_on() {
    for backend in ["auto", "epoll"] {
        let server = Server::start(&format!("io.shards = 1\nio.backend = \"{backend}\""));
        const THREADS: usize = 4;
        // More than one step looks at, and each step erases a few.
        const EACH: usize = (2 * REVOKE_COUNT_MAX).div_ceil(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut wire = server.connect();
                    for _ in 0..EACH {
                        let mut session = server.login_on(&mut wire, Suite::Hs256);
                        // A session that is not used, and a connection that only logs in, are ended after 10 s.
                        let (pending, _) = wire.request(&mut session, b"");
                        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
                    }
                });
            }
        });
        run(&server, &["revoke", "tester"]);
        let log = server.stop();
        assert_eq!(counted(&log, "sessions_revoked"), (THREADS * EACH) as u64, "{log}");
    }
}

///
#[test]
fn a_client_enrolled_anew_gets_nothing_back_of_what_was_revoked() {
    let server = Server::start("io.shards = 2");
    let (mut old_wire, mut old_session) = server.login(Suite::Hs256);
    let (old_pending, _) = old_wire.request(&mut old_session, b"before");
    assert_eq!(old_wire.answer(&mut old_session, &old_pending), Ok(0));
    let key = keyfile::key_to_text(server.client_keys().identity.public());
    let enroll = || mvt_server(&server.path(""), &["enroll", "tester", &key]).status.code();
    assert_eq!(enroll(), Some(2), "it is enrolled");
    run(&server, &["revoke", "tester"]);
    assert_eq!(enroll(), Some(0));
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"anew");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    let (old_pending, _) = old_wire.request(&mut old_session, b"after");
    assert_eq!(old_wire.answer(&mut old_session, &old_pending), Err("Lost".into()));
}

/// §12.2.1: the scan of a large shard is cut into steps; it is confirmed when the last session is gone, and not before.
#[test]
fn a_shard_confirms_when_its_last_session_is_erased() {
    let most = 2 * REVOKE_COUNT_MAX + 10;
    let limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };
    let mut rig = Rig::new(ServiceKind::Verdict, limits, most, 1);
    let (bad, good) = (ClientId::of_name("bad"), ClientId::of_name("good"));
    for number in 0..most as u64 {
        let client = if number % 3 == 0 { good } else { bad };
        rig.admit_for(
            Owner { client, authenticated_ms: ORIGIN_MS },
            halves(0, number, Suite::Hs256, limits).1,
        );
    }
    let (mut revocations, mut revoked) = (Revocations::default(), Revoked::default());
    revocations.revoke(&bad, ORIGIN_MS);
    revoked.revoke(&bad, ORIGIN_MS);
    rig.node.revocations.store(Arc::new(revocations));
    let (confirm, confirmed) = crossbeam::channel::bounded(1);
    let mail = Mail::Revoke { revoked: Arc::new(revoked), confirm };
    assert!(rig.mailboxes[0].post(mail).is_ok());
    let mut steps = 0;
    while confirmed.is_empty() {
        let before = rig.shard.session_count();
        rig.shard.read_mail(ORIGIN_MS);
        assert!(before - rig.shard.session_count() <= REVOKE_ERASED_MAX, "a step is bounded");
        steps += 1;
    }
    // Two of three are void.
    let least = (most - most.div_ceil(3)).div_ceil(REVOKE_ERASED_MAX);
    assert!((least..=least + 3).contains(&steps), "{steps} steps, at least {least}");
    assert_eq!(confirmed.try_recv(), Ok(0));
    assert_eq!(rig.shard.session_count(), most.div_ceil(3));
    let anew = halves(0, most as u64, Suite::Hs256, limits).1;
    rig.admit_for(Owner { client: bad, authenticated_ms: ORIGIN_MS + 1 }, anew);
    assert_eq!(rig.shard.session_count(), most.div_ceil(3) + 1);
    // The pool's result for a login that was under way comes late: it is not kept, and its connection ends.
    let late = halves(0, most as u64 + 1, Suite::Hs256, limits).1;
    rig.admit_for(Owner { client: bad, authenticated_ms: ORIGIN_MS }, late);
    assert_eq!(rig.shard.session_count(), most.div_ceil(3) + 1);
    assert_eq!(rig.counters.sessions_revoked.get(), (most - most.div_ceil(3)) as u64 + 1);
}
