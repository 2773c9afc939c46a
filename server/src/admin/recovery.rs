//! Recoveries at the control thread: recorded in one durable change, then told to their shard and to all others (SPEC §13.4).

use std::os::unix::net::UnixStream;

use crate::{
    admin::{control::Station, execute::Host},
    mailbox::Mail,
    recoveries::{Inbox, Proved, Recorded},
    registry::{Actor, Registry, RegistryError, Replaced},
    store::StoreError,
};

/// What arrives from the shards, and how often each client recovered.
#[derive(Debug)]
pub(super) struct RecoveryDesk {
    inbox: Inbox,
    recorded: Recorded,
}

impl RecoveryDesk {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self { inbox, recorded: Recorded::default() }
    }

    /// Readable when something arrived.
    pub(super) const fn waiter(&self) -> &UnixStream {
        &self.inbox.waiter
    }

    /// Records what arrived.
    ///
    /// # Errors
    /// A store after which nothing may be acknowledged any more.
    pub(super) fn record(
        &mut self,
        registry: &mut Registry,
        station: &mut Station,
    ) -> Result<(), StoreError> {
        while let Ok(proved) = self.inbox.proved.try_recv() {
            let replaced = self.replace(registry, station, &proved);
            let Proved { shard, key_id, client, .. } = proved;
            match replaced {
                Ok(Replaced { revoked, authenticated_ms }) => {
                    // In this order: when its shard looks for what is void, the new session is authenticated after it.
                    let authenticated_ms = Some(authenticated_ms);
                    station.tell(shard, Mail::Recovered { key_id, authenticated_ms });
                    tracing::info!(%client, "recovered");
                    if let Err(unconfirmed) = station.erase_sessions(revoked) {
                        tracing::error!(shards = ?unconfirmed.0, "recovered; older sessions may stand there still");
                    }
                }
                Err(error) => {
                    station.tell(shard, Mail::Recovered { key_id, authenticated_ms: None });
                    tracing::warn!(%client, %error, "a recovery was not recorded");
                    if let RegistryError::Store(error) = error
                        && error.is_end()
                    {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// As a revocation: out of the enrolment first, then the time, so that no login that found the old key is younger than it.
    fn replace(
        &mut self,
        registry: &mut Registry,
        station: &mut Station,
        proved: &Proved,
    ) -> Result<Replaced, RegistryError> {
        if !self.recorded.allows(&proved.client, station.now_ms()) {
            return Err(RegistryError::RecoveredTooOften);
        }
        let name = registry.withdraw_id(&proved.client)?;
        station.publish(registry);
        let uid = rustix::process::geteuid().as_raw();
        let actor = Actor { uid, now_ms: station.now_ms() };
        let replaced = registry.replace_key(actor, &name, &proved.new_public);
        station.publish(registry);
        if replaced.is_ok() {
            self.recorded.note(proved.client, actor.now_ms);
        }
        replaced
    }
}
