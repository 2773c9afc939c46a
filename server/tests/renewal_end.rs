//! A shard whose session renews as fast as it is used: drains that are cut short, over two connections (SPEC §11.3.8).

#[path = "support/rig.rs"]
mod rig;

use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    framer::{self, Cut},
    lost::LostKey,
    schedule::GenerationKeys,
    session::{Answer, ClientSession, Granted, Outstanding, Told},
};
use mvt_server::{service::ServiceKind, shard::ConnectionId};
use rig::{ORIGIN_MS, Rig, halves, secret};

const SOFT: u32 = 16;
const LIMITS: Limits = Limits {
    renew_after_requests: SOFT,
    reject_after_requests: 4 * SOFT,
    replay_window_bits: 64,
    ..Limits::DEFAULT
};

/// A session, two connections it is used on, and what it was answered.
struct Talk {
    rig: Rig,
    client: ClientSession,
    outstanding: Outstanding<()>,
    connections: [ConnectionId; 2],
    now_ms: u64,
    heard: Heard,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    executed: u64,
    refused: u64,
    lost: u64,
}

impl Talk {
    fn new(suite: Suite) -> Self {
        let mut rig = Rig::new(ServiceKind::Verdict, LIMITS, 4, 1);
        let (twin, server) = halves(0, 1, suite, LIMITS);
        rig.admit(server);
        // One that knows the limits of its generations.
        let granted = Granted {
            key_id: twin.key_id(),
            suite,
            limits: LIMITS,
            server_time_ms: ORIGIN_MS,
            keys: GenerationKeys::derive(secret(1), twin.key_id(), 0),
            lost_key: LostKey::new([1; 16]),
        };
        let client = ClientSession::new(granted, ORIGIN_MS);
        rig.fill_stock();
        let connections = [1, 2].map(|port| rig.connect(port, ORIGIN_MS));
        let mut talk = Self {
            rig,
            client,
            outstanding: Outstanding::default(),
            connections,
            now_ms: ORIGIN_MS + 1,
            heard: Heard::default(),
        };
        let first = talk.seal(1);
        talk.send(&[(0, &first[0])]);
        talk
    }

    fn seal(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                let mut frame = Vec::new();
                let pending = self.client.seal_request(1, b"load", self.now_ms, &mut frame);
                self.outstanding.push(&pending.expect("below every hard limit"), ());
                frame
            })
            .collect()
    }

    /// Frames arrive in one turn, each on its connection; then everything said to the client is heard.
    fn send(&mut self, frames: &[(usize, &Vec<u8>)]) {
        for (number, frame) in frames {
            self.rig.shard.ingest(self.connections[*number], frame, self.now_ms);
        }
        self.rig.shard.turn(self.now_ms);
        while let Some(id) = self.rig.shard.next_dirty() {
            let (output, is_last) = self.rig.output(id, self.now_ms);
            assert!(!is_last, "the connections stay");
            self.hear(id, output);
        }
    }

    fn hear(&mut self, id: ConnectionId, mut output: Vec<u8>) {
        let mut rest = &mut output[..];
        while let Ok(Cut::Frame(length)) = framer::cut(rest, Role::Client) {
            let (frame, after) = rest.split_at_mut(length);
            rest = after;
            let header = Header::parse(frame, Role::Client).expect("well formed");
            if header.kind == Kind::Ctl {
                let mut share = Vec::new();
                let told = self.client.control(&header, frame, secret(9), self.now_ms, &mut share);
                assert!(matches!(told, Ok(Told::Renewed | Told::Nothing | Told::Ticket(_))), "{told:?}");
                self.rig.shard.ingest(id, &share, self.now_ms);
                self.rig.shard.turn(self.now_ms);
                self.rig.fill_stock();
                continue;
            }
            let Some((pending, ())) = self.outstanding.get(header.generation, header.counter) else {
                self.heard.refused += u64::from(header.kind == Kind::Err);
                self.heard.lost += u64::from(header.kind == Kind::Lost);
                continue;
            };
            let answer = self.client.open_answer(pending, &header, frame, self.now_ms);
            assert!(matches!(answer, Ok(Answer::Response { status: 0, .. })), "{answer:?}");
            self.outstanding.remove(header.generation, header.counter);
            self.heard.executed += 1;
        }
    }

    /// Requests until one makes the server offer, and then no more. On connection 0.
    fn until_offered(&mut self) {
        let before = self.client.generation();
        while self.client.generation() == before {
            let frame = self.seal(1).remove(0);
            self.send(&[(0, &frame)]);
        }
    }

    fn drains(&self) -> [u64; 3] {
        let counters = &self.rig.counters;
        [counters.renewals.get(), counters.drains_cut.get(), counters.drains_ended.get()]
    }

    /// A tick of the driver.
    fn tick(&mut self) {
        self.rig.shard.reclaim(self.now_ms);
    }
}

