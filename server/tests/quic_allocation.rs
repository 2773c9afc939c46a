//! What QUIC allocates in the steady state, counted for each packet that comes or goes; nothing of it is ours.

#[path = "support/quic_pair.rs"]
mod quic_pair;
#[path = "support/rig.rs"]
mod rig;
mod support;

use mvt_proto::{Limits, Suite, session::ClientSession};
use mvt_server::service::ServiceKind;
use quic_pair::{Pair, Spent};
use rig::{ORIGIN_MS, Rig};

const LIMITS: Limits = Limits { reject_after_requests: u32::MAX, ..Limits::DEFAULT };
/// Requests of one round trip.
const REQUESTS: usize = 256;

fn requests(client: &mut ClientSession, count: usize) -> Vec<Vec<u8>> {
    let seal = |_| {
        let mut frame = Vec::new();
        client.seal_request(1, b"some bytes", ORIGIN_MS + 5, &mut frame).map(drop).expect("sealable");
        frame
    };
    (0..count).map(seal).collect()
}

/// Round trips until every buffer has its size, then `rounds` that are counted.
fn measure(mut ask: impl FnMut(&mut Pair, &[Vec<u8>]), rounds: usize) -> Spent {
    let mut rig = Rig::new(ServiceKind::Echo, LIMITS, 100, 1);
    let mut client = rig.sessions(1, Suite::Hs256, LIMITS).pop().expect("one");
    let mut pair = Pair::connect(&mut rig);
    for _ in 0..40 {
        ask(&mut pair, &requests(&mut client, REQUESTS));
        pair.settle(&mut rig);
    }
    pair.spent = Spent::default();
    let before = rig.counters.verified.get();
    for _ in 0..rounds {
        ask(&mut pair, &requests(&mut client, REQUESTS));
        pair.settle(&mut rig);
    }
    assert_eq!(rig.counters.verified.get() - before, (rounds * REQUESTS) as u64, "all were judged");
    pair.spent
}

/// A hundredth is for what quinn-proto may do now and then: it was 0 of 2,700 packets.
#[test]
fn packets_of_datagrams_allocate_nothing() {
    let ask = |pair: &mut Pair, requests: &[Vec<u8>]| {
        for frames in requests.chunks(16) {
            pair.send_datagram(frames.concat());
        }
    };
    let spent = measure(ask, 100);
    println!("datagrams: {spent}");
    assert!(spent.packets >= 2 * 100 * REQUESTS as u64 / 20, "{spent}");
    assert!(100 * spent.allocations <= spent.packets, "{spent}");
}

/// quinn-proto copies what is written to a stream, once for each write, which is once for a connection and turn; beside that
/// it was 2 a round of some 20 packets.
#[test]
fn packets_of_a_stream_allocate_once_for_each_write() {
    let ask = |pair: &mut Pair, requests: &[Vec<u8>]| pair.write_stream(&requests.concat());
    let spent = measure(ask, 100);
    println!("stream: {spent}");
    assert!(spent.packets >= 100 * REQUESTS as u64 / 20, "{spent}");
    assert!(4 * spent.allocations <= spent.packets, "{spent}");
}
