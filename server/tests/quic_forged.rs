//! What a client may say that no library would, once its handshake is done: CASES.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mvt_server::limits::QUIC_MOVES_PER_SECOND_MAX;
use quic_house::{Client, House};
use quinn_proto::{ClientConfig, crypto::rustls::QuicClientConfig};
use support::{
    forged::{Forger, Overheard},
    quic::tls_config,
};

const PATH_CHALLENGE: u8 = 0x1a;

/// A connection whose client is the test from now on, with its address.
fn forger(house: &mut House) -> (Forger, SocketAddr) {
    let overheard = Arc::new(Overheard::default());
    let mut tls = tls_config(b"mvt1");
    tls.key_log = overheard.clone();
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a suite")));
    let mut client = Client::new(1, &config, house.now);
    house.settle(&mut client);
    assert!(!client.connection.is_handshaking(), "connected");
    assert_eq!(house.rig.shard.connection_count(), 3);
    (Forger::new(&overheard, &client.server_id), client.address)
}

/// Whether somebody is there is asked from hundreds of addresses, in small packets; each answer is of 1200 bytes.
#[test]
fn a_flood_of_path_challenges_is_answered_a_few_times_a_second() {
    let mut house = House::new();
    let (mut forger, _) = forger(&mut house);
    let (mut answered, mut sent) = (0, 0);
    // Within a second. (Nobody acknowledges the answers here, so after some ten of them QUIC itself would wait.)
    for number in 0..90u16 {
        let elsewhere = ([127, 0, 9, (number % 250) as u8], 1000 + number).into();
        let challenge = [&[PATH_CHALLENGE][..], &[number as u8; 8]].concat();
        let packet = forger.packet(&challenge);
        sent += packet.len();
        let answers = house.turn(&[(elsewhere, packet)]);
        answered += answers.iter().filter(|(to, packet)| *to == elsewhere && packet.len() >= 1200).count();
        house.now += Duration::from_millis(10);
    }
    println!("{answered} answers for {sent} bytes");
    let answers_max = QUIC_MOVES_PER_SECOND_MAX as usize;
    assert!((1..=answers_max).contains(&answered), "{answered} answers to 90 challenges");
    assert_eq!(house.rig.shard.connection_count(), 3, "it is no reason to end the connection");
}

/// Streams far beyond those that are let, and of kinds that are not: the end of the connection, and nothing is kept.
#[test]
fn a_stream_that_is_not_let_ends_the_connection() {
    let far = |id: u64| [&[0x0a][..], &(id | 3 << 62).to_be_bytes(), &[1, 7]].concat();
    // The fifth; the last there can be; one of one direction; one of ours; a reset of a stream that never was.
    let reset = [&[0x04][..], &((1u64 << 61) | 3 << 62).to_be_bytes(), &[7, 0]].concat();
    let cases = [far(16), far((1 << 62) - 4), far(2), far(1), reset];
    for (at, frames) in cases.into_iter().enumerate() {
        let mut house = House::new();
        let (mut forger, address) = forger(&mut house);
        let kept = allocation_counter::measure(|| {
            let packet = forger.packet(&frames);
            house.turn(&[(address, packet)]);
            house.turn(&[]);
        });
        assert_eq!(house.rig.shard.connection_count(), 2, "case {at}: ended");
        assert!(kept.bytes_current < 4096, "case {at}: {} bytes", kept.bytes_current);
    }
}
