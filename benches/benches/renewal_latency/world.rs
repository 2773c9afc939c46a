//! A shard with its clients. What the shard does is measured, what they do is not.

use std::{
    collections::{HashMap, VecDeque},
    io::Read as _,
};

use mvt_benches::thread_time;
use mvt_proto::{ClientId, Suite};
use mvt_server::{
    mailbox::Mail,
    owner::Owner,
    service::ServiceKind,
    shard::{ConnectionId, SweepHand},
};

use crate::{
    arm::Arm,
    event::{Operator, victim},
    party::Party,
    pool::Sleeper,
    rig::{ORIGIN_MS, Rig},
    wire::Wire,
};

pub const CONNECTIONS: usize = 16;
/// One read, as the driver's.
const READ_BYTES: usize = 64 * 1024;

pub struct World {
    pub rig: Rig,
    parties: Vec<Party>,
    by_key_id: HashMap<u64, usize>,
    connections: Vec<ConnectionId>,
    /// Empty where no socket is wanted.
    wires: Vec<Wire>,
    /// Sent and not read yet, for each connection.
    input: Vec<Vec<u8>>,
    /// Answered and not delivered yet.
    output: Vec<(usize, Vec<u8>)>,
    buffer: Vec<u8>,
    hand: SweepHand,
    operator: Operator,
    /// Absent where no pool is wanted.
    sleeper: Option<Sleeper>,
    /// What the pool has computed and the shard has not heard of.
    computed: VecDeque<Mail>,
    /// SHAREs whose agreement was given to the pool.
    shares: u64,
    seed: u64,
}

impl World {
    /// `count` sessions that send, at the points of their life that `arm` says.
    pub fn new(arm: &Arm, count: usize, suite: Suite, has_sockets: bool) -> Self {
        let limits = arm.life.limits();
        let mut rig = Rig::new(ServiceKind::Verdict, limits, count + arm.idle, 1);
        let mut parties = Vec::new();
        for number in 0..count as u64 {
            let (party, session) = Party::new(number, suite, limits, arm.life.begun(number, count as u64));
            let client = ClientId::of_name(&format!("client {number}"));
            rig.admit_for(Owner { client, authenticated_ms: ORIGIN_MS }, session);
            parties.push(party);
        }
        for number in 0..arm.idle as u64 {
            let (_, session) = Party::new(count as u64 + number, suite, limits, (0, ORIGIN_MS));
            rig.admit_for(Owner { client: victim(number), authenticated_ms: ORIGIN_MS }, session);
        }
        let by_key_id = parties.iter().enumerate().map(|(number, party)| (party.key_id(), number)).collect();
        let connections = (0..CONNECTIONS).map(|port| rig.connect(port as u16, ORIGIN_MS)).collect();
        let wires = (0..CONNECTIONS).filter(|_| has_sockets).map(|_| Wire::new()).collect();
        let mut world = Self {
            rig,
            parties,
            by_key_id,
            connections,
            wires,
            input: vec![Vec::new(); CONNECTIONS],
            output: Vec::new(),
            buffer: vec![0; READ_BYTES],
            hand: SweepHand::default(),
            operator: Operator::new(arm.event),
            sleeper: arm.has_pool.then(Sleeper::new),
            computed: VecDeque::new(),
            shares: 0,
            seed: 1 << 32,
        };
        world.confirm();
        world
    }

    /// A first request of each: the answer to it carries a ticket, which belongs to its login.
    fn confirm(&mut self) {
        for number in 0..self.parties.len() {
            self.arrive(number, ORIGIN_MS);
            if number % 256 == 255 || number + 1 == self.parties.len() {
                self.turn((0, false), ORIGIN_MS);
                self.deliver(ORIGIN_MS);
            }
        }
        assert_eq!(self.rig.counters.verified.get(), self.parties.len() as u64, "all are verified");
    }

    /// A request of this client.
    pub fn arrive(&mut self, number: usize, now_ms: u64) {
        self.parties[number].send(now_ms, &mut self.input[number % CONNECTIONS]);
    }

    /// Whether a client said something that no turn has seen yet.
    pub fn has_input(&self) -> bool {
        self.input.iter().any(|bytes| !bytes.is_empty())
    }

    /// Agreements that the last turn asked for.
    pub fn asked_count(&self) -> usize {
        let is_heard = self.sleeper.is_some();
        if is_heard { (self.rig.counters.shares.get() - self.shares) as usize } else { 0 }
    }

