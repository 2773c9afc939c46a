//! The key agreement of a renewal at a shard: the pool computes it, the first request that needs it has it computed, and a result
//! that is of no use any more has no effect (SPEC §11.2.7).

#[path = "support/rig.rs"]
mod rig;

use std::sync::Arc;

use crossbeam::channel::bounded;
use mvt_proto::{
    ClientId, Header, Kind, Limits, Reject, Role, Suite,
    constants::{HEADER_BYTES, STAY_MS},
    frame::control::{About, Control},
    framer::{self, Cut},
    header::key_id,
    lost::LostKey,
    schedule::GenerationKeys,
    session::{Answer, ClientSession, Granted, Outstanding, ServerSession, Told},
};
use mvt_server::{
    limits::AGREEMENTS_COUNT_MAX, mailbox::Mail, owner::Owner, revocations::Revoked, service::ServiceKind,
    shard::ConnectionId,
};
use rig::{NODE_SLOT, ORIGIN_MS, Rig, secret};

/// Of sessions in generation 7: the first OFFER comes with the second request, and has form 1.
const LIMITS: Limits = Limits { renew_after_requests: 2, ..Limits::DEFAULT };
const GENERATION: u16 = 7;

fn client_of(number: u64) -> ClientId {
    ClientId::of_name(&format!("client {number}"))
}

struct Party {
    session: ClientSession,
    outstanding: Outstanding<()>,
    connection: ConnectionId,
    control_c2s: mvt_proto::secret::Secret,
    seed: u64,
}

struct World {
    rig: Rig,
    parties: Vec<Party>,
    now_ms: u64,
    executed: u64,
    lost: u64,
}

impl World {
    /// So many sessions, each of which was offered a generation and has a SHARE to send.
    fn offered(count: u64) -> (Self, Vec<Vec<u8>>) {
        let mut rig = Rig::new(ServiceKind::Verdict, LIMITS, count as usize + 1, 1);
        let parties = (0..count).map(|number| {
            let suite = Suite::ALL[number as usize % 2].0;
            let key_id = key_id(NODE_SLOT, 0, number + 1);
            let keys = || GenerationKeys::derive(secret(number), key_id, GENERATION);
            let granted = Granted {
                key_id,
                suite,
                limits: LIMITS,
                server_time_ms: ORIGIN_MS,
                keys: keys(),
                lost_key: LostKey::new([1; 16]),
            };
            let owner = Owner { client: client_of(number), authenticated_ms: ORIGIN_MS };
            rig.admit_for(owner, ServerSession::new(key_id, suite, LIMITS, keys(), ORIGIN_MS));
            Party {
                session: ClientSession::new(granted, ORIGIN_MS),
                outstanding: Outstanding::default(),
                connection: rig.connect(number as u16, ORIGIN_MS),
                control_c2s: keys().control_c2s,
                seed: 1 << 32 | number,
            }
        });
        let parties = parties.collect();
        let mut world = Self { rig, parties, now_ms: ORIGIN_MS + 1, executed: 0, lost: 0 };
        let shares = (0..count as usize)
            .map(|number| {
                world.rig.fill_stock();
                let mut share = Vec::new();
                for _ in 0..2 {
                    let request = world.seal(number);
                    share.extend(world.send(number, &request));
                }
                assert!(!share.is_empty(), "an OFFER of form 1 came");
                share
            })
            .collect();
        world.executed = 0;
        (world, shares)
    }

    fn seal(&mut self, number: usize) -> Vec<u8> {
        let Party { session, outstanding, .. } = &mut self.parties[number];
        let mut frame = Vec::new();
        let sealed = session.seal_request(3, b"load", self.now_ms, &mut frame).expect("sealable");
        outstanding.push(&sealed, ());
        frame
    }

    /// The last request of the generation, and the first of the next, of a client that has stayed.
    fn last_and_first(&mut self, number: usize) -> [Vec<u8>; 2] {
        self.now_ms += STAY_MS;
        let frames = [self.seal(number), self.seal(number)];
        let generations =
            frames.each_ref().map(|frame| Header::parse(frame, Role::Server).expect("ours").generation);
        assert_eq!(generations, [GENERATION, GENERATION + 1]);
        frames
    }

    /// Bytes arrive in one turn; every answer is heard. What the client says to that comes back.
    fn send(&mut self, number: usize, bytes: &[u8]) -> Vec<u8> {
        let connection = self.parties[number].connection;
        self.rig.shard.ingest(connection, bytes, self.now_ms);
        self.rig.shard.turn(self.now_ms);
        while self.rig.shard.next_dirty().is_some() {}
        let (mut output, _) = self.rig.output(connection, self.now_ms);
        let (mut rest, mut says) = (&mut output[..], Vec::new());
        while let Ok(Cut::Frame(length)) = framer::cut(rest, Role::Client) {
            let (frame, after) = rest.split_at_mut(length);
            rest = after;
            self.hear(number, frame, &mut says);
        }
        says
    }

