//! One answer for many requests: what the server joins and what the client believes (SPEC §7.4).

mod support;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Kind, Limits, Reject, Role, Suite,
    constants::{HEADER_BYTES, TAG_BYTES, VERDICTS_MAX},
    framer::{self, Cut},
    header::Flags,
    session::{BATCH_REQUESTS_MAX, Batch, Outstanding, Pending, SessionState},
    slot::{SlotKey, SlotKeys},
    suite::{RequestKey, Tag, payload_of},
};
use support::{CHAIN, CLIENT_ORIGIN_MS, ORIGIN_MS, Pair, SUITES, flipped, secret};

/// A client and the server's parts of its session, which a batch lends.
struct Joined {
    client: mvt_proto::session::ClientSession,
    state: SessionState,
    window: Box<[u64]>,
}

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Service {
    Verdict(u16),
    Payload,
}

impl Joined {
    fn new(suite: Suite) -> Self {
        let Pair { mut client, server } = Pair::unequal(suite, Limits::DEFAULT, Limits::DEFAULT);
        client.take_verdicts();
        let (state, window, _) = server.into_parts();
        Self { client, state, window }
    }

    fn request(&mut self) -> (Pending, Vec<u8>) {
        let mut frame = Vec::new();
        let pending =
            self.client.seal_request(7, b"body", CLIENT_ORIGIN_MS + 1, &mut frame).expect("sealable");
        (pending, frame)
    }

    fn requests(&mut self, count: usize) -> (Vec<Pending>, Vec<Vec<u8>>) {
        (0..count).map(|_| self.request()).unzip()
    }

    /// The answers to `frames`, cut apart; at the indices of `breaks` the next answer goes somewhere else.
    fn answers(
        &mut self,
        engine: Engine,
        frames: &[Vec<u8>],
        service: impl Fn(usize) -> Service,
        breaks: &[usize],
    ) -> Vec<Vec<u8>> {
        assert!(frames.len() <= BATCH_REQUESTS_MAX);
        let now_ms = ORIGIN_MS + 2;
        let mut batch = Batch::new(engine);
        let mut bytes = Vec::new();
        for frame in frames {
            let header = Header::parse(frame, Role::Server).expect("well formed");
            let fresh = self.state.check(&header, now_ms);
            let start = bytes.len();
            bytes.extend_from_slice(frame);
            batch.push(&self.state, fresh, start..bytes.len());
        }
        batch.open(&mut bytes, |_| &self.state);
        let mut out = Vec::new();
        for number in 0..frames.len() {
            if breaks.contains(&number) {
                batch.end_joint(now_ms, &mut out);
            }
            let authentic = batch.take(number).expect("an honest request");
            match self.state.commit(&mut self.window, authentic) {
                Err(refused) => batch.refuse(refused, now_ms, &mut out),
                Ok(exchange) => match service(number) {
                    Service::Verdict(status) => batch.respond(exchange, status, &[], now_ms, &mut out),
                    Service::Payload => batch.respond(exchange, 0, b"payload", now_ms, &mut out),
                },
            }
        }
        batch.end_joint(now_ms, &mut out);
        batch.seal(&mut out);
        cut(&out)
    }

    /// The counters and statuses of a VERDICTS.
    fn open(&mut self, frame: &[u8], pending: &[Pending]) -> Result<Vec<(u64, u16)>, Reject> {
        let header = Header::parse(frame, Role::Client)?;
        let find = |counter| pending.iter().find(|pending| pending.counter() == counter);
        self.client.open_verdicts(&header, frame, find).map(Iterator::collect)
    }
}

fn cut(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let Ok(Cut::Frame(length)) = framer::cut(bytes, Role::Client) else { panic!("whole frames") };
        frames.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    frames
}

fn kinds(frames: &[Vec<u8>]) -> Vec<Kind> {
    frames.iter().map(|frame| Header::parse(frame, Role::Client).expect("well formed").kind).collect()
}

#[test]
fn neighbours_are_answered_in_one_frame_and_every_verdict_arrives() {
    for suite in SUITES {
        for engine in Path::ALL.into_iter().filter_map(Engine::forced) {
            let mut joined = Joined::new(suite);
            let (pending, frames) = joined.requests(BATCH_REQUESTS_MAX);
            let answers = joined.answers(engine, &frames, |number| Service::Verdict(number as u16 * 3), &[]);
            assert_eq!(kinds(&answers), [Kind::Verdicts]);
            let expected: Vec<_> = (0..BATCH_REQUESTS_MAX as u16).map(|n| (u64::from(n), n * 3)).collect();
            assert_eq!(joined.open(&answers[0], &pending), Ok(expected), "{suite:?} {}", engine.path());
        }
    }
}

