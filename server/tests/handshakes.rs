//! What the pool makes of login frames: how much work, of which kind, and what it reaches (SPEC §12.1.5, §12.4.3, §14).

#[path = "support/rig.rs"]
mod rig;

use std::net::SocketAddr;

use mvt_proto::{
    ClientId, Kind, Limits, Reject, Suite,
    frame::resume::Mode,
    keyfile::KeyFile,
    login::Identity,
    recovery::{self, RecoveryKit},
    resume::{Initiator, Kept, Offer},
    ticket::Terms,
};
use mvt_server::{
    config::{Config, Tickets},
    enrolment::Enrolment,
    handshakes::{Job, judge},
    limits::{
        BUSY_WAIT_MS, LOGIN_FAILURES_OF_ADDRESS_MAX, LOGIN_PAUSE_HASTY_MS, LOGIN_PAUSE_MS,
        LOGINS_PER_CONNECTION_MAX, RETRIES_FREE, RETRIES_PER_SECOND_MAX, ROOM_AFTER_MS, ROOM_SHARE,
    },
    mailbox::{Entrance, Mail},
    node::Node,
    service::ServiceKind,
    shard::{ConnectionId, SweepHand},
    store::record,
    tickets::TicketKeys,
};
use rig::{ORIGIN_MS, Rig, secret};

