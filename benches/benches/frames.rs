//! Whole frames over tables of different sizes: what a million sessions more cost a request, from its bytes to its answer's.
//!
//! `cargo bench -p mvt-benches --bench frames [-- --small N --large N --rounds N --batch N]`: two shards that differ in the number of
//! their sessions, and are visited in turn; in each round 4096 requests of sessions chosen at random, HS256, answered one by one.
//! The thread's CPU time. Ten million sessions take about 6 GB and minutes to make.

#[path = "../../server/tests/support/rig.rs"]
mod rig;

use std::hint::black_box;

use mvt_proto::{ClientId, Limits, Suite, login::Admitted, session::ClientSession};
use mvt_server::{
    mailbox::{Entrance, Mail, Newcomer},
    owner::Owner,
    service::ServiceKind,
    shard::ConnectionId,
};
use rig::{ORIGIN_MS, Rig, halves};

const ROUND_FRAMES: usize = 4096;
const CONNECTIONS: usize = 16;
/// Clients kept for each table: sessions spread over all of it, and more than any cache holds.
const CLIENTS: u64 = 1 << 19;
/// 20 payload bytes: a frame of one cache line.
const PAYLOAD: [u8; 20] = *b"twenty payload bytes";
const LIMITS: Limits = Limits { reject_after_requests: u32::MAX, ..Limits::DEFAULT };

struct Table {
    rig: Rig,
    clients: Vec<ClientSession>,
    connections: Vec<ConnectionId>,
    random: u64,
    spare: Vec<u8>,
}

impl Table {
    fn new(sessions: u64) -> Self {
        let mut rig = Rig::new(ServiceKind::Verdict, LIMITS, sessions as usize, 1);
        let connections: Vec<_> = (0..CONNECTIONS).map(|port| rig.connect(port as u16, ORIGIN_MS)).collect();
        let owner = Owner { client: ClientId::of_name("tester"), authenticated_ms: ORIGIN_MS };
        let every = (sessions / CLIENTS).max(1);
        let mut clients = Vec::new();
        for number in 0..sessions {
            let (client, session) = halves(0, number, Suite::Hs256, LIMITS);
            if number % every == 0 {
                clients.push(client);
            }
            let newcomer = Newcomer {
                admitted: Admitted { answer: Vec::new(), session },
                owner,
                psk_alone: false,
                entrance: Entrance::Login,
            };
            // As if the connection had asked for a login; what it counts of them goes below nought, which is of no matter here.
            let mail = Mail::Admitted { connection: connections[0], newcomer: Box::new(newcomer) };
            assert!(rig.mailboxes[0].post(mail).is_ok());
            if number % 1024 == 1023 {
                rig.shard.read_mail(ORIGIN_MS);
            }
        }
        rig.shard.read_mail(ORIGIN_MS);
        assert_eq!(rig.shard.session_count() as u64, sessions);
        let mut table = Self { rig, clients, connections, random: 0x9e37_79b9_7f4a_7c15, spare: Vec::new() };
        table.take_output();
        table.confirm();
        table
    }

    /// A first request of each client: the answer to it carries a ticket, which is not what is measured.
    fn confirm(&mut self) {
        for at in 0..self.clients.len() {
            let mut frame = Vec::new();
            let _ = self.clients[at].seal_request(7, &PAYLOAD, ORIGIN_MS + 5, &mut frame).expect("sealable");
            self.rig.shard.ingest(self.connections[at % CONNECTIONS], &frame, ORIGIN_MS + 10);
            if at % 256 == 255 {
                self.rig.shard.turn(ORIGIN_MS + 10);
                self.take_output();
            }
        }
        self.rig.shard.turn(ORIGIN_MS + 10);
        self.take_output();
        assert_eq!(self.rig.counters.verified.get(), self.clients.len() as u64, "all are verified");
    }

    /// Of as many sessions as a turn has frames, for each connection its bytes.
    fn streams(&mut self, batch: usize) -> Vec<Vec<Vec<u8>>> {
        let runs = CONNECTIONS.min(batch);
        let mut stream = || {
            let mut bytes = Vec::new();
            for _ in 0..batch / runs {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                let at = self.random as usize % self.clients.len();
                let _ =
                    self.clients[at].seal_request(7, &PAYLOAD, ORIGIN_MS + 5, &mut bytes).expect("sealable");
            }
            bytes
        };
        (0..ROUND_FRAMES / batch).map(|_| (0..runs).map(|_| stream()).collect()).collect()
    }

    fn take_output(&mut self) {
        while let Some(id) = self.rig.shard.next_dirty() {
            self.rig.shard.take_output(id, &mut self.spare, ORIGIN_MS + 10);
            black_box(&self.spare);
            self.spare.clear();
        }
    }

    #[inline(never)]
    fn run(&mut self, turns: &[Vec<Vec<u8>>]) {
        for turn in turns {
            for (at, stream) in turn.iter().enumerate() {
                self.rig.shard.ingest(self.connections[at], stream, ORIGIN_MS + 10);
            }
            self.rig.shard.turn(ORIGIN_MS + 10);
            self.take_output();
        }
    }

    /// Nanoseconds a frame.
    fn round(&mut self, batch: usize) -> f64 {
        let turns = self.streams(batch);
        let verified = self.rig.counters.verified.get();
        let start = cpu_ns();
        self.run(&turns);
        let elapsed = (cpu_ns() - start) as f64;
        assert_eq!(self.rig.counters.verified.get() - verified, ROUND_FRAMES as u64, "all are verified");
        elapsed / ROUND_FRAMES as f64
    }
}

/// Time this thread has spent on a core: other work on the machine is not counted.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The fastest, the lower quartile and the median.
fn ranks(samples: &mut [f64]) -> [f64; 3] {
    samples.sort_by(f64::total_cmp);
    [0, samples.len() / 4, samples.len() / 2].map(|at| samples[at])
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value_of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments[at + 1].parse::<u64>().expect("a number"))
    };
    let counts = [value_of("--small").unwrap_or(100_000), value_of("--large").unwrap_or(10_000_000)];
    let rounds = value_of("--rounds").unwrap_or(201);
    let batch = value_of("--batch").unwrap_or(256) as usize;
    let mut tables = counts.map(Table::new);
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (table, samples) in tables.iter_mut().zip(&mut samples) {
            samples.push(table.round(batch));
        }
    }
    let ranks = samples.map(|mut samples| ranks(&mut samples));
    println!("batch {batch}, {rounds} rounds by turns: ns a frame, fastest, lower quartile, median");
    for (count, [fastest, quartile, median]) in counts.iter().zip(ranks) {
        println!("  {count:9} sessions: {fastest:6.1} {quartile:6.1} {median:6.1}");
    }
    let [fastest, quartile, median] = std::array::from_fn(|at| ranks[1][at] / ranks[0][at]);
    println!("  ratio:              {fastest:6.2} {quartile:6.2} {median:6.2}");
}
