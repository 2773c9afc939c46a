//! What handshakes of QUIC may take of a shard's turns: counted, without sockets and without a clock.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::collections::BTreeSet;

use mvt_server::limits::{HANDSHAKE_PACKETS_PER_TURN_MAX, HANDSHAKES_PER_TURN_MAX, HANDSHAKES_UNPROVED_MAX};
use quic_house::{Client, House};
use rustix::time::{ClockId, clock_gettime};

/// However many clients begin at once, a turn begins few handshakes, and what is established is answered in every one of them.
#[test]
fn a_burst_of_handshakes_takes_a_bounded_part_of_each_turn() {
    let mut house = House::new();
    let (mut clients, mut arrivals) = house.burst(HANDSHAKES_UNPROVED_MAX);
    let mut begun = BTreeSet::new();
    let mut turns = 0;
    let mut last = Vec::new();
    while begun.len() < clients.len() {
        let sent = house.turn(&std::mem::take(&mut arrivals));
        turns += 1;
        assert!(turns <= clients.len(), "every turn begins one at least");
        assert_eq!(house.answered, turns as u64, "the request of every turn is answered in it");
        let before = begun.len();
        begun.extend(sent.iter().map(|(address, _)| *address));
        assert!(begun.len() - before <= HANDSHAKES_PER_TURN_MAX, "{} in turn {turns}", begun.len() - before);
        assert_eq!(house.quic.has_work(), begun.len() < clients.len(), "the driver comes back at once");
        last.extend(sent);
    }
    assert_eq!(turns, clients.len().div_ceil(HANDSHAKES_PER_TURN_MAX));
    // All of them go on at the same instant: what that takes of a turn is bounded too, and all are let in.
    for (address, packet) in last {
        let client = clients.iter_mut().find(|client| client.address == address).expect("one of ours");
        client.take(&packet, house.now);
    }
    let mut arrivals: Vec<_> = clients
        .iter_mut()
        .flat_map(|client| client.packets(house.now).into_iter().map(|packet| (client.address, packet)))
        .collect();
    let packets = arrivals.len();
    let mut opened = 0;
    while opened < clients.len() as u64 {
        house.turn(&std::mem::take(&mut arrivals));
        turns += 1;
        let now = house.counted("quic_opened");
        assert!(now - opened <= HANDSHAKE_PACKETS_PER_TURN_MAX as u64, "{} in turn {turns}", now - opened);
        assert!(turns <= 2 * clients.len() + packets, "every turn takes one packet at least");
        assert_eq!(house.answered, turns as u64, "the request of every turn is answered in it");
        opened = now;
    }
    assert_eq!((house.counted("quic_retries"), house.counted("quic_dropped")), (0, 0));
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Prints what the parts of a handshake cost the shard's thread, CPU time; for a release build:
/// `cargo nextest run --release -p mvt-server --run-ignored only --no-capture what_a_handshake_costs`.
#[test]
#[ignore = "a measurement"]
fn what_a_handshake_costs() {
    const CLIENTS: u64 = 400;
    let mut house = House::new();
    let mut spent_ns = [0; 5];
    for number in 0..CLIENTS {
        let mut client = Client::new(number as u16 + 1, &house.config, house.now);
        let address = client.address;
        let arrivals: Vec<_> =
            client.packets(house.now).into_iter().map(|packet| (address, packet)).collect();
        let began = cpu_ns();
        for (remote, packet) in &arrivals {
            house.receive(*remote, packet, packet.len());
        }
        spent_ns[0] += cpu_ns() - began;
        let began = cpu_ns();
        let mut sent = house.turn(&[]);
        spent_ns[1] += cpu_ns() - began;
        for spent_ns in &mut spent_ns[2..4] {
            for (_, packet) in sent.drain(..) {
                client.take(&packet, house.now);
            }
            let packets = client.packets(house.now).into_iter();
            let arrivals: Vec<_> = packets.map(|packet| (address, packet)).collect();
            let began = cpu_ns();
            sent = house.turn(&arrivals);
            *spent_ns += cpu_ns() - began;
        }
        let began = cpu_ns();
        house.turn(&[]);
        spent_ns[4] += cpu_ns() - began;
    }
    assert_eq!(house.counted("quic_opened"), CLIENTS);
    let names =
        ["first packet taken", "handshake begun", "second flight", "third flight", "a turn without any"];
    for (name, spent_ns) in names.into_iter().zip(spent_ns) {
        println!("{name}: {:.1} µs", spent_ns as f64 / 1e3 / CLIENTS as f64);
    }
}
