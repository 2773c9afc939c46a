//! A batch gives what the same frames give one by one, on every path of the lanes (SPEC §7.2.7).

mod support;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Kind, Limits, Reject, Role, Suite,
    constants::{HEADER_BYTES, TAG_BYTES},
    session::{BATCH_REQUESTS_MAX, Batch, Rekey, ServerSession, SessionState},
    slot::{SlotKey, SlotKeys},
    suite::{RequestKey, payload_of},
};
use proptest::prelude::*;
use support::{ORIGIN_MS, SLOT_MS, SUITES, keys, secret};

const SESSIONS: usize = 6;
const LIMITS: Limits = Limits {
    renew_after_requests: 500,
    reject_after_requests: 600,
    replay_window_bits: 64,
    ..Limits::DEFAULT
};

fn suite_of(session: usize) -> Suite {
    SUITES[session % 2]
}

fn chain_of(session: usize) -> u8 {
    0x40 + session as u8
}

fn session(number: usize) -> ServerSession {
    let key_id = KEY_IDS + number as u64;
    ServerSession::new(key_id, suite_of(number), LIMITS, keys(key_id, chain_of(number)), ORIGIN_MS)
}

/// The first key id: with more than one bit set, so that no flip of a bit makes it 0.
const KEY_IDS: u64 = 0x0003_0000_0000_0101;

/// How a frame differs from an honest one.
#[derive(Debug, Clone)]
enum Twist {
    Honest,
    /// The same bytes as the frame so many before.
    Again(usize),
    BitFlipped(usize),
    OtherSuite,
    OtherFlag,
    Generation(u16),
    UnknownSession,
}

#[derive(Debug, Clone)]
struct Plan {
    session: usize,
    twist: Twist,
    counter: u64,
    /// Timestamp less server time, ms.
    off_ms: i64,
    payload_bytes: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    let twist = prop_oneof![
        6 => Just(Twist::Honest),
        2 => (1usize..30).prop_map(Twist::Again),
        1 => any::<usize>().prop_map(Twist::BitFlipped),
        1 => Just(Twist::OtherSuite),
        1 => Just(Twist::OtherFlag),
        1 => (1u16..3).prop_map(Twist::Generation),
        1 => Just(Twist::UnknownSession),
    ];
    let counter = prop_oneof![10 => 0u64..200, 1 => 595u64..605, 1 => Just((1 << 48) - 1)];
    let off_ms = prop_oneof![
        8 => Just(0i64),
        2 => -31_000i64..6_000,
        1 => -140_000i64..140_000,
        1 => prop::sample::select(vec![-30_001i64, -30_000, 5_000, 5_001]),
    ];
    let payload_bytes = prop_oneof![20 => 0usize..300, 8 => Just(20usize), 1 => Just(16_384usize)];
    (0..SESSIONS, twist, counter, off_ms, payload_bytes).prop_map(
        |(session, twist, counter, off_ms, payload_bytes)| Plan {
            session,
            twist,
            counter,
            off_ms,
            payload_bytes,
        },
    )
}

