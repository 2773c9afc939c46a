//! A client that seals and opens many at once does what it does one by one (SPEC §7.1).

mod support;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Limits, Role,
    session::{Answer, ClientSession, Outstanding, Pending, Received, Request, SealError, Sealer},
};
use proptest::prelude::*;
use support::{CLIENT_ORIGIN_MS, ORIGIN_MS, Pair, SUITES, flipped, lost_keys};

fn engines() -> impl Iterator<Item = Engine> {
    Path::ALL.into_iter().filter_map(Engine::forced)
}

fn pairs(limits: Limits) -> impl Iterator<Item = [Pair; 2]> {
    SUITES.into_iter().map(move |suite| [(); 2].map(|()| Pair::unequal(suite, limits, Limits::DEFAULT)))
}

/// Seals `requests` in as many batches as they need; each is kept with its number.
fn seal_all(
    sealer: &mut Sealer,
    client: &mut ClientSession,
    requests: &[Request<'_>],
    now_ms: u64,
    out: &mut Vec<u8>,
    outstanding: &mut Outstanding<usize>,
) -> Result<(), SealError> {
    for (number, some) in requests.chunks(Sealer::REQUESTS_MAX).enumerate() {
        let written = some.iter().try_for_each(|request| sealer.write(client, *request, now_ms, out));
        sealer.seal(out, |lane, waiting| {
            outstanding.push(waiting, number * Sealer::REQUESTS_MAX + lane);
        });
        assert!(sealer.is_empty());
        written?;
    }
    Ok(())
}

/// Every answer in words, so that it can be compared with one that borrows another frame.
fn words(answer: &Result<Answer<'_>, mvt_proto::Reject>) -> String {
    format!("{answer:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_batch_is_sealed_and_opened_as_one_by_one(
        lengths in prop::collection::vec(prop_oneof![9 => 0usize..300, 1 => Just(16_384usize)], 1..80),
        twists in prop::collection::vec(0usize..12, 80),
        flip in any::<usize>(),
    ) {
        for engine in engines() {
            for [mut alone, mut together] in pairs(Limits::DEFAULT) {
                // A session nobody used is forgotten before an answer could be STALE.
                alone.confirm();
                together.confirm();
                let payloads: Vec<Vec<u8>> = lengths.iter().map(|length| vec![7; *length]).collect();
                let mut expected = Vec::new();
                let waiting: Vec<Pending> = payloads
                    .iter()
                    .map(|payload| {
                        let (pending, frame) = alone.request(payload, 5);
                        expected.push(frame);
                        pending
                    })
                    .collect();
                let requests: Vec<_> =
                    payloads.iter().map(|payload| Request { op: 7, payload }).collect();
                let (mut out, mut outstanding) = (Vec::new(), Outstanding::default());
                let (client, now_ms) = (&mut together.client, CLIENT_ORIGIN_MS + 5);
                let mut sealer = Sealer::new(engine);
                let sealed = seal_all(&mut sealer, client, &requests, now_ms, &mut out, &mut outstanding);
                prop_assert_eq!(sealed, Ok(()));
                prop_assert_eq!(&out, &expected.concat(), "{}", engine.path());

                let answers: Vec<Vec<u8>> = expected
                    .iter()
                    .zip(&twists)
                    .map(|(frame, twist)| {
                        let answer = match twist {
                            0 => lost_keys().answer(frame, true).to_vec(),
                            1 => alone.reply(frame, 40_000),
                            _ => alone.reply(frame, 6),
                        };
                        // Not in what the framer and the parser judge.
                        if *twist == 2 { flipped(&answer, 112 + flip % 16) } else { answer }
                    })
                    .collect();
                let mut frames = answers.clone();
                let mut received: Vec<_> = frames
                    .iter_mut()
                    .zip(&waiting)
                    .map(|(frame, alone)| {
                        let header = Header::parse(frame, Role::Client).expect("well formed");
                        let (pending, number) =
                            outstanding.get(0, alone.counter()).expect("sealed under the same counter");
                        assert_eq!(*number as u64 + 1, alone.counter(), "kept beside its own request");
                        Received { pending, header, frame }
                    })
                    .collect();
                let mut opened = Vec::new();
                together.client.open_answers(engine, &mut received, CLIENT_ORIGIN_MS + 9, |index, answer| {
                    assert_eq!(index, opened.len());
                    opened.push(words(&answer));
                });
                for ((mut frame, pending), opened) in answers.into_iter().zip(&waiting).zip(opened) {
                    prop_assert_eq!(words(&alone.answer(pending, &mut frame, 9)), opened, "{}", engine.path());
                }
            }
        }
    }
}

/// Keys sealed in a batch are kept with their schedules where an answer of their own is to come, those sealed alone without:
/// in any order, also while the ring grows and places in it are vacant, each opens its answer.
#[test]
fn requests_sealed_alone_and_together_wait_side_by_side() {
    for suite in SUITES {
        for takes_verdicts in [false, true] {
            let mut pair = Pair::unequal(suite, Limits::DEFAULT, Limits::DEFAULT);
            pair.confirm();
            let mut sealer = Sealer::new(Engine::detect());
            let mut outstanding = Outstanding::default();
            let mut frames = Vec::new();
            let now_ms = CLIENT_ORIGIN_MS + 5;
            for number in 0..40 {
                if number == 20 && takes_verdicts {
                    pair.client.take_verdicts();
                }
                if number % 3 == 0 {
                    let (pending, frame) = pair.request(b"alone", 5);
                    outstanding.push(&pending, number);
                    frames.push((pending.counter(), frame));
                } else {
                    let mut frame = Vec::new();
                    let request = [Request { op: 7, payload: b"together" }];
                    let mut one = |sealer: &mut Sealer| {
                        sealer.write(&mut pair.client, request[0], now_ms, &mut frame).expect("room");
                        let mut counter = 0;
                        sealer.seal(&mut frame, |_, waiting| {
                            counter = waiting.counter();
                            outstanding.push(waiting, number);
                        });
                        counter
                    };
                    let counter = one(&mut sealer);
                    frames.push((counter, frame));
                }
                // One in the middle is answered early.
                if number % 5 == 4 {
                    let (counter, frame) = frames.remove(frames.len() / 2);
                    open(&mut pair, &mut outstanding, counter, &frame);
                }
            }
            for (counter, frame) in frames {
                open(&mut pair, &mut outstanding, counter, &frame);
            }
            assert!(outstanding.is_empty());
        }
    }
}

fn open(pair: &mut Pair, outstanding: &mut Outstanding<usize>, counter: u64, frame: &[u8]) {
    let mut answer = pair.reply(frame, 6);
    let header = Header::parse(&answer, Role::Client).expect("well formed");
    let (pending, _) = outstanding.get(0, counter).expect("waits");
    let opened = pair.client.open_answer(pending, &header, &mut answer, CLIENT_ORIGIN_MS + 9);
    assert!(matches!(opened, Ok(Answer::Response { .. })), "{opened:?}");
    assert!(outstanding.remove(0, counter).is_some() && outstanding.get(0, counter).is_none());
}

/// §11.3.1: the last request of one generation and the first of the next in one batch.
#[test]
fn a_batch_goes_through_a_renewal_as_one_by_one() {
    for engine in engines() {
        for [mut alone, mut together] in pairs(Limits::DEFAULT) {
            for (index, count) in [1usize, 2, 31, 32, 33, 34, 70].into_iter().enumerate() {
                let at_ms = 1 + index as u64 * 40_000;
                for pair in [&mut alone, &mut together] {
                    pair.exchange(at_ms);
                    pair.server.advance(ORIGIN_MS + at_ms);
                    pair.offer_and_take(count as u8, at_ms);
                }
                let expected: Vec<_> = alone.requests(count, at_ms);
                let requests = vec![Request { op: 7, payload: &[] }; count];
                let (mut out, mut outstanding) = (Vec::new(), Outstanding::default());
                let (client, now_ms) = (&mut together.client, CLIENT_ORIGIN_MS + at_ms);
                let mut sealer = Sealer::new(engine);
                seal_all(&mut sealer, client, &requests, now_ms, &mut out, &mut outstanding)
                    .expect("sealable");
                let frames: Vec<_> = expected.iter().map(|(_, frame)| frame.clone()).collect();
                assert_eq!(out, frames.concat(), "{}", engine.path());
                for (number, (pending, _)) in expected.iter().enumerate() {
                    let kept = outstanding.get(pending.generation(), pending.counter());
                    assert_eq!(kept.map(|(_, number)| *number), Some(number));
                }
                for frame in frames {
                    assert_eq!(alone.verdict(&frame, at_ms), "accept");
                    assert_eq!(together.verdict(&frame, at_ms), "accept");
                }
                // Both sides go on to the generation offered.
                alone.exchange(at_ms);
                together.exchange(at_ms);
            }
        }
    }
}

#[test]
fn a_batch_ends_at_a_limit() {
    let limits = Limits { renew_after_requests: 5, reject_after_requests: 5, ..Limits::DEFAULT };
    for [_, mut pair] in pairs(limits) {
        let (mut out, mut sealer) = (Vec::new(), Sealer::new(Engine::detect()));
        let mut outstanding = Outstanding::default();
        let mut seal = |count: usize, length: usize| {
            let payload = vec![0; length];
            let requests = vec![Request { op: 0, payload: &payload }; count];
            let client = &mut pair.client;
            let sealed =
                seal_all(&mut sealer, client, &requests, CLIENT_ORIGIN_MS, &mut out, &mut outstanding);
            (sealed, pair.client.counter(), outstanding.len())
        };
        assert_eq!(seal(2, 16_385), (Err(SealError::PayloadTooLong), 0, 0));
        assert_eq!(seal(4, 0), (Ok(()), 4, 4));
        assert_eq!(seal(0, 0), (Ok(()), 4, 4));
        assert_eq!(seal(2, 0), (Err(SealError::Exhausted), 5, 5));
        assert_eq!(seal(1, 0), (Err(SealError::Exhausted), 5, 5));
    }
}

/// Requests of several sessions and suites, in any order, in one batch.
#[test]
fn a_batch_of_many_sessions_is_sealed_as_one_by_one() {
    for engine in engines() {
        let mut alone: Vec<_> =
            SUITES.iter().cycle().take(5).map(|suite| Pair::new(*suite, Limits::DEFAULT)).collect();
        let mut together: Vec<_> =
            SUITES.iter().cycle().take(5).map(|suite| Pair::new(*suite, Limits::DEFAULT)).collect();
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        let mut sealer = Sealer::new(engine);
        let order = [0usize, 0, 2, 1, 4, 3, 3, 0, 2, 4, 4, 1, 0];
        for (number, index) in order.into_iter().enumerate() {
            // The clock moves on, over the edge of a slot too.
            let at_ms = 10 + number as u64 * 6_000;
            let payload = vec![number as u8; 9 * number];
            expected.push(alone[index].request(&payload, at_ms).1);
            let request = Request { op: 7, payload: &payload };
            let session = &mut together[index].client;
            sealer.write(session, request, CLIENT_ORIGIN_MS + at_ms, &mut out).expect("sealable");
        }
        let mut outstanding: Vec<Outstanding<usize>> = (0..5).map(|_| Outstanding::default()).collect();
        sealer.seal(&mut out, |lane, waiting| outstanding[order[lane]].push(waiting, lane));
        assert_eq!(out, expected.concat(), "{}", engine.path());
        assert_eq!(outstanding.iter().map(Outstanding::len).collect::<Vec<_>>(), [4, 2, 2, 2, 3]);
    }
}

/// Writes `count` requests with this payload, as many alike at a time as it may, and seals them.
fn seal_alike(
    sealer: &mut Sealer,
    client: &mut ClientSession,
    payload: &[u8],
    now_ms: u64,
    count: usize,
) -> Vec<u8> {
    let (mut out, mut written) = (Vec::new(), 0);
    while written < count {
        let request = Request { op: 7, payload };
        let some = sealer.write_alike(client, request, count - written, now_ms, &mut out).expect("sealable");
        assert!((1..=count - written).contains(&some));
        written += some;
        if sealer.is_full() || written == count {
            sealer.seal(&mut out, |_, _| {});
        }
    }
    out
}

/// Also through a renewal, whose last request is alone of its generation (§11.3.1).
#[test]
fn requests_written_alike_are_those_written_one_by_one() {
    for engine in engines() {
        for [mut alone, mut together] in pairs(Limits::DEFAULT) {
            let mut sealer = Sealer::new(engine);
            for (index, (count, length)) in
                [(1usize, 20usize), (2, 0), (31, 3), (32, 27), (33, 28), (34, 300), (70, 20)]
                    .into_iter()
                    .enumerate()
            {
                let at_ms = 1 + index as u64 * 40_000;
                for pair in [&mut alone, &mut together] {
                    pair.exchange(at_ms);
                    pair.server.advance(ORIGIN_MS + at_ms);
                    pair.offer_and_take(count as u8, at_ms);
                }
                let payload: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
                let expected: Vec<_> = (0..count).map(|_| alone.request(&payload, at_ms).1).collect();
                let client = &mut together.client;
                let out = seal_alike(&mut sealer, client, &payload, CLIENT_ORIGIN_MS + at_ms, count);
                assert_eq!(out, expected.concat(), "{} x {length} {}", count, engine.path());
                for frame in expected {
                    assert_eq!(alone.verdict(&frame, at_ms), "accept");
                    assert_eq!(together.verdict(&frame, at_ms), "accept");
                }
                alone.exchange(at_ms);
                together.exchange(at_ms);
            }
        }
    }
}

#[test]
fn requests_written_alike_end_where_the_batch_and_the_limit_do() {
    let limits = Limits { renew_after_requests: 40, reject_after_requests: 40, ..Limits::DEFAULT };
    for [_, mut pair] in pairs(limits) {
        let mut sealer = Sealer::new(Engine::detect());
        let (mut out, mut count) = (Vec::new(), 0);
        let client = &mut pair.client;
        let mut write = |sealer: &mut Sealer, most, out: &mut Vec<u8>| {
            sealer.write_alike(client, Request { op: 7, payload: b"pay" }, most, CLIENT_ORIGIN_MS, out)
        };
        assert_eq!(write(&mut sealer, 5, &mut out), Ok(5));
        assert_eq!(write(&mut sealer, usize::MAX, &mut out), Ok(Sealer::REQUESTS_MAX - 5));
        assert!(sealer.is_full());
        sealer.seal(&mut out, |lane, waiting| {
            assert_eq!((lane as u64, lane), (waiting.counter(), count));
            count += 1;
        });
        assert_eq!((count, sealer.len()), (32, 0));
        assert_eq!(write(&mut sealer, 100, &mut out), Ok(8));
        assert_eq!((sealer.len(), write(&mut sealer, 1, &mut out)), (8, Err(SealError::Exhausted)));
    }
}
