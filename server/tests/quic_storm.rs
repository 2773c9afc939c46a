//! A storm of packets from anybody: honest handshakes whose packets are lost, doubled, held back, cut, bent, joined and sent again
//! from elsewhere, by clients that leave at any moment. A panic of the shard fails it; so does a request that waits, an answer
//! larger than what a stranger sent, or a connection that is kept.

#[path = "support/quic_house.rs"]
mod quic_house;
#[path = "support/rig.rs"]
mod rig;
mod support;

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mvt_proto::{Limits, Suite, session::ClientSession};
use quic_house::{Client, House};
use quinn_proto::{Dir, IdleTimeout, Side, StreamId, TransportConfig, VarInt};
use rig::{ORIGIN_MS, halves};

/// Turns of the storm, or as many as the time allows on a slow machine.
const TURNS: u64 = 4000;
const TIME: Duration = Duration::from_secs(8);
/// Clients at one time.
const CLIENTS_MAX: usize = 24;
/// Packets kept to be sent late, or again.
const KEPT_MAX: usize = 256;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % sides
    }

    fn at(&mut self, length: usize) -> usize {
        self.roll(length.max(1) as u64) as usize
    }
}

struct Storm {
    dice: Dice,
    house: House,
    /// Of a session that the server does not have.
    unknown: ClientSession,
    clients: Vec<Client>,
    client_count: u16,
    /// Packets of clients, whole, for later.
    kept: Vec<(SocketAddr, Vec<u8>)>,
    /// Received from and sent to addresses at which nobody is.
    strangers: HashMap<SocketAddr, (usize, usize)>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let (dice, house) = (Dice(seed), House::new());
        let (unknown, _) = halves(0, 77, Suite::Hs256, Limits::DEFAULT);
        let strangers = HashMap::new();
        Self { dice, house, unknown, clients: vec![], client_count: 0, kept: vec![], strangers }
    }

    /// What a client does beside answering: begin, speak, reset, leave.
    fn stir(&mut self) {
        if self.clients.len() < CLIENTS_MAX && self.dice.roll(3) == 0 {
            self.client_count += 1;
            let mut transport = TransportConfig::default();
            let silence = Duration::from_millis(50 + self.dice.roll(20_000));
            transport.max_idle_timeout(Some(IdleTimeout::try_from(silence).expect("short")));
            let config = support::quic::client_config(b"mvt1", transport);
            self.clients.push(Client::new(self.client_count, &config, self.house.now));
        }
        if self.clients.is_empty() {
            return;
        }
        let at = self.dice.at(self.clients.len());
        let mut noise: Vec<u8> = (0..self.dice.at(1300)).map(|_| self.dice.roll(256) as u8).collect();
        if self.dice.roll(2) == 0 {
            // Requests under a key that nobody has, each of which is answered.
            noise.clear();
            for _ in 0..1 + self.dice.roll(4) {
                self.unknown.seal_request(1, b"who?", ORIGIN_MS, &mut noise).expect("sealable");
            }
        }
        let quic = &mut self.clients[at].connection;
        match self.dice.roll(12) {
            0 => quic.close(self.house.now, VarInt::from_u32(7), noise.into()),
            1 => drop(self.clients.swap_remove(at)),
            2 => drop(quic.datagrams().send(noise.into(), true)),
            3 | 4 => {
                if let Some(stream) = quic.streams().open(Dir::Bi) {
                    let _ = quic.send_stream(stream).write(&noise);
                    match self.dice.roll(4) {
                        0 => drop(quic.send_stream(stream).reset(VarInt::from_u32(9))),
                        1 => drop(quic.recv_stream(stream).stop(VarInt::from_u32(9))),
                        2 => drop(quic.send_stream(stream).finish()),
                        _ => {}
                    }
                }
            }
            5 | 6 => {
                // Ends all it has, and reads to their ends.
                for index in 0..8 {
                    let stream = StreamId::new(Side::Client, Dir::Bi, index);
                    let _ = quic.send_stream(stream).finish();
                    if let Ok(mut chunks) = quic.recv_stream(stream).read(true) {
                        while let Ok(Some(_)) = chunks.next(usize::MAX) {}
                        let _ = chunks.finalize();
                    }
                }
            }
            7 => quic.ping(),
            _ => {}
        }
    }

    /// What the network makes of a packet.
    fn deliver(&mut self, from: SocketAddr, packet: Vec<u8>) {
        if self.kept.len() == KEPT_MAX {
            let at = self.dice.at(KEPT_MAX);
            self.kept.swap_remove(at);
        }
        self.kept.push((from, packet.clone()));
        match self.dice.roll(16) {
            0 => {}
            1 => {
                let bent = self.bend(packet);
                self.receive(from, &bent);
            }
            2 => {
                let bent = self.bend(packet.clone());
                self.receive(from, &bent);
                self.receive(from, &packet);
            }
            3 => {
                self.receive(from, &packet);
                self.receive(from, &packet);
            }
            _ => self.receive(from, &packet),
        }
    }

    fn bend(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        match self.dice.roll(4) {
            0 => packet.truncate(self.dice.at(packet.len())),
            1 => packet.extend_from_within(..self.dice.at(packet.len())),
            _ => {}
        }
        for _ in 0..self.dice.roll(4) {
            // Headers more often than the rest.
            let reach = if self.dice.roll(2) == 0 { packet.len() } else { packet.len().min(40) };
            let at = self.dice.at(reach);
            let bent = self.dice.roll(256) as u8;
            packet.get_mut(at).into_iter().for_each(|byte| *byte = bent);
        }
        packet
    }

    fn receive(&mut self, from: SocketAddr, bytes: &[u8]) {
        // Cut where the kernel would have, or anywhere.
        let stride = if self.dice.roll(8) == 0 { 1 + self.dice.at(1500) } else { bytes.len().max(1) };
        self.house.receive(from, bytes, stride);
    }

    /// Somebody nobody knows sends what he has heard, whole or bent, alone or joined with more.
    fn replay(&mut self) {
        let address = ([127, 0, 0, 3], 1 + self.dice.roll(200) as u16).into();
        let mut bytes = Vec::new();
        for _ in 0..1 + self.dice.roll(3) {
            if self.kept.is_empty() {
                return;
            }
            let at = self.dice.at(self.kept.len());
            let packet = self.kept[at].1.clone();
            bytes.extend(if self.dice.roll(2) == 0 { packet } else { self.bend(packet) });
        }
        self.strangers.entry(address).or_default().0 += bytes.len();
        self.receive(address, &bytes);
    }

    fn turn(&mut self) {
        self.stir();
        for at in 0..self.clients.len() {
            let client = &mut self.clients[at];
            let address = client.address;
            for packet in client.packets(self.house.now) {
                self.deliver(address, packet);
            }
        }
        if self.dice.roll(3) == 0 {
            self.replay();
        }
        for (to, packet) in self.house.turn(&[]) {
            // Probes of a path that a replayed packet claims are of this size, and bounded by number: `quic_proof.rs`.
            let is_probe = packet[0] & 0x80 == 0 && packet.len() == 1200;
            if let Some((_, sent)) = self.strangers.get_mut(&to).filter(|_| !is_probe) {
                *sent += packet.len();
            }
            let is_lost = self.dice.roll(10) == 0;
            let client = self.clients.iter_mut().find(|client| client.address == to);
            if let Some(client) = client.filter(|_| !is_lost) {
                client.take(&packet, self.house.now);
            }
        }
        let step_ms = [0, 0, 1, 1, 5, 30, 300][self.dice.at(7)];
        self.house.now += Duration::from_millis(step_ms);
        for client in &mut self.clients {
            client.pass(self.house.now);
        }
    }
}