    fn hear(&mut self, number: usize, frame: &mut [u8], says: &mut Vec<u8>) {
        let Party { session, outstanding, seed, .. } = &mut self.parties[number];
        let header = Header::parse(frame, Role::Client).expect("well formed");
        if header.kind == Kind::Ctl {
            let told = session.control(&header, frame, secret(*seed), self.now_ms, says);
            assert!(matches!(told, Ok(Told::Renewed | Told::Nothing | Told::Ticket(_))), "{told:?}");
            return;
        }
        if header.kind == Kind::Lost {
            assert_eq!(frame.len(), HEADER_BYTES + 16);
            self.lost += 1;
            return;
        }
        // A copy of what was answered is answered with an ERR.
        let Some((pending, ())) = outstanding.get(header.generation, header.counter) else {
            return assert_eq!(header.kind, Kind::Err);
        };
        let answer = session.open_answer(pending, &header, frame, self.now_ms);
        assert!(matches!(answer, Ok(Answer::Response { .. })), "{answer:?}");
        outstanding.remove(header.generation, header.counter);
        self.executed += 1;
    }

    fn pool_works(&self) {
        self.rig.handshakes.work_off_agreements(&self.rig.mailboxes);
    }

    fn read_mail(&mut self) {
        self.rig.shard.read_mail(self.now_ms);
    }

    /// SHAREs, agreements computed by the pool and by the shard, generations committed.
    fn counted(&mut self) -> [u64; 4] {
        self.rig.shard.reclaim(self.now_ms);
        let counters = &self.rig.counters;
        [&counters.shares, &counters.agreements_pooled, &counters.agreements_inline, &counters.renewals]
            .map(|counter| counter.get())
    }

    fn refused(&self, reject: Reject) -> u64 {
        let found = self.rig.counters.rejects().find(|(name, _)| *name == reject.name());
        found.expect("every reason is counted").1
    }

    fn revoke(&mut self, number: u64) {
        let mut revoked = Revoked::default();
        revoked.revoke(&client_of(number), self.now_ms);
        let (confirm, confirmed) = bounded(1);
        let mail = Mail::Revoke { revoked: Arc::new(revoked), confirm };
        assert!(self.rig.mailboxes[0].post(mail).is_ok());
        self.read_mail();
        assert_eq!(confirmed.try_recv(), Ok(0));
    }
}

#[test]
fn the_pool_computes_it_while_requests_go_on() {
    let (mut world, shares) = World::offered(1);
    world.send(0, &shares[0]);
    assert_eq!(world.counted(), [1, 0, 0, 0]);
    let request = world.seal(0);
    world.send(0, &request);
    assert_eq!(world.executed, 1, "of the generation that goes on");
    world.pool_works();
    assert_eq!(world.counted(), [1, 0, 0, 0], "it comes by mail");
    world.read_mail();
    assert_eq!(world.counted(), [1, 1, 0, 0]);
    let frames = world.last_and_first(0);
    world.send(0, &frames.concat());
    assert_eq!((world.executed, world.counted()), (3, [1, 1, 0, 1]));
}

#[test]
fn a_request_behind_the_share_has_it_computed_and_nobody_does_it_twice() {
    let (mut world, shares) = World::offered(1);
    let [last, first] = world.last_and_first(0);
    world.send(0, &[&shares[0][..], &last, &first].concat());
    assert_eq!((world.executed, world.counted()), (2, [1, 0, 1, 1]));
    world.pool_works();
    assert!(world.rig.mailboxes[0].take().is_none(), "nobody waited for it");
    world.send(0, &first);
    assert_eq!(world.refused(Reject::Replay), 1);
}

/// The pool and the request at the same time.
#[test]
fn a_result_that_lies_in_the_mailbox_too_long_is_dropped() {
    let (mut world, shares) = World::offered(1);
    world.send(0, &shares[0]);
    world.pool_works();
    let [last, first] = world.last_and_first(0);
    world.send(0, &[last, first.clone()].concat());
    assert_eq!((world.executed, world.counted()), (2, [1, 0, 1, 1]));
    world.read_mail();
    assert_eq!(world.counted(), [1, 0, 1, 1]);
    world.send(0, &first);
    assert_eq!(world.refused(Reject::Replay), 1, "the window is the one it was");
    let next = world.seal(0);
    world.send(0, &next);
    assert_eq!(world.executed, 3);
}