/// 7.4.1: others than neighbours of one connection that asked for it get answers of their own.
#[test]
fn what_may_not_be_joined_is_answered_alone() {
    for suite in SUITES {
        let mut joined = Joined::new(suite);
        let (pending, mut frames) = joined.requests(9);
        // A replay in the middle; later an answer with a payload; then another connection.
        frames.insert(3, frames[0].clone());
        let service = |number| if number == 6 { Service::Payload } else { Service::Verdict(0) };
        let answers = joined.answers(Engine::detect(), &frames, service, &[9]);
        let expected = [Kind::Verdicts, Kind::Err, Kind::Verdicts, Kind::Resp, Kind::Verdicts, Kind::Resp];
        assert_eq!(kinds(&answers), expected);
        for (frame, counters) in [(0, 0..3), (2, 3..5), (4, 6..8)] {
            let expected: Vec<_> = counters.map(|counter| (counter, 0)).collect();
            assert_eq!(joined.open(&answers[frame], &pending), Ok(expected));
        }
        // A single verdict is the RESP that the request would have got alone.
        let mut alone = answers[5].clone();
        let header = Header::parse(&alone, Role::Client).expect("well formed");
        let answer = joined.client.open_answer(&pending[8], &header, &mut alone, CLIENT_ORIGIN_MS + 3);
        assert_eq!(answer, Ok(mvt_proto::session::Answer::Response { status: 0, payload: b"" }));
    }
}

#[test]
fn requests_without_the_flag_are_never_joined() {
    for suite in SUITES {
        let Pair { client, server } = Pair::unequal(suite, Limits::DEFAULT, Limits::DEFAULT);
        let (state, window, _) = server.into_parts();
        let mut joined = Joined { client, state, window };
        let (_, frames) = joined.requests(5);
        let answers = joined.answers(Engine::detect(), &frames, |_| Service::Verdict(0), &[]);
        assert_eq!(kinds(&answers), [Kind::Resp; 5]);
    }
}

/// 7.4.2: whole or not at all.
#[test]
fn a_joint_answer_with_any_bit_flipped_is_refused() {
    for suite in SUITES {
        let mut joined = Joined::new(suite);
        let (pending, frames) = joined.requests(4);
        let answers = joined.answers(Engine::detect(), &frames, |_| Service::Verdict(1), &[]);
        for bit in 0..answers[0].len() * 8 {
            let opened = joined.open(&flipped(&answers[0], bit), &pending);
            assert!(opened.is_err(), "{suite:?} bit {bit}: {opened:?}");
        }
    }
}

#[test]
fn a_joint_answer_is_refused_when_a_request_is_not_outstanding_or_is_another() {
    for suite in SUITES {
        let mut joined = Joined::new(suite);
        let (mut pending, frames) = joined.requests(4);
        let answers = joined.answers(Engine::detect(), &frames, |_| Service::Verdict(0), &[]);
        // The same counters under the same keys, but other requests.
        let mut other = Joined::new(suite);
        let others: Vec<_> = (0..4)
            .map(|_| {
                let mut frame = Vec::new();
                other.client.seal_request(8, b"else", CLIENT_ORIGIN_MS + 1, &mut frame).expect("sealable")
            })
            .collect();
        assert_eq!(other.open(&answers[0], &others), Err(Reject::BadTag), "{suite:?}");
        pending.remove(2);
        assert_eq!(joined.open(&answers[0], &pending), Err(Reject::Field), "{suite:?}");
    }
}

/// A VERDICTS with these counters, sealed as a server that breaks the rules would seal it.
fn forged(pending: &[Pending], frames: &[Vec<u8>], counters: &[u64], extra: &[u8]) -> Vec<u8> {
    let mut payload: Vec<u8> = counters.iter().flat_map(|counter| (counter << 16).to_be_bytes()).collect();
    payload.extend_from_slice(extra);
    let header = Header {
        kind: Kind::Verdicts,
        flags: Flags(0),
        key_id: support::KEY_ID,
        generation: 0,
        op: 0,
        counter: counters.first().copied().unwrap_or(0),
        timestamp: ORIGIN_MS,
        payload_bytes: payload.len(),
    };
    let tags: Vec<Tag> = counters
        .iter()
        .map(|counter| {
            let at = pending.iter().position(|pending| pending.counter() == *counter).unwrap_or(0);
            frames[at][frames[at].len() - TAG_BYTES..].try_into().expect("16 bytes")
        })
        .collect();
    let slots = SlotKeys::new(secret(CHAIN), ORIGIN_MS);
    let key = RequestKey::derive(Suite::Hs256, slots.key(&SlotKey::Current), 0, header.counter);
    let mut frame = header.to_bytes().to_vec();
    frame.extend_from_slice(&payload);
    frame.extend_from_slice(&[0; TAG_BYTES]);
    key.seal(&mut frame, tags.as_flattened());
    assert_eq!(payload_of(&frame).len(), frame.len() - HEADER_BYTES - TAG_BYTES);
    frame
}

