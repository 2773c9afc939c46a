//! What an operator does while requests go on.

use std::sync::Arc;

use crossbeam::channel::{Receiver, bounded};
use mvt_proto::ClientId;
use mvt_server::{mailbox::Mail, revocations::Revoked};

use crate::rig::{ORIGIN_MS, Rig};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    None,
    /// Every session is to renew within so many ms (CASES K-08), from this time on, ms.
    Rotation {
        at_ms: u64,
        within_ms: u64,
    },
    /// From this time on, ms, a command revokes so many clients, each with a session (CASES X-05), and another one so many ms later.
    Revocation {
        at_ms: u64,
        names: u64,
        every_ms: u64,
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
    /// What the control thread holds until all have confirmed, so that no shard frees it.
    held: Option<Arc<Revoked>>,
}

impl Operator {
    pub const fn new(event: Event) -> Self {
        let due_ms = match event {
            Event::None => u64::MAX,
            Event::Rotation { at_ms, .. } | Event::Revocation { at_ms, .. } => ORIGIN_MS + at_ms,
        };
        Self { event, due_ms, revoked: 0, confirmed: None, held: None }
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
            Event::Revocation { names, every_ms, .. } => {
                self.due_ms = now_ms + every_ms;
                let last = self.revoked + names;
                let mut revoked = Revoked::default();
                (self.revoked..last).for_each(|number| revoked.revoke(&victim(number), now_ms));
                self.revoked = last;
                let (confirm, confirmed) = bounded(1);
                self.confirmed = Some(confirmed);
                let revoked = Arc::new(revoked);
                self.held = Some(revoked.clone());
                Mail::Revoke { revoked, confirm }
            }
        };
        assert!(rig.mailboxes[0].post(mail).is_ok(), "the mailbox has room");
        true
    }
}
