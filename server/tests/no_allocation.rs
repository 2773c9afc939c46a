//! In the steady state a request costs no allocation.

#[path = "support/rig.rs"]
mod rig;

use mvt_proto::{Limits, Suite, session::ClientSession};
use mvt_server::{service::ServiceKind, shard::ConnectionId};
use rig::{ORIGIN_MS, Rig};

const LIMITS: Limits = Limits { reject_after_requests: u32::MAX, ..Limits::DEFAULT };
const NOW_MS: u64 = ORIGIN_MS + 10;

/// One stream a connection: requests of every session in turn, with payloads of many lengths, some of them replays.
fn streams(clients: &mut [ClientSession], connections: usize, requests: usize) -> Vec<Vec<u8>> {
    let mut streams = vec![Vec::new(); connections];
    for number in 0..requests {
        let client = &mut clients[number % 7];
        let stream = &mut streams[number % connections];
        let start = stream.len();
        let payload = vec![3; number * 37 % 300];
        client.seal_request(1, &payload, ORIGIN_MS + 5, stream).map(drop).expect("sealable");
        if number % 9 == 0 {
            stream.extend_from_within(start..);
        }
    }
    streams
}

/// The turns of a driver: reads that end anywhere, then every answer taken.
fn drive(rig: &mut Rig, connections: &[ConnectionId], streams: &[Vec<u8>]) {
    const READ_BYTES: usize = 4000;
    let reads = streams.iter().map(|stream| stream.len().div_ceil(READ_BYTES)).max().unwrap_or(0);
    for read in 0..reads {
        for (id, stream) in connections.iter().zip(streams) {
            let bytes = stream.chunks(READ_BYTES).nth(read).unwrap_or(&[]);
            rig.shard.ingest(*id, bytes, NOW_MS);
        }
        rig.shard.turn(NOW_MS);
        while let Some(id) = rig.shard.next_dirty() {
            let mut output = Vec::new();
            rig.shard.take_output(id, &mut output, NOW_MS);
            rig.shard.sent(id, output);
        }
    }
}

#[test]
fn thousands_of_requests_allocate_nothing() {
    for (suite, name) in Suite::ALL {
        let mut rig = Rig::new(ServiceKind::Echo, LIMITS, 100, 1);
        let mut clients = rig.sessions(7, suite, LIMITS);
        let connections: Vec<_> = (0..5).map(|port| rig.connect(port, ORIGIN_MS)).collect();
        // Until every buffer has grown to its size.
        for _ in 0..8 {
            let warm = streams(&mut clients, connections.len(), 2000);
            drive(&mut rig, &connections, &warm);
        }
        let steady = streams(&mut clients, connections.len(), 5000);
        let before = rig.counters.verified.get();
        let counted = allocation_counter::measure(|| drive(&mut rig, &connections, &steady));
        assert_eq!(rig.counters.verified.get() - before, 5000, "{name}");
        assert_eq!(counted.count_total, 0, "{name}: {counted:?}");
    }
}

#[test]
fn a_connection_that_owes_nothing_holds_no_memory_for_output() {
    const CONNECTIONS: usize = 1000;
    let mut rig = Rig::new(ServiceKind::Echo, LIMITS, 100, 1);
    let mut clients = rig.sessions(7, Suite::Hs256, LIMITS);
    let connections: Vec<_> = (0..CONNECTIONS).map(|port| rig.connect(port as u16, ORIGIN_MS)).collect();
    let streams = streams(&mut clients, CONNECTIONS, 50 * CONNECTIONS);
    let counted = allocation_counter::measure(|| {
        for (id, stream) in connections.iter().zip(&streams) {
            drive(&mut rig, std::slice::from_ref(id), std::slice::from_ref(stream));
        }
    });
    // Answers of 10 KB each passed through; what stays is the rest of frames, and a few spare buffers.
    assert!(counted.bytes_current < 2 << 20, "{counted:?}");
    let mut hand = mvt_server::shard::SweepHand::default();
    let trimmed = allocation_counter::measure(|| rig.shard.sweep(&mut hand, NOW_MS + 3_000, |_| ()));
    assert!(counted.bytes_current + trimmed.bytes_current < 256 << 10, "{counted:?} {trimmed:?}");
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1u8; 100])));
    assert_eq!(counted.count_total, 1);
}
