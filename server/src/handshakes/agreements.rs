//! Key agreements of renewals that wait for the pool (SPEC §11.2.7).
//!
//! They go before logins: who asks for one has a session, and soon needs it. Whatever is not done in time the shard does itself, so
//! nothing is lost with one that finds no room.

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

/// Those that wait, of all shards.
#[derive(Debug)]
pub(super) struct Agreements(ArrayQueue<Asked>);

impl Agreements {
    pub(super) fn new() -> Self {
        Self(ArrayQueue::new(AGREEMENTS_COUNT_MAX))
    }

    /// Whether there was room.
    pub(super) fn put(&self, asked: Asked) -> bool {
        self.0.push(asked).is_ok()
    }

    /// Computes all that wait and that somebody waits for.
    pub(super) fn work_off(&self, mailboxes: &[Mailbox]) {
        while let Some(asked) = self.0.pop() {
            compute(mailboxes, &asked);
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
