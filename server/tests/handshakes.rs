//! What the pool makes of login frames: how much work, of which kind, and what it reaches (SPEC §12.1.5, §12.4.3, §14).

#[path = "support/rig.rs"]
mod rig;

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
        ACCEPTS_PER_INTERVAL_MAX, BUSY_WAIT_MS, LOGINS_PER_CONNECTION_MAX, RETRIES_PER_SECOND_MAX,
        SWEEP_INTERVAL_MS,
    },
    mailbox::{Entrance, Mail},
    node::Node,
    service::ServiceKind,
    shard::ConnectionId,
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
        let job =
            Job { shard: 0, connection: self.connection, channel_binding: None, kind, frame: frame.into() };
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

/// §14.5: BUSY or a cookie to bring, and again. Who waits as told is never near the bound.
#[test]
fn a_connection_that_sends_login_frames_without_end_is_closed() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 64, 1);
    let hello = *rig.hello();
    let [patient, hasty] = [7, 8].map(|port| rig.connect(port, ORIGIN_MS));
    // Four of them wait in the queue; the others are told to wait a quarter of a second. As many as that at once make the bound.
    for round in 0..40 {
        for _ in 0..RETRIES_PER_SECOND_MAX * BUSY_WAIT_MS / 1_000 {
            rig.shard.ingest(patient, &hello, ORIGIN_MS + round * u64::from(BUSY_WAIT_MS));
        }
        rig.shard.turn(ORIGIN_MS + round * u64::from(BUSY_WAIT_MS));
        assert!(rig.shard.is_open(patient), "{round}");
    }
    let most = LOGINS_PER_CONNECTION_MAX + RETRIES_PER_SECOND_MAX;
    for number in 1..=2 * most {
        rig.shard.ingest(hasty, &hello, ORIGIN_MS);
        rig.shard.turn(ORIGIN_MS);
        assert_eq!(rig.shard.is_open(hasty), number <= most, "{number}");
    }
    assert_eq!(rig.counters.logins_cut_off.get(), 1);
    let (output, is_last) = rig.output(hasty, ORIGIN_MS);
    assert!(
        is_last && output.len() < most as usize * hello.len(),
        "what was asked before is answered, with less"
    );
}

/// Who is cut off comes back: by no more connections than the shard can bear beside its sessions.
#[test]
fn while_logins_wait_connections_are_taken_in_at_a_pace() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
    let hello = *rig.hello();
    let mut port = 0;
    let mut connect = |rig: &mut Rig, now_ms| {
        port += 1;
        rig.connect(port, now_ms)
    };
    for _ in 0..2 * ACCEPTS_PER_INTERVAL_MAX {
        connect(&mut rig, ORIGIN_MS);
        assert!(rig.shard.wants_accept(), "nobody logs in");
    }
    // More than half of the queue of sixteen.
    let mut now_ms = ORIGIN_MS + SWEEP_INTERVAL_MS;
    for _ in 0..3 {
        let id = connect(&mut rig, now_ms);
        for _ in 0..LOGINS_PER_CONNECTION_MAX {
            rig.shard.ingest(id, &hello, now_ms);
        }
        rig.shard.turn(now_ms);
    }
    for count in 4..=ACCEPTS_PER_INTERVAL_MAX {
        connect(&mut rig, now_ms);
        assert_eq!(rig.shard.wants_accept(), count < ACCEPTS_PER_INTERVAL_MAX, "{count}");
    }
    assert_eq!(rig.counters.accepts_paused.get(), 1);
    now_ms += SWEEP_INTERVAL_MS;
    connect(&mut rig, now_ms);
    assert!(rig.shard.wants_accept(), "the next interval");
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

/// Where no core is ever idle the others do not run: here there are none.
#[test]
fn the_steady_thread_lets_clients_in_by_itself() {
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
    rig.start_logins(0);
    let hello = *rig.hello();
    let id = rig.connect(11, ORIGIN_MS);
    for _ in 0..LOGINS_PER_CONNECTION_MAX {
        rig.shard.ingest(id, &hello, ORIGIN_MS);
    }
    rig.shard.turn(ORIGIN_MS);
    let refused = |rig: &Rig| {
        rig.counters
            .rejects()
            .find(|(name, _)| *name == Reject::UnknownClient.name())
            .map_or(0, |(_, count)| count)
    };
    let begun = std::time::Instant::now();
    while refused(&rig) < u64::from(LOGINS_PER_CONNECTION_MAX) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{} came back", refused(&rig));
        std::thread::sleep(std::time::Duration::from_millis(1));
        rig.shard.read_mail(ORIGIN_MS);
    }
}

/// proc(5): policy is the 41st field; 5 is SCHED_IDLE.
#[test]
fn login_threads_but_the_steady_one_run_only_when_nothing_else_does() {
    let rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 4, 1);
    rig.start_logins(1);
    let policies = || {
        let mut found = std::collections::BTreeMap::new();
        for task in std::fs::read_dir("/proc/self/task").expect("our threads").flatten() {
            let Ok(text) = std::fs::read_to_string(task.path().join("stat")) else { continue };
            let Some((name, fields)) = text.rsplit_once(") ") else { continue };
            let name = name.split_once('(').map_or("", |(_, name)| name).to_owned();
            let policy = fields.split(' ').nth(38).and_then(|field| field.parse::<u32>().ok());
            // Tests of one process have threads of the same names: all of them are to become so.
            let is_idle = found.entry(name).or_insert(true);
            *is_idle &= policy == Some(5);
        }
        found
    };
    let begun = std::time::Instant::now();
    while policies().get("mvt-login-0") != Some(&true) || policies().get("mvt-login-s") != Some(&false) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", policies());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
