//! What is void although it is genuine: everything a client authenticated up to a time (SPEC §12.2).

use imbl::HashMap;
use mvt_proto::{
    ClientId,
    constants::{CLIENT_ID_BYTES, FUTURE_BOUND_MS},
};

use crate::owner::Owner;

/// The revocations in force, a snapshot. Asked where a session begins or goes on (§12.2.1): login, RESUME, OFFER, RECOVER; never for
/// a request.
#[derive(Debug, Clone)]
pub struct Revocations {
    /// Holds for every client: see [`Revocations::raise_floor`].
    floor_ms: u64,
    /// How much later than here another node's clock, or its knowledge of a revocation, may be.
    margin_ms: u64,
    by_client: HashMap<[u8; CLIENT_ID_BYTES], u64>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { floor_ms: 0, margin_ms: FUTURE_BOUND_MS, by_client: HashMap::default() }
    }
}

impl Revocations {
    /// Nothing is void. Nodes that follow this one's store may let a revoked client in for up to `follower_stale_ms` more.
    #[must_use]
    pub fn new(follower_stale_ms: u64) -> Self {
        Self { margin_ms: FUTURE_BOUND_MS + follower_stale_ms, ..Self::default() }
    }

    /// Whether what `client` authenticated at `authenticated_ms`, by the clock of this node, is void.
    #[must_use]
    pub fn refuses(&self, client: &ClientId, authenticated_ms: u64) -> bool {
        authenticated_ms <= self.floor_ms
            || self.by_client.get(client.as_bytes()).is_some_and(|until_ms| authenticated_ms <= *until_ms)
    }

    /// The same for a ticket, whose time another node may have given: its clock is at most 5 s off (§6.3, §12.1), and it may have
    /// heard of the revocation late. A client enrolled anew within that time logs in instead.
    #[must_use]
    pub fn refuses_ticket(&self, client: &ClientId, authenticated_ms: u64) -> bool {
        self.refuses(client, authenticated_ms.saturating_sub(self.margin_ms))
    }

    /// Whether a session of this owner is void.
    #[must_use]
    pub fn refuses_owner(&self, owner: &Owner) -> bool {
        self.refuses(&owner.client, owner.authenticated_ms)
    }

    /// Voids what `client` authenticated up to `not_before_ms`; a later time stays.
    pub fn revoke(&mut self, client: &ClientId, not_before_ms: u64) {
        // What is known is not written again: a write copies what readers hold.
        if self.by_client.get(client.as_bytes()).is_none_or(|known| *known < not_before_ms) {
            self.by_client.insert(*client.as_bytes(), not_before_ms);
        }
    }

    /// Forgets the revocation of `client`: nothing it could refuse is left, or the floor refuses it.
    pub fn forget(&mut self, client: &ClientId) {
        self.by_client.remove(client.as_bytes());
    }

    /// Voids what anybody authenticated up to `not_before_ms`. So a full list makes room without letting anybody in:
    /// others have to log in once more.
    pub fn raise_floor(&mut self, not_before_ms: u64) {
        self.floor_ms = self.floor_ms.max(not_before_ms);
    }

    /// Number of clients with a revocation.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_client.len()
    }

    /// Whether nothing is void.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty() && self.floor_ms == 0
    }
}

/// What was revoked just now, as the shards that erase its sessions look at it: they ask for every session they have, nearly always in
/// vain, so here that costs a look at a table of a byte for each client, and no walk from node to node.
#[derive(Debug, Clone, Default)]
pub struct Revoked(hashbrown::HashMap<[u8; CLIENT_ID_BYTES], u64>);

impl Revoked {
    /// Voids what `client` authenticated up to `not_before_ms`; a later time stays.
    pub fn revoke(&mut self, client: &ClientId, not_before_ms: u64) {
        let until_ms = self.0.entry(*client.as_bytes()).or_insert(not_before_ms);
        *until_ms = not_before_ms.max(*until_ms);
    }

    /// Whether what `client` authenticated at `authenticated_ms` is void.
    #[must_use]
    pub fn refuses(&self, client: &ClientId, authenticated_ms: u64) -> bool {
        self.0.get(client.as_bytes()).is_some_and(|until_ms| authenticated_ms <= *until_ms)
    }

    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §12.2.1
    #[test]
    fn a_revocation_refuses_up_to_its_time_and_not_after_it() {
        let (alice, bob) = (ClientId::of_name("alice"), ClientId::of_name("bob"));
        let mut revocations = Revocations::default();
        assert!(!revocations.refuses(&alice, 1));
        revocations.revoke(&alice, 10_000);
        revocations.revoke(&alice, 9_000);
        for (client, at_ms, is_refused) in
            [(alice, 9_999, true), (alice, 10_000, true), (alice, 10_001, false), (bob, 9_000, false)]
        {
            assert_eq!(revocations.refuses(&client, at_ms), is_refused, "{at_ms}");
        }
        assert!(revocations.refuses_ticket(&alice, 15_000) && !revocations.refuses_ticket(&alice, 15_001));
        revocations.forget(&alice);
        assert!(!revocations.refuses(&alice, 9_000));
    }

    /// §12.2.1
    #[test]
    fn what_was_revoked_just_now_is_refused_up_to_its_time() {
        let (alice, bob) = (ClientId::of_name("alice"), ClientId::of_name("bob"));
        let mut revoked = Revoked::default();
        assert!(revoked.is_empty() && !revoked.refuses(&alice, 1));
        revoked.revoke(&alice, 10_000);
        revoked.revoke(&alice, 9_000);
        assert!(
            revoked.refuses(&alice, 10_000) && !revoked.refuses(&alice, 10_001) && !revoked.refuses(&bob, 1)
        );
    }

    #[test]
    fn the_floor_refuses_everybody() {
        let mut revocations = Revocations::default();
        revocations.raise_floor(500);
        revocations.raise_floor(400);
        assert!(revocations.refuses(&ClientId::of_name("carol"), 500));
        assert!(!revocations.refuses(&ClientId::of_name("carol"), 501));
    }
}