/// Hard limits come at four times the soft ones, and a drain takes two seconds: without an end of it before its time this
/// session would be lost with its 64th request.
#[test]
fn a_session_however_fast_is_renewed_and_loses_nothing() {
    for suite in [Suite::Hs256, Suite::Gcm256] {
        let mut talk = Talk::new(suite);
        let mut sealed = 1;
        for _ in 0..2_000 {
            let frames = talk.seal(10);
            sealed += 10;
            // Every other one by the other connection.
            let sent: Vec<_> = frames.iter().enumerate().map(|(number, frame)| (number % 2, frame)).collect();
            talk.send(&sent);
            talk.now_ms += 1;
        }
        assert_eq!(talk.heard, Heard { executed: sealed, refused: 0, lost: 0 });
        talk.now_ms += 3_000;
        talk.tick();
        let [renewals, cut, ended] = talk.drains();
        assert!(renewals > 600, "{renewals} renewals in two seconds");
        assert!(cut + 1 >= renewals && ended == renewals, "{cut} cut, {ended} ended of {renewals}");
    }
}

/// K-01, K-02: what was sealed before `last` comes after it, and after the commit, by the other connection; all of it twice.
#[test]
fn reordered_and_repeated_frames_are_executed_once() {
    let mut talk = Talk::new(Suite::Hs256);
    talk.until_offered();
    // Of the generation before: `last`. Sealed now, with what the next generation needs for an OFFER of its own.
    let last = talk.seal(1).remove(0);
    let next = talk.seal(SOFT as usize);
    let before = talk.heard.executed;
    talk.send(&next.iter().map(|frame| (0, frame)).collect::<Vec<_>>());
    assert_eq!(talk.drains()[..2], [1, 0], "the last one has not come");
    assert_eq!(talk.heard.executed, before + u64::from(SOFT));
    talk.now_ms += 1_000;
    talk.send(&[(1, &last), (0, &last), (1, &last), (1, &next[0])]);
    assert_eq!(talk.heard.refused, 3, "{:?}", talk.heard);
    // The next request of the newest generation asks for an OFFER, for which the drain is cut short.
    let asking = talk.seal(1);
    talk.send(&[(0, &asking[0]), (1, &last)]);
    assert_eq!((talk.drains(), talk.heard.refused), ([1, 1, 0], 4), "at the same instant it is a replay");
    talk.now_ms += 1;
    let after = talk.seal(1);
    talk.send(&[(1, &last), (0, &after[0]), (1, &last)]);
    assert_eq!((talk.heard.refused, talk.heard.lost), (4, 2), "then nobody holds its key");
    assert_eq!(talk.heard.executed, before + u64::from(SOFT) + 3);
    assert_eq!(talk.client.generation(), 2, "offered at once");
}

/// Two frames that a connection lost with it: nobody knows that they do not come.
#[test]
fn a_lost_last_leaves_the_drain_its_time() {
    let mut talk = Talk::new(Suite::Gcm256);
    talk.until_offered();
    let lost = talk.seal(1).remove(0);
    let committed_ms = talk.now_ms;
    for step in 0..4 {
        let next = talk.seal(SOFT as usize / 2);
        talk.send(&next.iter().map(|frame| (0, frame)).collect::<Vec<_>>());
        talk.now_ms = committed_ms + 500 * step;
        talk.tick();
        assert_eq!(talk.drains(), [1, 0, 0]);
    }
    talk.now_ms = committed_ms + 1_999;
    talk.send(&[(1, &lost)]);
    assert_eq!(talk.heard.lost, 0, "its generation still drained");
    assert!(talk.outstanding.is_empty(), "everything was executed");
}

/// An idle session is cut short by the tick, not by a frame; and a session that ends takes its drain with it.
#[test]
fn a_drain_that_was_cut_short_ends_without_another_frame() {
    let mut talk = Talk::new(Suite::Hs256);
    talk.until_offered();
    let frames = talk.seal(SOFT as usize + 1);
    talk.send(&frames.iter().map(|frame| (0, frame)).collect::<Vec<_>>());
    assert_eq!(talk.drains(), [1, 1, 0]);
    talk.tick();
    assert_eq!(talk.drains(), [1, 1, 0]);
    talk.now_ms += 1;
    talk.tick();
    assert_eq!(talk.drains(), [1, 1, 1]);
}

/// K-02: `last`, what was sealed before it, the commit, and what asks for the next OFFER, in one batch and in any order.
#[test]
fn one_batch_may_hold_a_generation_from_its_last_to_its_end() {
    for rotation in 0..SOFT as usize + 8 {
        let mut talk = Talk::new(Suite::Hs256);
        let held_back = talk.seal(3);
        talk.until_offered();
        let mut frames = held_back;
        frames.extend(talk.seal(SOFT as usize + 2));
        frames.push(frames[3].clone());
        let by = rotation % frames.len();
        frames.rotate_left(by);
        let sent: Vec<_> = frames.iter().enumerate().map(|(at, frame)| (at % 2, frame)).collect();
        talk.send(&sent);
        assert!(talk.outstanding.is_empty(), "{rotation}: each was executed");
        assert_eq!((talk.heard.refused, talk.heard.lost), (1, 0), "{rotation}: and one refused as a replay");
        talk.now_ms += 1;
        let more = talk.seal(2);
        talk.send(&more.iter().map(|frame| (1, frame)).collect::<Vec<_>>());
        assert!(talk.outstanding.is_empty() && talk.heard.lost == 0, "{rotation}");
    }
}