fn storm(seed: u64) {
    println!("seed {seed:#x}");
    let began = Instant::now();
    let mut storm = Storm::new(seed);
    let mut turns = 0;
    while turns < TURNS && began.elapsed() < TIME {
        storm.turn();
        turns += 1;
        assert_eq!(storm.house.answered, turns, "the request of every turn is answered in it");
    }
    for (address, (received, sent)) in &storm.strangers {
        assert!(*sent <= 3 * received, "{address} sent {received} bytes and got {sent}: seed {seed:#x}");
    }
    let count = |name| storm.house.counted(name);
    println!("{turns} turns, {} clients, {} let in", storm.client_count, count("quic_opened"));
    assert!(count("quic_opened") > turns / 100, "the canary: handshakes come through");
    // When they have all fallen silent nothing is left of them, and an honest client is served.
    storm.clients.clear();
    for _ in 0..600 {
        storm.house.now += Duration::from_millis(100);
        storm.house.turn(&[]);
    }
    assert_eq!(storm.house.rig.shard.connection_count(), 2, "those of the rig alone: seed {seed:#x}");
    storm.house.connected(60_000, TransportConfig::default());
}

#[test]
fn a_storm_of_packets_is_weathered() {
    let random = std::collections::hash_map::RandomState::new();
    storm(std::hash::BuildHasher::hash_one(&random, std::process::id()) | 1);
}

/// The same weather in every run, as far as TLS with its randomness allows.
#[test]
fn a_storm_that_is_known_is_weathered() {
    storm(0x6d76_7431_5155_4943);
}