fn frame(plan: &Plan, now_ms: u64, before: &[Vec<u8>]) -> Vec<u8> {
    if let Twist::Again(back) = plan.twist
        && let Some(index) = before.len().checked_sub(back)
    {
        return before[index].clone();
    }
    let timestamp = now_ms.saturating_add_signed(plan.off_ms);
    let mut slots = SlotKeys::new(secret(chain_of(plan.session)), ORIGIN_MS);
    slots.advance(timestamp);
    let other = |suite| if suite == Suite::Hs256 { Suite::Gcm256 } else { Suite::Hs256 };
    let own = suite_of(plan.session);
    let suite = if matches!(plan.twist, Twist::OtherSuite) { other(own) } else { own };
    let flags = if matches!(plan.twist, Twist::OtherFlag) { other(own) } else { suite }.flags();
    let header = Header {
        kind: Kind::Req,
        flags,
        key_id: KEY_IDS
            + plan.session as u64
            + if matches!(plan.twist, Twist::UnknownSession) { 100 } else { 0 },
        generation: if let Twist::Generation(generation) = plan.twist { generation } else { 0 },
        op: 7,
        counter: plan.counter,
        timestamp,
        payload_bytes: plan.payload_bytes,
    };
    let mut frame = header.to_bytes().to_vec();
    frame.resize(HEADER_BYTES + plan.payload_bytes, plan.counter as u8);
    frame.resize(HEADER_BYTES + plan.payload_bytes + TAG_BYTES, 0);
    RequestKey::derive(suite, slots.key(&SlotKey::Current), header.generation, plan.counter)
        .seal(&mut frame, &[]);
    if let Twist::BitFlipped(bit) = plan.twist {
        // Not in the length, kind and flags: the framer judges those.
        let bit = 32 + bit % ((frame.len() - 4) * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
    }
    frame
}

/// Verdicts and answers, in the order of the frames.
type Judged = Vec<(Result<(), Reject>, Vec<u8>)>;

struct OneByOne {
    sessions: Vec<ServerSession>,
    dummy: ServerSession,
}

impl OneByOne {
    fn judge(&mut self, frames: &[Vec<u8>], now_ms: u64) -> Judged {
        frames.iter().map(|frame| self.judge_one(&mut frame.clone(), now_ms)).collect()
    }

    fn judge_one(&mut self, frame: &mut [u8], now_ms: u64) -> (Result<(), Reject>, Vec<u8>) {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        let mut answer = Vec::new();
        let Some(session) = self.sessions.iter_mut().find(|session| session.key_id() == header.key_id) else {
            let fresh = self.dummy.check_unknown(&header);
            return (self.dummy.open(fresh, frame).map(|_| ()), answer);
        };
        let fresh = session.check(&header, now_ms);
        let authentic = match session.open(fresh, frame) {
            Ok(authentic) => authentic,
            Err(reject) => return (Err(reject), answer),
        };
        let verdict = match session.commit(authentic, now_ms) {
            Ok(exchange) => {
                exchange.respond(header.op, payload_of(frame), now_ms, &mut answer);
                Ok(())
            }
            Err(refused) => {
                let (reject, reason) = (refused.reject, refused.reason());
                refused.exchange.refuse(reason, now_ms, &mut answer);
                Err(reject)
            }
        };
        (verdict, answer)
    }
}

struct InLanes {
    sessions: Vec<(SessionState, Box<[u64]>, Rekey)>,
    dummy: SessionState,
    batch: Batch,
}

impl InLanes {
    fn judge(&mut self, frames: &[Vec<u8>], now_ms: u64) -> Judged {
        frames.chunks(BATCH_REQUESTS_MAX).flat_map(|frames| self.judge_batch(frames, now_ms)).collect()
    }

    fn judge_batch(&mut self, frames: &[Vec<u8>], now_ms: u64) -> Judged {
        let mut bytes = Vec::new();
        let mut rows = Vec::new();
        for frame in frames {
            let header = Header::parse(frame, Role::Server).expect("well formed");
            let span = bytes.len()..bytes.len() + frame.len();
            bytes.extend_from_slice(frame);
            let place = self.sessions.iter().position(|(state, ..)| state.key_id() == header.key_id);
            let number = match place {
                Some(place) => {
                    let state = &mut self.sessions[place].0;
                    let fresh = state.check(&header, now_ms);
                    self.batch.push(state, fresh, span.clone())
                }
                None => self.batch.push(
                    &self.dummy,
                    self.dummy.check_unknown(&header, ORIGIN_MS, now_ms),
                    span.clone(),
                ),
            };
            assert_eq!(number, rows.len());
            rows.push((header, place, span));
        }
        let state_of = |number: usize| rows[number].1.map_or(&self.dummy, |place| &self.sessions[place].0);
        self.batch.open(&mut bytes, state_of);
        let mut answers = Vec::new();
        let mut judged = Vec::new();
        for (number, (header, place, span)) in rows.iter().enumerate() {
            let start = answers.len();
            let verdict = match self.batch.take(number) {
                Err(reject) => Err(reject),
                Ok(authentic) => {
                    let (state, window, _) = &mut self.sessions[place.expect("held")];
                    match state.commit(window, authentic) {
                        Ok(exchange) => {
                            let payload = payload_of(&bytes[span.clone()]);
                            self.batch.respond(exchange, header.op, payload, now_ms, &mut answers);
                            Ok(())
                        }
                        Err(refused) => {
                            let reject = refused.reject;
                            self.batch.refuse(refused, now_ms, &mut answers);
                            Err(reject)
                        }
                    }
                }
            };
            judged.push((verdict, start..answers.len()));
        }
        self.batch.seal(&mut answers);
        judged.into_iter().map(|(verdict, span)| (verdict, answers[span].to_vec())).collect()
    }
}

fn engines() -> impl Iterator<Item = Engine> {
    Path::ALL.into_iter().filter_map(Engine::forced)
}

fn halves(engine: Engine) -> (OneByOne, InLanes) {
    let dummy = || ServerSession::new(9, Suite::Hs256, LIMITS, keys(9, 0x11), ORIGIN_MS);
    let one_by_one = OneByOne { sessions: (0..SESSIONS).map(session).collect(), dummy: dummy() };
    let in_lanes = InLanes {
        sessions: (0..SESSIONS).map(|number| session(number).into_parts()).collect(),
        dummy: dummy().into_parts().0,
        batch: Batch::new(engine),
    };
    (one_by_one, in_lanes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_batch_equals_its_frames_one_by_one(
        batches in prop::collection::vec((0u64..2 * SLOT_MS, prop::collection::vec(plan(), 0..60)), 1..5),
    ) {
        for engine in engines() {
            let (mut one_by_one, mut in_lanes) = halves(engine);
            let mut now_ms = ORIGIN_MS + 1;
            let mut sent = Vec::new();
            for (number, (pause_ms, plans)) in batches.iter().enumerate() {
                // The first batch comes within the time of first use, mostly.
                now_ms += if number == 0 { pause_ms / 8 } else { *pause_ms };
                let first = sent.len();
                for plan in plans {
                    let next = frame(plan, now_ms, &sent);
                    sent.push(next);
                }
                let expected = one_by_one.judge(&sent[first..], now_ms);
                let judged = in_lanes.judge(&sent[first..], now_ms);
                prop_assert_eq!(judged, expected, "{}", engine.path());
            }
        }
    }
}

#[test]
fn a_frame_twice_in_a_batch_is_accepted_once() {
    for engine in engines() {
        for session in 0..2 {
            let (_, mut in_lanes) = halves(engine);
            let plan = Plan { session, twist: Twist::Honest, counter: 3, off_ms: 0, payload_bytes: 20 };
            let same = frame(&plan, ORIGIN_MS + 5, &[]);
            let judged = in_lanes.judge(&vec![same; BATCH_REQUESTS_MAX], ORIGIN_MS + 5);
            let verdicts: Vec<_> = judged.into_iter().map(|(verdict, _)| verdict).collect();
            assert_eq!(verdicts[0], Ok(()));
            assert!(verdicts[1..].iter().all(|verdict| *verdict == Err(Reject::Replay)));
        }
    }
}

#[test]
fn the_hard_limit_falls_between_two_batches_and_binds_both_ways() {
    for engine in engines() {
        let (mut one_by_one, mut in_lanes) = halves(engine);
        let hard_ms = ORIGIN_MS + u64::from(LIMITS.reject_after_ms);
        let mut counter = 0;
        let mut now_ms = ORIGIN_MS + 1;
        while now_ms < hard_ms + 2 * SLOT_MS {
            let plans: Vec<_> = (0..SESSIONS)
                .map(|session| Plan { session, twist: Twist::Honest, counter, off_ms: 0, payload_bytes: 9 })
                .collect();
            let frames: Vec<_> = plans.iter().map(|plan| frame(plan, now_ms, &[])).collect();
            let judged = in_lanes.judge(&frames, now_ms);
            assert_eq!(judged, one_by_one.judge(&frames, now_ms));
            let expected = if now_ms < hard_ms { Ok(()) } else { Err(Reject::NoSlot) };
            assert!(judged.iter().all(|(verdict, _)| *verdict == expected));
            counter += 1;
            now_ms = if counter == 1 { now_ms + SLOT_MS } else { (now_ms + SLOT_MS / 2).max(hard_ms - 1) };
        }
    }
}