#[test]
fn authentic_joint_answers_of_another_shape_are_refused() {
    let mut joined = Joined::new(Suite::Hs256);
    let (pending, frames) = joined.requests(VERDICTS_MAX + 1);
    let all: Vec<u64> = (0..=VERDICTS_MAX as u64).collect();
    let mut open =
        |counters: &[u64], extra: &[u8]| joined.open(&forged(&pending, &frames, counters, extra), &pending);
    // The canary: the same hands make one that opens.
    assert_eq!(open(&[3, 4, 9], &[]), Ok(vec![(3, 0), (4, 0), (9, 0)]));
    assert_eq!(open(&all[..VERDICTS_MAX], &[]).map(|verdicts| verdicts.len()), Ok(VERDICTS_MAX));
    for (counters, extra) in [
        (&[][..], &[][..]),
        (&[3], &[]),
        (&all, &[]),
        (&[3, 3], &[]),
        (&[4, 3], &[]),
        (&[3, 4], &[0]),
        (&[3, 4], &[0; 7]),
        (&[3, VERDICTS_MAX as u64 + 1], &[]),
    ] {
        assert_eq!(open(counters, extra), Err(Reject::Field), "{counters:?} {extra:?}");
    }
}

/// Opens what it may of `frames` together, again until none is left: the results in order.
fn open_together(
    joined: &mut Joined,
    engine: Engine,
    outstanding: &mut Outstanding<()>,
    frames: &[Vec<u8>],
) -> Vec<Result<Vec<(u64, u16)>, Reject>> {
    let received: Vec<(Header, &[u8])> = frames
        .iter()
        .map(|frame| (Header::parse(frame, Role::Client).expect("well formed"), frame.as_slice()))
        .collect();
    let (mut results, mut rest) = (Vec::new(), &received[..]);
    while !rest.is_empty() {
        let mut opened = Vec::new();
        let some = joined.client.open_verdicts_together(engine, outstanding, rest, |result| {
            opened.push(result.map(Iterator::collect::<Vec<_>>));
        });
        assert_eq!(opened.len(), some);
        for (counter, _) in opened.iter().flatten().flatten() {
            assert!(outstanding.remove(0, *counter).is_some(), "each is answered once");
        }
        results.extend(opened);
        rest = &rest[some..];
    }
    results
}

/// Any number of frames of any lengths, some wrong: each is believed or not as if it had come alone, and a wrong one hits its own
/// requests only. Lengths go over the edges of blocks: three entries are 72 bytes, tags and all.
#[test]
fn joint_answers_opened_together_are_those_opened_one_by_one() {
    let shapes = [&[2usize][..], &[128, 128], &[2, 3, 4], &[5, 127, 6, 2], &[7, 8, 9, 10, 11, 12, 13, 14, 2]];
    for (suite, engine) in SUITES
        .into_iter()
        .flat_map(|suite| Path::ALL.into_iter().filter_map(Engine::forced).map(move |engine| (suite, engine)))
    {
        for shape in shapes {
            for wrong in 0..=shape.len() {
                let mut joined = Joined::new(suite);
                let mut outstanding = Outstanding::default();
                let mut answers = Vec::new();
                for count in shape {
                    let (pending, frames) = joined.requests(*count);
                    pending.iter().for_each(|pending| outstanding.push(pending, ()));
                    answers.extend(joined.answers(
                        engine,
                        &frames,
                        |number| Service::Verdict(number as u16),
                        &[],
                    ));
                }
                if let Some(answer) = answers.get_mut(wrong) {
                    // In turn the tag and the status of a verdict.
                    let bit = if wrong % 2 == 0 { answer.len() * 8 - 1 } else { (HEADER_BYTES + 7) * 8 };
                    *answer = flipped(answer, bit);
                }
                let results = open_together(&mut joined, engine, &mut outstanding, &answers);
                let mut counter = 0;
                for (number, (result, count)) in results.iter().zip(shape).enumerate() {
                    let verdicts: Vec<_> = (0..*count as u16).map(|n| (counter + u64::from(n), n)).collect();
                    let expected = if number == wrong { Err(Reject::BadTag) } else { Ok(verdicts) };
                    assert_eq!(*result, expected, "{suite:?} {} {shape:?} {number}", engine.path());
                    counter += *count as u64;
                }
                assert_eq!(outstanding.len(), shape.get(wrong).copied().unwrap_or(0));
            }
        }
    }
}

/// A frame that comes twice answers once, however many are opened together.
#[test]
fn a_joint_answer_that_comes_twice_answers_once() {
    for suite in SUITES {
        let mut joined = Joined::new(suite);
        let mut outstanding = Outstanding::default();
        let mut answers = Vec::new();
        for _ in 0..3 {
            let (pending, frames) = joined.requests(3);
            pending.iter().for_each(|pending| outstanding.push(pending, ()));
            answers.extend(joined.answers(Engine::detect(), &frames, |_| Service::Verdict(0), &[]));
        }
        // Also behind one that is refused and names nothing that was answered.
        let broken = flipped(&answers[2], answers[2].len() * 8 - 1);
        let received = [0, 0, 1].map(|index| answers[index].clone()).into_iter();
        let received: Vec<_> =
            received.chain([broken]).chain([0, 1].map(|index| answers[index].clone())).collect();
        let results = open_together(&mut joined, Engine::detect(), &mut outstanding, &received);
        let held: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(held, [true, false, true, false, false, false], "{suite:?}");
        assert_eq!(outstanding.len(), 3);
    }
}
