//! Frames that arrive at one shard and are another's (SPEC §17.1.2): none is lost, whatever is full, and nobody waits for ever.

#[path = "support/rig.rs"]
mod rig;

use std::{collections::VecDeque, io::Read, os::unix::net::UnixStream};

use mvt_proto::{
    ClientId, Header, Limits, Role, Suite,
    constants::PAYLOAD_BYTES_MAX,
    framer::{self, Cut},
    login::Admitted,
    session::{Answer, ClientSession, Pending},
};
use mvt_server::{
    limits::{HELD_BYTES_MAX, MAILBOX_BYTES_MAX, STALL_MS},
    mailbox::{Entrance, Mail, Newcomer},
    owner::Owner,
    service::ServiceKind,
    shard::{ConnectionId, Shard, SweepHand},
};
use rig::{ORIGIN_MS, Rig, halves};

/// So many that a passage between two of them is short.
const SHARDS: usize = 33;
const OP: u16 = 9;
const NOW_MS: u64 = ORIGIN_MS + 5;

/// A shard as a driver sees it, and a client whose connection it has and whose session another shard has.
struct Side {
    index: usize,
    shard: Shard,
    waiter: UnixStream,
    connection: ConnectionId,
    session: ClientSession,
    /// Of each request.
    payload: Vec<u8>,
    sent: VecDeque<Pending>,
    output: Vec<u8>,
    /// The shard has said its last word on the connection.
    is_over: bool,
}

/// Shards 0 and 1, each with a client whose session is the other's.
fn sides(service: ServiceKind) -> (Rig, [Side; 2]) {
    let mut rig = Rig::new(service, Limits::DEFAULT, 8, SHARDS);
    let mut sessions = [0u8, 1].map(|owner| Some(halves(owner, owner.into(), Suite::Hs256, Limits::DEFAULT)));
    rig.waiters.truncate(2);
    let [second, first] = [rig.waiters.pop(), rig.waiters.pop()].map(|waiter| waiter.expect("two"));
    let mut shards = [(0, first), (1, second)].map(|(index, waiter)| {
        let mut shard = rig.neighbour(index, service);
        let connection = shard.open(([127, 0, 0, 1], 9).into(), ORIGIN_MS).expect("room");
        let (client, server) = sessions[index].take().expect("once");
        shard.ingest(connection, rig.hello(), ORIGIN_MS);
        shard.turn(ORIGIN_MS);
        let newcomer = Newcomer {
            admitted: Admitted { answer: Vec::new(), session: server },
            owner: Owner { client: ClientId::of_name("tester"), authenticated_ms: ORIGIN_MS },
            psk_alone: false,
            entrance: Entrance::Login,
        };
        let mail = Mail::Admitted { connection, newcomer: Box::new(newcomer) };
        assert!(rig.mailboxes[index].post(mail).is_ok());
        shard.read_mail(ORIGIN_MS);
        let (payload, sent, output) = Default::default();
        Side { index, shard, waiter, connection, session: client, payload, sent, output, is_over: false }
    });
    let [zero, one] = &mut shards;
    std::mem::swap(&mut zero.session, &mut one.session);
    for side in &mut shards {
        side.take_output();
        side.output.clear();
    }
    (rig, shards)
}

impl Side {
    fn frame(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let pending = self.session.seal_request(OP, payload, NOW_MS, &mut frame).expect("sealable");
        self.sent.push_back(pending);
        frame
    }

    fn wants_read(&mut self) -> bool {
        self.shard.wants_read(self.connection)
    }

    /// As a driver: the connection is read only where the shard wants it.
    fn feed(&mut self, count: usize) -> bool {
        if !self.wants_read() {
            return false;
        }
        for _ in 0..count {
            let frame = self.frame(&self.payload.clone());
            self.shard.ingest(self.connection, &frame, NOW_MS);
        }
        self.shard.turn(NOW_MS);
        self.take_output();
        true
    }

    /// As a driver: mail is looked for when the mailbox woke us, and only then.
    fn read_mail_if_woken(&mut self) -> bool {
        if !matches!(self.waiter.read(&mut [0; 64]), Ok(1..)) {
            return false;
        }
        self.shard.read_mail(NOW_MS);
        while let Some(id) = self.shard.next_resumed() {
            assert!(self.shard.wants_read(id) || !self.shard.is_open(id));
        }
        self.take_output();
        true
    }

