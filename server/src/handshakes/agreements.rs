//! Key agreements of renewals that wait for the pool (SPEC §11.2.7).
//!
//! They go before logins: who asks for one has a session, and soon needs it. Whatever is not done in time the shard does itself, so
//! nothing is lost with one that finds no room, or that is overlooked.
//!
//! To wake a thread that sleeps costs a shard 10 to 20 µs of its turn on a virtual machine, a third of what is saved. So the thread that computed one
//! looks for the next by itself for a while, every millisecond of the five that clients wait: where agreements are many nobody is
//! woken, and where they are few it does not matter.

use std::{
    sync::atomic::{AtomicBool, Ordering, fence},
    time::{Duration, Instant},
};

use crossbeam::queue::ArrayQueue;
use mvt_proto::{secret::scrub_stack, session::Agreement};

use crate::{
    limits::AGREEMENTS_COUNT_MAX,
    mailbox::{Mail, Mailbox},
};

/// One that a shard asks for.
#[derive(Debug)]
pub struct Asked {
    /// The shard.
    pub shard: usize,
    /// Its session.
    pub key_id: u64,
    /// What is to be computed; a handle, so the queue leaves no key behind.
    pub agreement: Agreement,
}

/// Between two looks of a thread that attends.
pub const LOOK: Duration = Duration::from_millis(1);
/// For how long it attends after an agreement.
pub const ATTENTION: Duration = Duration::from_millis(50);

/// Those that wait, of all shards.
#[derive(Debug)]
pub(super) struct Agreements {
    line: ArrayQueue<Asked>,
    /// A thread looks at the line by itself.
    is_attended: AtomicBool,
}

impl Agreements {
    pub(super) fn new() -> Self {
        Self { line: ArrayQueue::new(AGREEMENTS_COUNT_MAX), is_attended: AtomicBool::new(false) }
    }

    /// Whether there was room.
    pub(super) fn put(&self, asked: Asked) -> bool {
        self.line.push(asked).is_ok()
    }

    /// Whether somebody has to be told of what was put in.
    pub(super) fn is_unattended(&self) -> bool {
        // With the one in `Attendant::leave`: either it sees what was put in, or we see that it left.
        fence(Ordering::SeqCst);
        !self.is_attended.load(Ordering::Relaxed)
    }

    /// Computes all that wait and that somebody waits for; whether there was any.
    pub(super) fn work_off(&self, mailboxes: &[Mailbox]) -> bool {
        let mut has_worked = false;
        while let Some(asked) = self.line.pop() {
            compute(mailboxes, &asked);
            has_worked = true;
        }
        has_worked
    }
}

/// The part of one thread in it: at most one attends.
#[derive(Debug, Default)]
pub(super) struct Attendant {
    until: Option<Instant>,
}

impl Attendant {
    /// Works off the line; how long to wait for anything else before the next look.
    pub(super) fn attend(&mut self, agreements: &Agreements, mailboxes: &[Mailbox]) -> Option<Duration> {
        let now = Instant::now();
        if agreements.work_off(mailboxes)
            && (self.until.is_some() || !agreements.is_attended.swap(true, Ordering::Relaxed))
        {
            self.until = Some(now + ATTENTION);
        }
        if self.until.is_some_and(|until| now >= until) {
            self.leave(agreements, mailboxes);
        }
        self.until.map(|_| LOOK)
    }

    /// Something else is to be done, or nothing came for long.
    pub(super) fn leave(&mut self, agreements: &Agreements, mailboxes: &[Mailbox]) {
        if self.until.take().is_some() {
            agreements.is_attended.store(false, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            agreements.work_off(mailboxes);
        }
    }
}

fn compute(mailboxes: &[Mailbox], asked: &Asked) {
    let Asked { shard, key_id, agreement } = asked;
    if !agreement.is_awaited() {
        return;
    }
    let Some(agreed) = agreement.compute() else { return };
    let mail = Mail::Agreed { key_id: *key_id, agreed: Box::new(agreed) };
    // What was left of it on the way is not needed.
    scrub_stack();
    // A full mailbox means that the shard is behind: it will do without.
    drop(mailboxes[*shard].post(mail));
}
