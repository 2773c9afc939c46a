//! What waits in a connection: what a client can make a shard keep (CASES Q-05), and answers that must not be lost meanwhile.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{net::SocketAddr, sync::Arc};

use mvt_proto::{
    Limits, Role, Suite,
    framer::{self, Cut},
};
use mvt_server::limits::{QUIC_WINDOW_BYTES, STREAMS_PER_CONNECTION_MAX};
use quic_house::{Client, House};
use quinn_proto::{Dir, TransportConfig, congestion::CubicConfig};
use rig::ORIGIN_MS;

/// A client that sends as much as it is let, whatever the path may take.
fn greedy() -> TransportConfig {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(1 << 24);
    let mut transport = TransportConfig::default();
    transport.congestion_controller_factory(Arc::new(cubic));
    transport
}

fn said(client: &mut Client, house: &House) -> Vec<(SocketAddr, Vec<u8>)> {
    let address = client.address;
    client.packets(house.now).into_iter().map(|packet| (address, packet)).collect()
}

/// Streams whose first bytes never come, as long as their windows let them be: all of it is kept, and no more than that.
#[test]
fn streams_with_gaps_keep_no_more_than_their_windows() {
    const COUNT: u16 = 12;
    let mut house = House::new();
    let mut clients: Vec<_> = (1..=COUNT).map(|number| house.connected(number, greedy())).collect();
    let (mut kept, mut sent) = (0, 0);
    for client in &mut clients {
        let streams: Vec<_> = (0..STREAMS_PER_CONNECTION_MAX)
            .filter_map(|_| client.connection.streams().open(Dir::Bi))
            .collect();
        // The first byte of each goes alone, and is lost.
        for stream in &streams {
            assert_eq!(client.connection.send_stream(*stream).write(&[0]), Ok(1));
        }
        said(client, &house);
        for _ in 0..64 {
            for stream in &streams {
                sent += client.connection.send_stream(*stream).write(&[7; 8192]).unwrap_or(0);
            }
            let packets = said(client, &house);
            kept += allocation_counter::measure(|| drop(house.turn(&packets))).bytes_current;
        }
    }
    let each = |bytes: i64| bytes / i64::from(COUNT);
    let window = i64::from(QUIC_WINDOW_BYTES);
    println!("{} bytes kept of {} sent, for each connection", each(kept), each(sent as i64));
    assert!(each(sent as i64) > window / 2, "the canary: {sent} bytes were sent");
    // Its packets as they came are somewhat more than what was in them.
    assert!(each(kept) < window + window / 4, "{} bytes", each(kept));
    assert_eq!(house.counted("bad_tags"), 0, "none of it was a frame yet");
}

/// The answers in the datagrams of a packet are whole frames; how many.
fn answers_in(client: &mut Client) -> usize {
    let mut count = 0;
    while let Some(datagram) = client.connection.datagrams().recv() {
        let mut rest = &datagram[..];
        while let Ok(Cut::Frame(length)) = framer::cut(rest, Role::Client) {
            count += 1;
            rest = &rest[length..];
        }
    }
    count
}

/// The path of a client takes large packets, and what waits for it was made for those; then it goes on from another network, of which
/// nothing is known but what every path takes. QUIC drops datagrams that are too large for it, and an answer is sent once.
#[test]
fn no_answer_that_waits_is_lost_when_the_path_becomes_smaller() {
    const COUNT: usize = 800;
    let mut house = House::with(true);
    let mut client = house.connected(1, greedy());
    let mut session = house.rig.sessions(1, Suite::Hs256, Limits::DEFAULT).remove(0);
    house.settle(&mut client);
    // More than the server may send before it hears again: the rest waits.
    for _ in 0..COUNT / 10 {
        let mut frames = Vec::new();
        for _ in 0..10 {
            session.seal_request(1, b"", ORIGIN_MS, &mut frames).map(drop).expect("sealable");
        }
        client.connection.datagrams().send(frames.into(), false).expect("room");
    }
    let packets = said(&mut client, &house);
    let on_their_way = house.turn(&packets);
    let large = on_their_way.iter().map(|(_, packet)| packet.len()).max().expect("answers");
    assert!(large > 2 * 1200, "the canary: the path was known to take {large} bytes");
    client.address = ([127, 0, 7, 7], 7).into();
    client.connection.ping();
    let packets = said(&mut client, &house);
    let from_there = house.turn(&packets);
    for (_, packet) in on_their_way.iter().chain(&from_there) {
        client.take(packet, house.now);
    }
    let early = answers_in(&mut client);
    assert!(early < COUNT, "the canary: {early} did not wait");
    house.settle(&mut client);
    assert_eq!(early + answers_in(&mut client), COUNT, "each answer arrived");
}
