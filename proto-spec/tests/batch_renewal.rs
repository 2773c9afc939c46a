//! K-02: a batch that holds frames of both generations of a renewal, in any order, gives what the same frames give one by
//! one, on every path of the lanes (SPEC §7.2.7, §11.3).

mod support;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Limits, Reject, Role, Suite,
    session::{BATCH_REQUESTS_MAX, Batch, Current, Rekey, Renewal, ServerSession, SessionState},
    suite::payload_of,
};
use proptest::prelude::*;
use support::{CLIENT_ORIGIN_MS, ORIGIN_MS, Pair, SUITES, flipped, renewing::offering};

const LIMITS: Limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };

#[derive(Debug, Clone)]
enum Step {
    /// So many requests, sealed in lanes.
    Requests(usize),
    /// The server offers if it may, and the client hears of it or not.
    Offer {
        heard: bool,
        share_comes: bool,
    },
    /// A frame sealed before, once more.
    Again(usize),
    /// The same with a bit changed.
    Flipped(usize, usize),
    /// What was gathered is judged, in an order given by the number.
    Judge(u64),
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..40).prop_map(Step::Requests),
        4 => (prop::bool::weighted(0.8), prop::bool::weighted(0.8))
            .prop_map(|(heard, share_comes)| Step::Offer { heard, share_comes }),
        2 => (1usize..200).prop_map(Step::Again),
        2 => (1usize..200, any::<usize>()).prop_map(|(back, bit)| Step::Flipped(back, bit)),
        6 => any::<u64>().prop_map(Step::Judge),
        3 => prop_oneof![3 => 0u64..3_000, 2 => 0u64..40_000, 1 => 0u64..700_000].prop_map(Step::Pause),
    ]
}

/// Verdict and answer of each frame.
type Judged = Vec<(Result<(), Reject>, Vec<u8>)>;

/// The server's half as a table keeps it, with everything computed in lanes.
struct InLanes {
    state: SessionState,
    window: Box<[u64]>,
    rekey: Rekey,
    renewal: Option<Box<Renewal>>,
    dummy: SessionState,
    batch: Batch,
}

impl InLanes {
    fn new(engine: Engine, session: ServerSession) -> Self {
        let (state, window, rekey) = session.into_parts();
        let dummy =
            ServerSession::new(9, Suite::Hs256, LIMITS, support::keys(9, 0x11), ORIGIN_MS).into_parts().0;
        Self { state, window, rekey, renewal: None, dummy, batch: Batch::new(engine) }
    }

    fn settle(&mut self, now_ms: u64) {
        if self.renewal.as_ref().is_some_and(|renewal| renewal.is_over(now_ms)) {
            self.renewal = None;
            Renewal::end(&mut self.state);
        }
    }

    fn offer(&mut self, fill: u8, now_ms: u64) {
        self.settle(now_ms);
        if let Some(renewal) = &mut self.renewal {
            renewal.cut(&mut self.state, now_ms);
            let _ = renewal.offer_again(now_ms);
        } else {
            let exchange = self.rekey.wants_exchange(&self.state, now_ms);
            let words = self.window.len();
            let (state, rekey) = (&mut self.state, &mut self.rekey);
            self.renewal = Some(Renewal::offer(state, rekey, words, offering(fill, exchange), now_ms));
        }
    }

    fn share(&mut self, frame: &[u8], now_ms: u64) -> Result<(), Reject> {
        self.settle(now_ms);
        let header = Header::parse(frame, Role::Server)?;
        let Self { state, window, rekey, renewal, .. } = self;
        let mut current = Current { state, window, rekey };
        current.control(renewal.as_deref_mut(), &header, &mut frame.to_vec(), now_ms).map(|_| ())
    }

    fn judge(&mut self, frames: &[Vec<u8>], now_ms: u64) -> Judged {
        self.settle(now_ms);
        frames.chunks(BATCH_REQUESTS_MAX).flat_map(|frames| self.judge_piece(frames, now_ms)).collect()
    }

