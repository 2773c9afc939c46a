//! The pool beside the shard, in virtual time: one thread on a core that nobody else wants.
//!
//! An agreement begins when the turn that asked for it has ended, the thread has woken up or looks for it by itself (`handshakes/agreements.rs`), and has
//! finished those before; it takes the CPU time that it is measured to take. The shard pays for asking, for waking the thread where that is
//! needed (a real one, asleep as the pool's is), and for taking in the result, for which it is woken. What is not in it: another use of that core,
//! logins above all.

use std::{collections::VecDeque, thread};

use crossbeam::channel::{Sender, bounded};
use mvt_server::handshakes::{ATTENTION, LOOK};

/// From the ring of a bell until the thread runs, ns: what an idle core of a virtual machine takes, rather more.
const WAKE_NS: u64 = 50_000;

/// When what the shards asked for is there.
#[derive(Debug, Default)]
pub struct Pool {
    free_ns: u64,
    /// Until when the thread looks by itself.
    attends_until_ns: u64,
    due_ns: VecDeque<u64>,
}

impl Pool {
    /// `count` agreements were asked for by `now_ns` that took `took_ns` together.
    pub fn begin(&mut self, now_ns: u64, count: usize, took_ns: u64) {
        let look_ns = LOOK.as_nanos() as u64;
        let begins_ns =
            if self.attends(now_ns) { now_ns.next_multiple_of(look_ns) } else { now_ns + WAKE_NS };
        for _ in 0..count {
            self.free_ns = self.free_ns.max(begins_ns) + took_ns / count as u64;
            self.due_ns.push_back(self.free_ns);
        }
        self.attends_until_ns = self.free_ns + ATTENTION.as_nanos() as u64;
    }

    /// Whether nobody has to wake the thread.
    pub fn attends(&self, now_ns: u64) -> bool {
        now_ns < self.attends_until_ns
    }

    /// How many of them are there at `now_ns`.
    pub fn end(&mut self, now_ns: u64) -> usize {
        let count = self.due_ns.iter().take_while(|due| **due <= now_ns).count();
        self.due_ns.drain(..count).count()
    }

    /// When the next one is.
    pub fn next_ns(&self) -> u64 {
        self.due_ns.front().copied().unwrap_or(u64::MAX)
    }
}

/// A thread that sleeps as the pool's do, to be woken.
pub struct Sleeper(Sender<()>);

impl Sleeper {
    pub fn new() -> Self {
        let (bell, rings) = bounded(64);
        thread::spawn(move || while rings.recv().is_ok() {});
        Self(bell)
    }

    pub fn wake(&self) {
        let _ = self.0.try_send(());
    }
}
