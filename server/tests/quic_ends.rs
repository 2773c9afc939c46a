//! Connections that end at moments that suit nobody: in the packets that complete their handshake, all of a sudden, in silence.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{net::SocketAddr, time::Duration};

use quic_house::{Client, House};
use quinn_proto::{IdleTimeout, TransportConfig};

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
