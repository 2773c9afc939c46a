//! All sessions renew because an operator asks for it: each once, a few at a time, and no request fails (SPEC §11.2.1; CASES K-08).

#[path = "support/rig.rs"]
mod rig;

use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    session::{Answer, ClientSession, Outstanding},
};
use mvt_server::{
    limits::{ROTATION_PER_SECOND_MAX, ROTATION_PER_TURN_MAX, SWEEP_INTERVAL_MS},
    mailbox::Mail,
    service::ServiceKind,
    shard::{ConnectionId, SweepHand},
};
use rig::{ORIGIN_MS, Rig, secret};

const LIMITS: Limits = Limits::DEFAULT;

struct World {
    rig: Rig,
    connection: ConnectionId,
    sessions: Vec<(ClientSession, Outstanding<()>)>,
    hand: SweepHand,
    seed: u64,
    now_ms: u64,
}

impl World {
    fn new(count: u64) -> Self {
        let mut rig = Rig::new(ServiceKind::Verdict, LIMITS, count as usize + 8, 1);
        let sessions = rig.sessions(count, Suite::Hs256, LIMITS);
        let sessions = sessions.into_iter().map(|session| (session, Outstanding::default())).collect();
        let connection = rig.connect(1, ORIGIN_MS);
        let mut world =
            Self { rig, connection, sessions, hand: SweepHand::default(), seed: 1 << 32, now_ms: ORIGIN_MS };
        (0..count as usize).for_each(|number| world.request(number));
        world
    }

    /// A request of this session in a turn of its own, its answer, and what follows from that.
    fn request(&mut self, number: usize) {
        let (now_ms, mut bytes) = (self.now_ms, Vec::new());
        let (session, outstanding) = &mut self.sessions[number];
        let sealed = session.seal_request(3, b"twenty bytes of load", now_ms, &mut bytes).expect("sealable");
        outstanding.push(&sealed, ());
        let mut answered = 0;
        while !bytes.is_empty() {
            self.rig.shard.ingest(self.connection, &bytes, now_ms);
            self.rig.shard.turn(now_ms);
            while self.rig.shard.next_dirty().is_some() {}
            let (mut answers, _) = self.rig.output(self.connection, now_ms);
            bytes.clear();
            let mut rest = &mut answers[..];
            while let [high, low, ..] = rest {
                let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                let (frame, after) = rest.split_at_mut(length);
                answered += self.take(number, frame, &mut bytes);
                rest = after;
            }
            self.rig.shard.sent(self.connection, answers);
            self.rig.fill_stock();
        }
        assert_eq!(answered, 1, "every request is executed");
    }

    fn take(&mut self, number: usize, frame: &mut [u8], out: &mut Vec<u8>) -> usize {
        let header = Header::parse(frame, Role::Client).expect("well formed");
        let (session, outstanding) = &mut self.sessions[number];
        if header.kind == Kind::Ctl {
            self.seed += 1;
            session.control(&header, frame, secret(self.seed), self.now_ms, out).expect("an honest CTL");
            return 0;
        }
        let (pending, ()) = outstanding.get(header.generation, header.counter).expect("it waits");
        let answer = session.open_answer(pending, &header, frame, self.now_ms);
        assert!(matches!(answer, Ok(Answer::Response { .. })), "{answer:?}");
        outstanding.remove(header.generation, header.counter);
        1
    }

    fn rotate(&mut self, within_ms: u64) {
        assert!(self.rig.mailboxes[0].post(Mail::Renew { within_ms }).is_ok());
        self.rig.shard.read_mail(self.now_ms);
    }

    fn tick(&mut self) {
        while self.rig.shard.reclaim(self.now_ms) {}
        self.rig.shard.sweep(&mut self.hand, self.now_ms, |_| ());
    }

    fn offers(&self) -> u64 {
        self.rig.counters.offers.get()
    }

    fn generations(&self) -> Vec<u16> {
        self.sessions.iter().map(|(session, _)| session.generation()).collect()
    }
}

#[test]
fn every_session_renews_once_and_never_more_than_a_few_in_a_turn() {
    const COUNT: usize = 600;
    const WITHIN_MS: u64 = 2_000;
    let mut world = World::new(COUNT as u64);
    world.now_ms += 1_000;
    world.rotate(WITHIN_MS);
    let begun_ms = world.now_ms;
    let mut number = 0;
    while world.now_ms < begun_ms + WITHIN_MS + 1_000 {
        world.now_ms += 1;
        let before = world.rig.counters.rotations_asked.get();
        world.request(number);
        let asked = world.rig.counters.rotations_asked.get() - before;
        assert!(asked <= 3 * ROTATION_PER_TURN_MAX, "{asked} in a request and the CTLs of its renewal");
        let passed_ms = world.now_ms - begun_ms;
        let at_most = COUNT as u64 * passed_ms / WITHIN_MS + 1;
        assert!(world.offers() <= at_most, "{} offers after {passed_ms} ms", world.offers());
        // Each has its turn several times in these seconds.
        number = (number + 7) % COUNT;
        if world.now_ms.is_multiple_of(SWEEP_INTERVAL_MS) {
            world.tick();
        }
    }
    assert!(world.generations().iter().all(|generation| *generation == 1), "{:?}", world.generations());
    assert_eq!(world.offers(), COUNT as u64, "once, although the shard goes round and round");
}

#[test]
fn a_pace_that_is_too_fast_is_bounded() {
    const COUNT: u64 = 1_000;
    let mut world = World::new(COUNT);
    world.now_ms += 10;
    world.rotate(1);
    for _ in 0..4 {
        world.now_ms += SWEEP_INTERVAL_MS;
        world.tick();
    }
    let asked = world.rig.counters.rotations_asked.get();
    assert_eq!(asked, 4 * SWEEP_INTERVAL_MS * ROTATION_PER_SECOND_MAX / 1000, "no turn, so by ticks alone");
}

/// One whose OFFER was made before, and who takes it up after, has keys of before until it renews again; one that began after has not.
#[test]
fn what_was_offered_before_is_renewed_again_and_what_began_after_is_not() {
    let mut world = World::new(2);
    world.now_ms += 10;
    // An OFFER that its client takes up later: asked for, and sealed with the next request's answer.
    world.rotate(1);
    world.now_ms += 100;
    world.tick();
    world.request(0);
    assert_eq!((world.offers(), world.generations()[0]), (1, 1), "the client holds the offered generation");
    world.now_ms += 10;
    world.rotate(1);
    world.request(0);
    for _ in 0..100 {
        world.now_ms += SWEEP_INTERVAL_MS;
        world.tick();
        world.request(0);
    }
    assert_eq!(world.generations()[0], 2, "renewed again, and then no more");
    world.request(1);
    world.request(1);
    assert_eq!(world.generations()[1], 1, "idle until then");
}
