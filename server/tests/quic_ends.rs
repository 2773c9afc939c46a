//! Connections that end at moments that suit nobody: in the packets that complete their handshake, all of a sudden, in silence.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{net::SocketAddr, time::Duration};

use mvt_proto::{Limits, Suite};
use mvt_server::limits::STREAMS_PER_CONNECTION_MAX;
use quic_house::{Client, House};
use quinn_proto::{Dir, IdleTimeout, TransportConfig};
use rig::{ORIGIN_MS, halves};

/// The rig's own connections of the shard, which are there without any of QUIC.
fn quic_connections(house: &House) -> usize {
    house.rig.shard.connection_count() - 2
}

/// The client's end of the handshake with its close behind it, as one arrival and as several.
fn leave_at_the_end_of_the_handshake(house: &mut House, number: u16, is_joined: bool) {
    let before = house.counted("connections_opened");
    let mut client = Client::new(number, &house.config, house.now);
    let address = client.address;
    let mut flight: Vec<(SocketAddr, Vec<u8>)> =
        client.packets(house.now).into_iter().map(|packet| (address, packet)).collect();
    while client.connection.is_handshaking() {
        for (_, packet) in house.turn(&std::mem::take(&mut flight)) {
            client.take(&packet, house.now);
        }
    }
    let mut last = client.packets(house.now);
    client.connection.close(house.now, 0u8.into(), Default::default());
    last.extend(client.packets(house.now));
    if is_joined {
        // The kernel joins what is of one length; a packet with nothing behind it may be shorter.
        for packet in &last {
            house.receive(address, packet, packet.len());
        }
        house.turn(&[]);
    } else {
        let last: Vec<_> = last.into_iter().map(|packet| (address, packet)).collect();
        house.turn(&last);
    }
    assert_eq!(house.counted("connections_opened"), before + 1, "the canary: the shard had it");
}

/// What anybody can do to a server that nobody has connected to yet: the shard's table of QUIC connections is empty, and the first
/// one is lost in the turn in which it comes.
#[test]
fn a_connection_lost_in_the_turn_that_completes_its_handshake_harms_nobody() {
    let mut house = House::new();
    for number in 1..4 {
        leave_at_the_end_of_the_handshake(&mut house, number, number % 2 == 0);
        assert_eq!(quic_connections(&house), 0, "forgotten at once");
    }
    let honest = house.connected(9, TransportConfig::default());
    leave_at_the_end_of_the_handshake(&mut house, 10, false);
    assert!(!honest.connection.is_closed());
    assert_eq!(quic_connections(&house), 1, "the honest one is left");
}

/// Silent for as long as the client itself said: the connection is gone without a packet, and its place in the shard with it.
/// Whoever comes next gets the place it had in QUIC's table, and keeps it.
#[test]
fn a_connection_that_fell_silent_leaves_nothing_behind() {
    let mut house = House::new();
    let mut hasty = TransportConfig::default();
    hasty.max_idle_timeout(Some(IdleTimeout::try_from(Duration::from_millis(100)).expect("short")));
    let silent = house.connected(1, hasty);
    assert_eq!(quic_connections(&house), 1);
    house.now += Duration::from_secs(10);
    house.turn(&[]);
    house.turn(&[]);
    assert_eq!(quic_connections(&house), 0, "not kept until the shard's own deadline");
    let mut next = house.connected(2, TransportConfig::default());
    assert_eq!(quic_connections(&house), 1);
    drop(silent);
    house.settle(&mut next);
    assert!(!next.connection.is_closed());
}

/// One turn with what the client has to say, and its answers, lost or not.
fn exchange(house: &mut House, client: &mut Client, are_answers_lost: bool) {
    let address = client.address;
    let said: Vec<_> = client.packets(house.now).into_iter().map(|packet| (address, packet)).collect();
    let answers = house.turn(&said);
    for (_, packet) in answers.iter().filter(|_| !are_answers_lost) {
        client.take(packet, house.now);
    }
}

/// SPEC §17.2.4: the end of a stream ends the connection. Until its last answers are acknowledged it goes on, and QUIC gives a client
/// a new stream for each that has ended: nobody looks at those. (They once had places in a table that has none for them.)
#[test]
fn streams_that_ended_make_no_room_for_others() {
    let mut house = House::new();
    let mut client = house.connected(1, TransportConfig::default());
    let open = |client: &mut Client| client.connection.streams().open(Dir::Bi);
    let streams: Vec<_> = std::iter::from_fn(|| open(&mut client)).collect();
    assert_eq!(streams.len(), usize::from(STREAMS_PER_CONNECTION_MAX));
    let (last, others) = streams.split_last().expect("four");
    // The answer to a request under a key nobody has; it is lost on the way.
    let (mut stranger, _) = halves(0, 77, Suite::Hs256, Limits::DEFAULT);
    let mut frame = Vec::new();
    stranger.seal_request(1, b"who?", ORIGIN_MS, &mut frame).expect("sealable");
    client.connection.send_stream(*last).write(&frame).expect("room");
    exchange(&mut house, &mut client, true);
    for stream in others {
        client.connection.send_stream(*stream).finish().expect("open");
    }
    // Each round may bring what the client needs for the next.
    let mut opened = 0;
    for _ in 0..8 {
        exchange(&mut house, &mut client, false);
        for stream in others {
            let mut receive = client.connection.recv_stream(*stream);
            if let Ok(mut chunks) = receive.read(true) {
                while let Ok(Some(_)) = chunks.next(usize::MAX) {}
                let _ = chunks.finalize();
            }
        }
        while let Some(stream) = open(&mut client) {
            client.connection.send_stream(stream).write(&frame).expect("room");
            opened += 1;
        }
    }
    assert!(opened > 0, "the canary: QUIC let it open more");
    house.connected(2, TransportConfig::default());
}