/// A node with a ring of ticket keys, and one client, which may use HS256 alone.
struct Stage {
    node: Node,
    connection: ConnectionId,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut enrolment = Enrolment::default();
        let alice = record::Identity {
            name: "alice".into(),
            public_key: *Identity::new(secret(7)).public(),
            suites: vec![Suite::Hs256],
            state: record::State::Enabled,
            created_ms: 0,
            changed_ms: 0,
        };
        enrolment.admit(&alice, None);
        let keys = KeyFile { identity: Identity::new(secret(1)), reset_secret: Some(secret(2)) };
        let mut node = Node::new(&Config::default(), keys, enrolment, 1).expect("a node");
        let table = Tickets { ring_file: folder.path().join("ring"), ..Tickets::default() };
        node.tickets = TicketKeys::open(&table, node.clock.now_ms()).expect("a ring");
        let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
        let connection = rig.shard.open(([127, 0, 0, 1], 1).into(), 0).expect("room");
        Self { node, connection, _folder: folder }
    }

    fn kept(&self, client: &str, suite: Suite) -> Kept {
        let now_ms = self.node.clock.now_ms();
        let terms = Terms {
            suite,
            client: ClientId::of_name(client),
            authenticated_ms: now_ms - 1,
            generation: 0,
            psk_alone: false,
            life_ms: 60_000,
        };
        let ring = self.node.tickets.ring();
        let ticket = ring.issue(&terms, &secret(25), &[4; 24], now_ms).expect("a key seals");
        Kept { ticket, resume_secret: secret(25), suite }
    }

    fn resume(&self, kept: &Kept) -> [u8; 512] {
        let offer = Offer {
            server_public: self.node.identity.public(),
            mode: Mode::DiffieHellman,
            login_id: 1,
            cookie: None,
            channel_binding: &[],
        };
        Initiator::start(kept, &offer, &secret(8), secret(9)).1
    }

    fn judge(&self, kind: Kind, frame: &[u8]) -> Result<Entrance, Reject> {
        let job = Job {
            shard: 0,
            connection: self.connection,
            peer: ([127, 0, 0, 1], 1).into(),
            channel_binding: None,
            kind,
            frame: frame.into(),
        };
        match judge(&self.node, &job) {
            Mail::Admitted { newcomer, .. } => Ok(newcomer.entrance),
            Mail::LoginRefused { reject, .. } => Err(reject),
            other => panic!("{other:?}"),
        }
    }

    fn lookups(&self) -> u64 {
        self.node.lookups.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// CASES T-10: each costs one AEAD at most (`TicketRing::open` does no more), and none asks what is known of a client.
#[test]
fn a_flood_of_bad_tickets_reaches_nothing_of_the_store() {
    let stage = Stage::new();
    let kept = stage.kept("alice", Suite::Hs256);
    let honest = stage.resume(&kept);
    for number in 0..5_000usize {
        let mut forged = Kept { ticket: kept.ticket, resume_secret: secret(25), suite: kept.suite };
        // Every byte of the ticket in turn: version, key id, nonce, sealed part, tag.
        forged.ticket[number % 117] ^= 1 + (number / 117) as u8;
        assert_eq!(stage.judge(Kind::Resume, &stage.resume(&forged)), Err(Reject::Ticket), "{number}");
    }
    assert_eq!(stage.lookups(), 0);
    assert_eq!(stage.judge(Kind::Resume, &honest), Ok(Entrance::Resume));
    assert_eq!(stage.lookups(), 1, "this counter lives");
}

/// §12.1.5, §12.2.3: barred, or authenticated before its revocation; judged before the binder.
#[test]
fn a_barred_or_revoked_client_is_refused_before_its_binder_is_looked_at() {
    let stage = Stage::new();
    let kept = stage.kept("alice", Suite::Hs256);
    let stranger = stage.kept("bob", Suite::Hs256);
    let unbound = |kept: Kept| Kept { resume_secret: secret(26), ..kept };
    assert_eq!(stage.judge(Kind::Resume, &stage.resume(&stranger)), Err(Reject::Revoked), "not enrolled");
    assert_eq!(stage.judge(Kind::Resume, &stage.resume(&unbound(stranger))), Err(Reject::Revoked));
    let mut revocations = mvt_server::revocations::Revocations::default();
    revocations.revoke(&ClientId::of_name("alice"), stage.node.clock.now_ms());
    stage.node.revocations.store(std::sync::Arc::new(revocations));
    assert_eq!(stage.judge(Kind::Resume, &stage.resume(&kept)), Err(Reject::Revoked));
    assert_eq!(stage.judge(Kind::Resume, &stage.resume(&unbound(kept))), Err(Reject::Revoked));
}

/// §12.4.3: what the client may use changed after its ticket was sealed.
#[test]
fn a_suite_the_client_may_not_use_any_more_is_refused() {
    let stage = Stage::new();
    let kept = stage.kept("alice", Suite::Gcm256);
    assert_eq!(stage.judge(Kind::Resume, &stage.resume(&kept)), Err(Reject::NoSuite));
}

/// §13.2.2: no recovery secret, no client: the same refusal.
#[test]
fn a_recovery_without_a_secret_to_check_is_refused_like_one_that_does_not_open() {
    let stage = Stage::new();
    for name in ["alice", "nobody"] {
        let kit = RecoveryKit {
            name: name.into(),
            recovery_secret: secret(3),
            server_public: *stage.node.identity.public(),
            recovery_public: *stage.node.recovery_key.public(),
        };
        let offer = recovery::Offer {
            new_identity: &Identity::new(secret(4)),
            suites: &[Suite::Hs256],
            login_id: 1,
            cookie: Some(&[1; 16]),
            channel_binding: &[],
        };
        let (_, frame) = recovery::Initiator::start(&kit, &offer, &secret(5), secret(6)).expect("good keys");
        assert_eq!(stage.judge(Kind::Recover, &frame), Err(Reject::Recovery), "{name}");
    }
}

/// §14.5: a stranger that sends on without end is told so a few times, and not read for a while, longer each time; what it sent before it
/// could know is not looked at. It is none the worse where it waits as told.
#[test]
fn a_stranger_that_sends_login_frames_without_end_is_not_read_for_a_while() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 64, 1);
    let hello = *rig.hello();
    let [patient, hasty] = [7, 8].map(|port| rig.connect(port, ORIGIN_MS));
    for _ in 0..LOGINS_PER_CONNECTION_MAX + RETRIES_FREE {
        rig.shard.ingest(patient, &hello, ORIGIN_MS);
    }
    rig.shard.turn(ORIGIN_MS);
    assert!(rig.shard.wants_read(patient) && !rig.shard.is_held(patient));

    let most = LOGINS_PER_CONNECTION_MAX + RETRIES_FREE + 1;
    let flood = |rig: &mut Rig, now_ms| {
        for _ in 0..100 {
            rig.shard.ingest(hasty, &hello, now_ms);
        }
        rig.shard.turn(now_ms);
        assert!(rig.shard.is_open(hasty) && rig.shard.is_held(hasty) && !rig.shard.wants_read(hasty));
        rig.output(hasty, now_ms).0.len()
    };
    let retry_bytes = flood(&mut rig, ORIGIN_MS) / (RETRIES_FREE as usize + 1);
    assert!((1..hello.len()).contains(&retry_bytes));
    assert_eq!(rig.counters.logins_shed.get(), u64::from(100 - most));
    let mut hand = SweepHand::default();
    let mut resumed_at = |rig: &mut Rig, now_ms| {
        rig.shard.sweep(&mut hand, now_ms, |_| {});
        rig.shard.next_resumed()
    };
    let again_ms = ORIGIN_MS + LOGIN_PAUSE_MS;
    assert_eq!(resumed_at(&mut rig, again_ms - 1), None);
    assert_eq!(resumed_at(&mut rig, again_ms), Some(hasty));
    assert!(rig.shard.wants_read(hasty));
    // One answer more, and a longer while, for it had not waited.
    assert_eq!(flood(&mut rig, again_ms), retry_bytes);
    let later_ms = again_ms + LOGIN_PAUSE_HASTY_MS;
    assert_eq!(resumed_at(&mut rig, later_ms - 1), None);
    assert_eq!(resumed_at(&mut rig, later_ms), Some(hasty));
    assert_eq!(rig.counters.logins_paused.get(), 2);
    // Nor is it waited for until it has seen our last bytes.
    rig.shard.hang_up(hasty, later_ms);
    rig.shard.hang_up(patient, later_ms);
    assert!(rig.shard.is_abrupt(hasty) && !rig.shard.is_abrupt(patient));
}