    fn judge_piece(&mut self, frames: &[Vec<u8>], now_ms: u64) -> Judged {
        let mut bytes = Vec::new();
        // Whether it was checked against the generation kept beside.
        let mut rows: Vec<(Header, Option<bool>, std::ops::Range<usize>)> = Vec::new();
        for frame in frames {
            let header = Header::parse(frame, Role::Server).expect("well formed");
            let span = bytes.len()..bytes.len() + frame.len();
            bytes.extend_from_slice(frame);
            let mut beside = None;
            if header.key_id != self.state.key_id() {
                self.batch.push(
                    &self.dummy,
                    self.dummy.check_unknown(&header, ORIGIN_MS, now_ms),
                    span.clone(),
                );
                rows.push((header, None, span));
                continue;
            }
            if header.generation != self.state.generation()
                && let Some(renewal) = &mut self.renewal
            {
                beside = renewal.check(&self.state, &mut self.rekey, &header, now_ms);
            }
            rows.push((header, Some(beside.is_some()), span.clone()));
            match beside {
                Some(fresh) => {
                    let state = self.renewal.as_ref().and_then(|renewal| renewal.state()).expect("checked");
                    self.batch.push(state, fresh, span);
                }
                None => {
                    let fresh = self.state.check(&header, now_ms);
                    self.batch.push(&self.state, fresh, span);
                }
            }
        }
        let beside = self.renewal.as_ref().and_then(|renewal| renewal.state());
        self.batch.open(&mut bytes, |number| match rows[number].1 {
            None => &self.dummy,
            Some(false) => &self.state,
            Some(true) => beside.expect("checked"),
        });
        let mut answers = Vec::new();
        let mut judged = Vec::new();
        for (number, (header, beside, span)) in rows.iter().enumerate() {
            let start = answers.len();
            let taken = self.batch.take(number);
            let lacks_ack = *beside == Some(true)
                && header.generation != self.state.generation()
                && self.renewal.as_ref().is_some_and(|renewal| renewal.lacks_ack(header));
            let verdict = match taken {
                _ if lacks_ack => Err(Reject::NoSlot),
                Err(reject) => Err(reject),
                Ok(authentic) => {
                    let Self { state, window, rekey, renewal, batch, .. } = self;
                    let committed = if state.judges(&authentic) {
                        state.commit(window, authentic)
                    } else {
                        Current { state, window, rekey }.commit(renewal.as_deref_mut(), authentic, now_ms)
                    };
                    match committed {
                        Ok(exchange) => {
                            let payload = payload_of(&bytes[span.clone()]);
                            batch.respond(exchange, header.op, payload, now_ms, &mut answers);
                            Ok(())
                        }
                        Err(refused) => {
                            let reject = refused.reject;
                            batch.refuse(refused, now_ms, &mut answers);
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

fn judge_one(pair: &mut Pair, frame: &[u8], at_ms: u64) -> (Result<(), Reject>, Vec<u8>) {
    let header = Header::parse(frame, Role::Server).expect("well formed");
    let (mut frame, mut answer) = (frame.to_vec(), Vec::new());
    if header.key_id != pair.server.key_id() {
        let fresh = pair.server.check_unknown(&header);
        return (pair.server.open(fresh, &mut frame).map(|_| ()), answer);
    }
    let now_ms = ORIGIN_MS + at_ms;
    let verdict = match pair.serve(&mut frame, at_ms) {
        Ok(exchange) => {
            exchange.respond(header.op, payload_of(&frame), now_ms, &mut answer);
            Ok(())
        }
        Err(support::Served::Unverified(reject)) => Err(reject),
        Err(support::Served::Refused(refused)) => {
            let (reject, reason) = (refused.reject, refused.reason());
            refused.exchange.refuse(reason, now_ms, &mut answer);
            Err(reject)
        }
    };
    (verdict, answer)
}

/// An order of `count` things that `seed` gives.
fn shuffled(count: usize, mut seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (seed >> 33) as usize % (last + 1));
    }
    order
}

fn engines() -> impl Iterator<Item = Engine> {
    Path::ALL.into_iter().filter_map(Engine::forced)
}

fn run(suite: Suite, engine: Engine, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(suite, LIMITS);
    let mut in_lanes = InLanes::new(engine, Pair::new(suite, LIMITS).server);
    let (mut at_ms, mut fill) = (1, 0u8);
    let (mut sent, mut gathered): (Vec<Vec<u8>>, Vec<Vec<u8>>) = Default::default();
    for step in steps {
        let mut next = Vec::new();
        match step {
            Step::Requests(count) => {
                for _ in 0..*count {
                    let now_ms = CLIENT_ORIGIN_MS + at_ms;
                    let mut frame = Vec::new();
                    if pair.client.seal_request(9, &[7; 20], now_ms, &mut frame).is_ok() {
                        next.push(frame);
                    }
                }
            }
            // Offered with the answer of a verified request, and not before (§11.2.1).
            Step::Offer { .. } if !pair.server.is_confirmed() => {}
            Step::Offer { heard, share_comes } => {
                fill = fill.wrapping_add(1);
                let offer = pair.offer(fill, at_ms);
                in_lanes.offer(fill, ORIGIN_MS + at_ms);
                if *heard && !offer.is_empty() {
                    let (_, share) = pair.tell(&offer, at_ms);
                    if *share_comes && !share.is_empty() {
                        let expected = pair.share(&share, at_ms).map(|_| ());
                        prop_assert_eq!(in_lanes.share(&share, ORIGIN_MS + at_ms), expected);
                    }
                }
            }
            Step::Again(back) => next.extend(sent.len().checked_sub(*back).map(|at| sent[at].clone())),
            Step::Flipped(back, bit) => next.extend(sent.len().checked_sub(*back).and_then(|at| {
                let forged = flipped(&sent[at], 24 + bit % ((sent[at].len() - 3) * 8));
                Header::parse(&forged, Role::Server).is_ok().then_some(forged)
            })),
            Step::Judge(seed) => {
                let frames: Vec<_> =
                    shuffled(gathered.len(), *seed).into_iter().map(|at| gathered[at].clone()).collect();
                gathered.clear();
                let expected: Judged =
                    frames.iter().map(|frame| judge_one(&mut pair, frame, at_ms)).collect();
                prop_assert_eq!(in_lanes.judge(&frames, ORIGIN_MS + at_ms), expected);
            }
            Step::Pause(ms) => at_ms += ms,
        }
        sent.extend(next.iter().cloned());
        gathered.extend(next);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_batch_of_both_generations_equals_its_frames_one_by_one(steps in prop::collection::vec(step(), 1..60)) {
        for suite in SUITES {
            for engine in engines() {
                run(suite, engine, &steps)?;
            }
        }
    }
}

/// The whole renewal in one batch: last, and the first of the next generation before and after it.
#[test]
fn one_batch_may_hold_the_commit_in_its_middle() {
    for suite in SUITES {
        for engine in engines() {
            for seed in 0..40 {
                let steps = [
                    Step::Requests(3),
                    Step::Judge(0),
                    Step::Requests(20),
                    Step::Offer { heard: true, share_comes: true },
                    Step::Requests(40),
                    Step::Again(5),
                    Step::Judge(seed),
                ];
                run(suite, engine, &steps).expect("equal");
            }
        }
    }
}