#[test]
fn a_result_for_a_session_that_was_revoked_is_dropped() {
    let (mut world, shares) = World::offered(2);
    // Computed, and read after the session has gone.
    world.send(0, &shares[0]);
    world.pool_works();
    let mail = world.rig.mailboxes[0].take().expect("the result");
    world.revoke(0);
    assert_eq!(world.rig.shard.session_count(), 1);
    assert!(world.rig.mailboxes[0].post(mail).is_ok());
    world.read_mail();
    // Not even begun when it goes.
    world.send(1, &shares[1]);
    world.revoke(1);
    world.pool_works();
    assert!(world.rig.mailboxes[0].take().is_none(), "nobody waits for it");
    let frames = world.last_and_first(0);
    world.send(0, &frames.concat());
    assert_eq!((world.executed, world.lost, world.counted()), (0, 2, [2, 0, 0, 0]));
    assert_eq!((world.refused(Reject::UnknownKey), world.rig.shard.session_count()), (2, 0));
}

/// Another session of the same key id, in the same generation, with an offer of its own.
#[test]
fn a_result_of_another_offer_is_dropped() {
    let (mut old, old_shares) = World::offered(1);
    old.send(0, &old_shares[0]);
    old.pool_works();
    let mail = old.rig.mailboxes[0].take().expect("the result");
    let (mut world, shares) = World::offered(1);
    world.send(0, &shares[0]);
    assert!(world.rig.mailboxes[0].post(mail).is_ok());
    world.read_mail();
    assert_eq!(world.counted(), [1, 0, 0, 0]);
    let frames = world.last_and_first(0);
    world.send(0, &frames.concat());
    assert_eq!((world.executed, world.counted()), (2, [1, 0, 1, 1]));
}

#[test]
fn where_the_pool_has_no_room_the_first_request_has_it_computed() {
    let (mut world, shares) = World::offered(AGREEMENTS_COUNT_MAX as u64 + 1);
    for (number, share) in shares.iter().enumerate() {
        world.send(number, share);
    }
    assert_eq!(world.rig.counters.agreements_unqueued.get(), 1);
    let frames = world.last_and_first(AGREEMENTS_COUNT_MAX);
    world.send(AGREEMENTS_COUNT_MAX, &frames.concat());
    world.pool_works();
    world.read_mail();
    let most = AGREEMENTS_COUNT_MAX as u64;
    assert_eq!((world.executed, world.counted()), (2, [most + 1, most, 1, 1]));
}

/// Who forges frames has computed what a SHARE had asked for, once, and is told what everybody is.
#[test]
fn a_forged_frame_has_it_computed_once() {
    let (mut world, shares) = World::offered(1);
    let [last, first] = world.last_and_first(0);
    let mut forged = first.clone();
    *forged.last_mut().expect("a tag") ^= 1;
    world.send(0, &forged);
    assert_eq!((world.counted(), world.refused(Reject::NoSlot)), ([0, 0, 0, 0], 1), "before the SHARE");
    world.send(0, &shares[0]);
    let mut no_ack = first.clone();
    no_ack[3] &= !2;
    world.send(0, &no_ack);
    assert_eq!(
        (world.counted(), world.refused(Reject::NoSlot)),
        ([1, 0, 0, 0], 2),
        "without `ack` it cannot be"
    );
    world.send(0, &[&forged[..], &forged].concat());
    assert_eq!((world.counted(), world.refused(Reject::BadTag)), ([1, 0, 1, 0], 2));
    assert_eq!(world.lost, 4);
    world.send(0, &[last, first].concat());
    assert_eq!((world.executed, world.counted()), (2, [1, 0, 1, 1]));
}

/// §10.3.1: a point of low order ends the session when it is judged; there is nothing to compute.
#[test]
fn a_bad_point_ends_the_session_before_anything_is_computed() {
    let (mut world, shares) = World::offered(1);
    let offered_ms = Header::parse(&shares[0], Role::Server).expect("ours").timestamp;
    let key_id = world.parties[0].session.key_id();
    let about = About { key_id, generation: GENERATION, timestamp: offered_ms };
    let mut share = Vec::new();
    Control::Share.seal(&world.parties[0].control_c2s, about, &[0; 32], &mut share);
    world.send(0, &share);
    world.pool_works();
    assert!(world.rig.mailboxes[0].take().is_none());
    assert_eq!((world.rig.shard.session_count(), world.refused(Reject::Control)), (0, 1));
}

/// A SHARE that comes again, and the OFFER's second sending, while it is computed (§11.2.3, §11.2.6).
#[test]
fn a_repeated_share_asks_for_nothing_more() {
    let (mut world, shares) = World::offered(1);
    world.send(0, &[&shares[0][..], &shares[0]].concat());
    world.now_ms += 1_000;
    let frames = world.last_and_first(0);
    let share = world.send(0, &frames[0]);
    assert_eq!(share, shares[0], "the OFFER came once more");
    world.send(0, &share);
    world.pool_works();
    assert!(world.rig.mailboxes[0].take().is_some() && world.rig.mailboxes[0].take().is_none(), "one result");
    world.send(0, &frames[1]);
    assert_eq!((world.executed, world.counted()), (2, [1, 0, 1, 1]));
}