/// §14.5: one that has a session is read on, for others' requests may come by it, and closed where that is too much.
#[test]
fn a_connection_with_sessions_that_sends_login_frames_without_end_is_closed() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 64, 1);
    let hello = *rig.hello();
    let [patient, hasty] = [7, 8].map(|port| rig.connect(port, ORIGIN_MS));
    for (id, mut session) in [patient, hasty].into_iter().zip(rig.sessions(2, Suite::Hs256, Limits::DEFAULT))
    {
        let mut frame = Vec::new();
        session.seal_request(1, b"first", ORIGIN_MS, &mut frame).map(drop).expect("sealable");
        rig.shard.ingest(id, &frame, ORIGIN_MS);
        rig.shard.turn(ORIGIN_MS);
        assert!(!rig.output(id, ORIGIN_MS).0.is_empty());
    }
    // Four of them wait in the queue; the others are told to wait a quarter of a second.
    for round in 0..40 {
        for _ in 0..12 {
            rig.shard.ingest(patient, &hello, ORIGIN_MS + round * u64::from(BUSY_WAIT_MS));
        }
        rig.shard.turn(ORIGIN_MS + round * u64::from(BUSY_WAIT_MS));
        assert!(rig.shard.is_open(patient) && rig.shard.wants_read(patient), "{round}");
    }
    let most = LOGINS_PER_CONNECTION_MAX + RETRIES_PER_SECOND_MAX;
    for number in 1..=2 * most {
        rig.shard.ingest(hasty, &hello, ORIGIN_MS);
        rig.shard.turn(ORIGIN_MS);
        assert_eq!(rig.shard.is_open(hasty), number <= most, "{number}");
    }
    assert_eq!((rig.counters.logins_cut_off.get(), rig.counters.logins_paused.get()), (1, 0));
    let (output, is_last) = rig.output(hasty, ORIGIN_MS);
    assert!(
        is_last && output.len() < most as usize * hello.len(),
        "what was asked before is answered, with less"
    );
}

