//! What an operator does while requests go on.

use std::sync::Arc;

use crossbeam::channel::{Receiver, bounded};
use mvt_proto::ClientId;
use mvt_server::{mailbox::Mail, revocations::Revocations};

use crate::rig::{ORIGIN_MS, Rig};

/// Between two commands that revoke, ms.
const COMMAND_MS: u64 = 50;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    None,
    /// Every session is to renew within so many ms (CASES K-08), from this time on, ms.
    Rotation {
        at_ms: u64,
        within_ms: u64,
    },
    /// So many clients a second are revoked, each with a session (CASES X-05), from this time on, ms.
    Revocation {
        at_ms: u64,
        per_second: u64,
    },
}

/// The name of a client that is revoked.
pub fn victim(number: u64) -> ClientId {
    ClientId::of_name(&format!("victim {number}"))
}

/// How far it is with one shard.
pub struct Operator {
    event: Event,
    due_ms: u64,
    revoked: u64,
    confirmed: Option<Receiver<usize>>,
}

impl Operator {
    pub const fn new(event: Event) -> Self {
        let due_ms = match event {
            Event::None => u64::MAX,
            Event::Rotation { at_ms, .. } | Event::Revocation { at_ms, .. } => ORIGIN_MS + at_ms,
        };
        Self { event, due_ms, revoked: 0, confirmed: None }
    }

    /// Posts what is due; true while the shard has to look at its mail.
    pub fn act(&mut self, rig: &Rig, now_ms: u64) -> bool {
        let goes_on = self.confirmed.as_ref().is_some_and(Receiver::is_empty);
        if now_ms < self.due_ms {
            return goes_on;
        }
        let mail = match self.event {
            Event::None => return false,
            Event::Rotation { within_ms, .. } => {
                self.due_ms = u64::MAX;
                Mail::Renew { within_ms }
            }
            Event::Revocation { per_second, .. } => {
                self.due_ms = now_ms + COMMAND_MS;
                let last = self.revoked + per_second * COMMAND_MS / 1000;
                let mut revoked = Revocations::default();
                (self.revoked..last).for_each(|number| revoked.revoke(&victim(number), now_ms));
                self.revoked = last;
                let (confirm, confirmed) = bounded(1);
                self.confirmed = Some(confirmed);
                Mail::Revoke { revoked: Arc::new(revoked), confirm }
            }
        };
        assert!(rig.mailboxes[0].post(mail).is_ok(), "the mailbox has room");
        true
    }
}
