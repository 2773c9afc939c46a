//! What the node knows of its clients where a session begins: who may, with what, and since when (SPEC §12.2, §13.2).

use std::sync::atomic::Ordering;

use mvt_proto::{ClientId, Suite, secret::Secret};

use crate::{node::Node, owner::Owner};

/// A client that may recover.
#[derive(Debug)]
pub struct Recoverable {
    /// The psk of HPKE.
    pub recovery_secret: Secret,
    /// The suites it may use.
    pub suites: Vec<Suite>,
}

impl Node {
    /// The suites a client may use with a ticket of this owner; `None` when it is barred (not in the enrolment, §12.2.3), or
    /// authenticated before its revocation (§12.1.5).
    #[must_use]
    pub fn suites_of_ticket(&self, owner: &Owner) -> Option<Vec<Suite>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let is_fresh = self.freshness.allows_resume(self.clock.now_ms());
        if !is_fresh || self.revocations.load().refuses_ticket(&owner.client, owner.authenticated_ms) {
            return None;
        }
        self.enrolment.load().find_id(&owner.client).map(|client| client.suites.clone())
    }

    /// The client of this id if it may recover: enrolled, not barred, with a recovery secret (§13.2.2).
    #[must_use]
    pub fn recoverable(&self, client: &ClientId) -> Option<Recoverable> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        if !self.freshness.allows_login(self.clock.now_ms()) {
            return None;
        }
        let enrolment = self.enrolment.load();
        let client = enrolment.find_id(client)?;
        let recovery_secret = self.unsealer.as_ref()?.recovery_secret(client)?;
        Some(Recoverable { recovery_secret, suites: client.suites.clone() })
    }
}