    /// What a thread of the pool does with them; how long it took, ns.
    pub fn compute(&mut self) -> u64 {
        self.shares = self.rig.counters.shares.get();
        let start = thread_time::now_ns();
        self.rig.handshakes.work_off_agreements(&self.rig.mailboxes);
        let took_ns = thread_time::now_ns() - start;
        self.computed.extend(std::iter::from_fn(|| self.rig.mailboxes[0].take()));
        took_ns
    }

    /// `agreed` results of the pool lie in the mailbox, whose waker rings.
    fn post(&mut self, agreed: usize) {
        for mail in self.computed.drain(..agreed) {
            assert!(self.rig.mailboxes[0].post(mail).is_ok(), "the mailbox has room");
        }
    }

    /// One turn over all that was sent, as a driver does it, and over so many results of the pool, which may have to be woken for new
    /// ones; how long it took, ns.
    pub fn turn(&mut self, (agreed, wakes): (usize, bool), now_ms: u64) -> u64 {
        for (wire, bytes) in self.wires.iter_mut().zip(&self.input) {
            if !bytes.is_empty() {
                wire.send(bytes);
            }
        }
        let has_mail = self.operator.act(&self.rig, now_ms);
        self.post(agreed);
        let mut rung = [0; 64];
        let start = thread_time::now_ns();
        if agreed > 0 && !self.wires.is_empty() {
            // A driver reads its waker.
            let _ = self.rig.waiters[0].read(&mut rung);
        }
        if has_mail || agreed > 0 {
            self.rig.shard.read_mail(now_ms);
        }
        for at in 0..CONNECTIONS {
            let sent = self.input[at].len();
            let mut read = 0;
            while read < sent {
                let bytes = match self.wires.get_mut(at) {
                    Some(wire) => wire.receive(&mut self.buffer),
                    None => &self.input[at],
                };
                self.rig.shard.ingest(self.connections[at], bytes, now_ms);
                read += bytes.len();
            }
        }
        self.rig.shard.turn(now_ms);
        while let Some(id) = self.rig.shard.next_dirty() {
            let mut bytes = Vec::new();
            self.rig.shard.take_output(id, &mut bytes, now_ms);
            let at = self.connections.iter().position(|known| *known == id).expect("one of ours");
            if let Some(wire) = self.wires.get_mut(at)
                && !bytes.is_empty()
            {
                wire.answer(&bytes);
            }
            self.output.push((at, bytes));
        }
        for _ in 0..if wakes { self.asked_count() } else { 0 } {
            self.sleeper.iter().for_each(Sleeper::wake);
        }
        let elapsed = thread_time::now_ns() - start;
        self.input.iter_mut().for_each(Vec::clear);
        elapsed
    }

    /// The answers of the last turn reach the clients; gives how many requests were answered.
    pub fn deliver(&mut self, now_ms: u64) -> usize {
        let mut answered = 0;
        for (at, mut bytes) in std::mem::take(&mut self.output) {
            if let Some(wire) = self.wires.get_mut(at) {
                wire.take(&mut bytes);
            }
            let mut rest = &mut bytes[..];
            while let [high, low, ..] = rest {
                let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                let (frame, after) = rest.split_at_mut(length);
                let key_id = u64::from_be_bytes(frame[4..12].try_into().expect("8 bytes"));
                self.seed += 1;
                let party = &mut self.parties[self.by_key_id[&key_id]];
                answered += usize::from(party.take(frame, self.seed, now_ms, &mut self.input[at]));
                rest = after;
            }
            self.rig.shard.sent(self.connections[at], bytes);
        }
        // The pool's threads do this beside the shard.
        self.rig.fill_stock();
        answered
    }

    /// The tick of a driver; how long it took, ns.
    pub fn sweep(&mut self, now_ms: u64) -> u64 {
        let start = thread_time::now_ns();
        self.rig.shard.sweep(&mut self.hand, now_ms, |_| ());
        thread_time::now_ns() - start
    }

    /// A piece of what is due; how long it took, ns, and whether there is more.
    pub fn reclaim(&mut self, now_ms: u64) -> (u64, bool) {
        let start = thread_time::now_ns();
        let is_behind = self.rig.shard.reclaim(now_ms);
        (thread_time::now_ns() - start, is_behind)
    }

    /// What the shard counted as `name`.
    pub fn counted(&self, name: &str) -> u64 {
        let found = self.rig.counters.events().find(|(row, _)| *row == name);
        found.map_or_else(|| panic!("no counter {name}"), |(_, count)| count)
    }
}