    fn take_output(&mut self) {
        while let Some(id) = self.shard.next_dirty() {
            let mut output = Vec::new();
            assert!(!self.is_over || output.is_empty(), "nothing comes after the last word");
            self.is_over |= self.shard.take_output(id, &mut output, NOW_MS) && id == self.connection;
            self.output.extend_from_slice(&output);
            self.shard.sent(id, output);
        }
    }

    /// Opens the answers that came: each to the oldest request that has none.
    fn check_answers(&mut self) {
        let mut bytes = std::mem::take(&mut self.output);
        let mut at = 0;
        while let Ok(Cut::Frame(length)) = framer::cut(&bytes[at..], Role::Client) {
            let frame = &mut bytes[at..at + length];
            let header = Header::parse(frame, Role::Client).expect("well formed");
            let pending = self.sent.pop_front().expect("one answer for each");
            let answer =
                self.session.open_answer(&pending, &header, frame, NOW_MS).expect("in order, authentic");
            assert!(matches!(answer, Answer::Response { .. }), "{answer:?}");
            at += length;
        }
        assert_eq!(at, bytes.len());
    }

    fn counted(&self, name: &str) -> u64 {
        self.shard.counters().events().find(|(row, _)| *row == name).expect("a counter").1
    }
}

/// M-02: no tick and no timer helps here, so a wake-up that is not given is seen as a world asleep.
#[test]
fn frames_of_two_shards_that_are_full_of_each_other_are_all_answered_in_order() {
    // A passage is full by number, by bytes, or now by these and now by those; answers too, where they are as large.
    for (seed, payload_bytes) in (1..=3u64).map(|seed| (seed, [0, 0])).chain([
        (4, [PAYLOAD_BYTES_MAX; 2]),
        (5, [PAYLOAD_BYTES_MAX, 0]),
        (6, [900, 3000]),
    ]) {
        let (_rig, mut sides) = sides(ServiceKind::Echo);
        for (side, bytes) in sides.iter_mut().zip(payload_bytes) {
            side.payload = vec![7; bytes];
        }
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        // Both are fed until neither can be: full of each other's requests.
        while sides.iter_mut().any(|side| side.feed(37)) {}
        assert!(sides.iter().all(|side| side.counted("forward_paused") == 1), "seed {seed}");
        let mut left = [20, 20];
        loop {
            // Now one of them for a while, now the other: each finds what the other has left full.
            let at = below(2) as usize;
            for _ in 0..below(64) {
                let count = 1 + below(300) as usize / (1 + payload_bytes[at] / 1000);
                if left[at] > 0 && below(2) > 0 && sides[at].feed(count) {
                    left[at] -= 1;
                } else {
                    sides[at].read_mail_if_woken();
                }
                sides[at].check_answers();
            }
            if left == [0, 0] && sides.iter().all(|side| side.sent.is_empty()) {
                break;
            }
            let may_feed = (0..2).any(|at| left[at] > 0 && sides[at].wants_read());
            let is_asleep = !may_feed && !sides.iter_mut().any(Side::read_mail_if_woken);
            sides.iter_mut().for_each(Side::check_answers);
            let waits = sides.iter().any(|side| !side.sent.is_empty());
            assert!(!(is_asleep && waits), "seed {seed}: somebody waits and nobody wakes");
        }
        for side in &sides {
            assert!(side.counted("forward_paused") > 1, "seed {seed}: it was full now and then");
            assert_eq!(
                side.counted("forward_dropped") + side.counted("forward_unanswered"),
                0,
                "seed {seed}"
            );
            assert_eq!(side.counted("verified"), sides[1 - side.index].counted("forwarded"), "seed {seed}");
        }
    }
}

#[test]
fn a_connection_held_up_for_too_long_is_closed_and_no_other() {
    let (_rig, [mut side, mut still]) = sides(ServiceKind::Verdict);
    // A connection that has shown nothing has a deadline of its own.
    assert!(side.feed(1) && still.read_mail_if_woken() && side.read_mail_if_woken());
    side.check_answers();
    let other = side.shard.open(([127, 0, 0, 1], 10).into(), NOW_MS).expect("room");
    while side.feed(50) {}
    let mut hand = SweepHand::default();
    let mut sweep = |side: &mut Side, now_ms| side.shard.sweep(&mut hand, now_ms, |_| {});
    sweep(&mut side, NOW_MS + STALL_MS);
    assert!(side.shard.is_open(side.connection) && side.shard.is_open(other));
    let held = 1 + side.sent.len() as u64 - side.counted("forwarded");
    assert!(held > 0 && side.shard.is_held(side.connection));
    sweep(&mut side, NOW_MS + STALL_MS + 1);
    assert!(!side.shard.is_open(side.connection) && side.counted("forward_dropped") == held);
    assert!(!side.shard.is_held(side.connection), "and what waited is gone");
}