/// Nobody who waits for our last bytes sends what no client would: such a connection is not read until its peer closes. One that has
/// verified something may have answers under way.
#[test]
fn a_stranger_that_sends_what_no_client_would_is_not_read_any_more() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
    let mut forged = *rig.hello();
    forged[511] ^= 1;
    let stranger = rig.connect(9, ORIGIN_MS);
    rig.shard.ingest(stranger, &forged, ORIGIN_MS);
    rig.shard.turn(ORIGIN_MS);
    assert!(!rig.shard.is_open(stranger) && rig.shard.is_abrupt(stranger));
    let gone = rig.connect(10, ORIGIN_MS);
    rig.shard.hang_up(gone, ORIGIN_MS);
    assert!(!rig.shard.is_open(gone) && !rig.shard.is_abrupt(gone), "who is done is closed in good order");
}

/// CASES D-04: connections that say nothing keep nobody out; those that have a session are left in peace.
#[test]
fn strangers_that_came_first_give_way_where_places_become_few() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 64, 1);
    let most = rig.node.connections_per_shard_max;
    let session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).pop();
    let mut frame = Vec::new();
    let seal = |mut session: mvt_proto::session::ClientSession| {
        session.seal_request(1, b"", ORIGIN_MS, &mut frame).map(drop)
    };
    session.map(seal).expect("one").expect("sealable");
    let friend = rig.connect(1, ORIGIN_MS);
    rig.shard.ingest(friend, &frame, ORIGIN_MS);
    rig.shard.turn(ORIGIN_MS);
    let mut strangers = Vec::new();
    while rig.shard.connection_count() < most {
        strangers.push(rig.connect(2, ORIGIN_MS));
    }
    let mut hand = SweepHand::default();
    let mut evicted_at = |rig: &mut Rig, now_ms| {
        let mut evicted = Vec::new();
        rig.shard.sweep(&mut hand, now_ms, |id| evicted.push(id));
        evicted.iter().for_each(|id| rig.shard.close(*id));
        evicted
    };
    assert!(evicted_at(&mut rig, ORIGIN_MS + ROOM_AFTER_MS - 1).is_empty(), "they have their time");
    let room = most / ROOM_SHARE;
    // The first of all is the rig's own.
    let evicted = evicted_at(&mut rig, ORIGIN_MS + ROOM_AFTER_MS);
    assert!(evicted.len() == room && evicted[1..] == strangers[..room - 1], "the first to come");
    assert!(evicted_at(&mut rig, ORIGIN_MS + ROOM_AFTER_MS + 1).is_empty(), "no more than that");
    assert!(rig.shard.is_open(friend));
    assert_eq!(rig.counters.strangers_evicted.get(), room as u64);
    rig.connect(3, ORIGIN_MS + ROOM_AFTER_MS + 1);
}

/// Whoever fails again and again is told to wait, before it costs two key agreements more; for a second, and others are not.
#[test]
fn an_address_whose_logins_fail_is_told_to_wait() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
    let hello = *rig.hello();
    let answers_at = |rig: &mut Rig, now_ms| {
        let id = rig.connect(12, now_ms);
        rig.shard.ingest(id, &hello, now_ms);
        rig.shard.turn(now_ms);
        rig.output(id, now_ms).0.len()
    };
    assert_eq!(answers_at(&mut rig, ORIGIN_MS), 0, "it is worked on");
    let here = SocketAddr::from(([127, 0, 0, 1], 99));
    // One that shares no place with ours: each is tried in a second of its own.
    let elsewhere = (1..=255u8)
        .find_map(|last| {
            let (peer, second_ms) = (([192, 0, 2, last], 12).into(), ORIGIN_MS - 1_000 * u64::from(last));
            (0..LOGIN_FAILURES_OF_ADDRESS_MAX).for_each(|_| rig.handshakes.note_failure(peer, second_ms));
            (!rig.handshakes.fails_too_often(here, second_ms)).then_some(peer)
        })
        .expect("not all share one place");
    for (peer, is_told) in [(elsewhere, false), (here, true)] {
        for _ in 0..LOGIN_FAILURES_OF_ADDRESS_MAX {
            rig.handshakes.note_failure(peer, ORIGIN_MS);
        }
        assert_eq!(answers_at(&mut rig, ORIGIN_MS) > 0, is_told, "{peer}");
    }
    assert_eq!(answers_at(&mut rig, ORIGIN_MS + 1_000), 0, "the next second");
}