#[test]
fn what_waits_is_bounded_whatever_the_driver_reads() {
    let (_rig, [mut side, _still]) = sides(ServiceKind::Verdict);
    let payload = vec![7; PAYLOAD_BYTES_MAX];
    let frame_bytes = side.frame(&payload).len();
    let mut most = 0;
    while side.shard.is_open(side.connection) {
        let frame = side.frame(&payload);
        side.shard.ingest(side.connection, &frame, NOW_MS);
        side.shard.turn(NOW_MS);
        most += 1;
        assert!(most * frame_bytes < 2 * HELD_BYTES_MAX, "it has to end");
    }
    // CASES D-11: by bytes, long before their number.
    let passage_bytes = MAILBOX_BYTES_MAX / (SHARDS - 1);
    assert_eq!(side.counted("forwarded") as usize, passage_bytes / frame_bytes);
    let dropped = side.counted("forward_dropped") as usize;
    assert_eq!(dropped, HELD_BYTES_MAX / frame_bytes + 1, "all that waited, and the one too many");
}

/// The last frames have nobody behind them whose arrival would wake their owner once more.
#[test]
fn an_owner_without_room_for_answers_is_woken_when_there_is_some() {
    let (rig, [mut side, mut owner]) = sides(ServiceKind::Verdict);
    let room = rig.mailboxes[1].forward_room(0, 0);
    assert!(side.feed(room) && side.counted("forward_paused") == 0, "exactly full");
    while owner.read_mail_if_woken() {}
    assert!(rig.mailboxes[1].has_forwarded(0), "some have to wait for room for their answers");
    assert!(side.read_mail_if_woken());
    assert!(owner.read_mail_if_woken() && side.read_mail_if_woken());
    side.check_answers();
    assert!(side.sent.is_empty());
}

/// SPEC §17.1.4, §3.2.5: both sides of a passage act until nobody is woken any more; whatever ends the connection, what came before
/// is answered.
fn ends_after_its_answers(count: usize, end: impl Fn(&mut Side)) {
    let (_rig, [mut side, mut owner]) = sides(ServiceKind::Verdict);
    side.feed(count);
    end(&mut side);
    side.take_output();
    assert!(!side.is_over, "{count}: it owes");
    let late = side.frame(b"");
    side.sent.pop_back();
    side.shard.ingest(side.connection, &late, NOW_MS);
    while owner.read_mail_if_woken() | side.read_mail_if_woken() {
        side.check_answers();
        assert_eq!(side.is_over, side.sent.is_empty(), "{count}: over when all is answered, and not before");
    }
    assert!(side.is_over && owner.counted("verified") == count as u64, "{count}");
}

#[test]
fn what_other_shards_judge_is_answered_before_a_connection_that_the_client_ended_is_closed() {
    let (rig, _) = sides(ServiceKind::Verdict);
    let room = rig.mailboxes[1].forward_room(0, 0);
    // One; a passage full; more than it takes, so that some wait here.
    for count in [1, room, room + 1, 4 * room] {
        ends_after_its_answers(count, |side| side.shard.hang_up(side.connection, NOW_MS));
        ends_after_its_answers(count, |side| {
            side.shard.ingest(side.connection, &[0, 0], NOW_MS);
            side.shard.turn(NOW_MS);
        });
    }
}

#[test]
fn a_shard_that_never_answers_keeps_no_ended_connection() {
    for count in [1, 1000] {
        let (_rig, [mut side, mut still]) = sides(ServiceKind::Verdict);
        assert!(side.feed(1) && still.read_mail_if_woken() && side.read_mail_if_woken());
        side.check_answers();
        side.feed(count);
        side.shard.hang_up(side.connection, NOW_MS);
        let mut hand = SweepHand::default();
        let mut cut_off = Vec::new();
        for (after_ms, is_over) in [(STALL_MS, false), (2 * STALL_MS + 1, true)] {
            // A look finds the deadline of what is held, one that of what is owed.
            for _ in 0..4 {
                side.shard.sweep(&mut hand, NOW_MS + after_ms, |id| cut_off.push(id));
                side.take_output();
            }
            assert_eq!((side.is_over, cut_off.len()), (is_over, 0), "{count} after {after_ms} ms");
        }
        for _ in 0..4 {
            side.shard.sweep(&mut hand, NOW_MS + 3 * STALL_MS, |id| cut_off.push(id));
        }
        assert!(cut_off.contains(&side.connection), "the peer has its time to hear of it, and no more");
    }
}
