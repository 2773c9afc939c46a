//! Revocation of clients, and its end (SPEC §12.2).

use std::collections::HashSet;

use mvt_proto::ClientId;

use crate::{
    registry::{Actor, Registry, RegistryError, Urgency, said},
    revocations::Revoked,
    store::{
        StoreError, Write,
        record::{FLOOR_KEY, Identity, Revocation, State, revocation_key, to_value},
    },
};

/// A full list of revocations makes room for this part of it at once.
const EVICTED_PART: usize = 16;
/// But not for more than so many: the command that finds it full waits for that.
const EVICTED_COUNT_MAX: usize = 4096;
/// Revocations taken away in one change, once they have run out.
const PRUNED_COUNT_MAX: usize = 4096;

impl Registry {
    /// Takes the clients out of the enrolment, in memory alone: to be published before the time of their revocation is
    /// read, so that no login that found them is younger than it.
    ///
    /// # Errors
    /// `Unknown`: nothing was changed.
    pub fn withdraw(&mut self, names: &[String]) -> Result<(), RegistryError> {
        match self.settle() {
            // It is revoked in memory then, if there still is no room.
            Ok(()) | Err(StoreError::Full(_)) => {}
            Err(error) => return Err(error.into()),
        }
        names.iter().try_for_each(|name| self.find(name).map(|_| ()))?;
        for name in names {
            let id = ClientId::of_name(name);
            self.held.insert(id);
            self.enrolment.withdraw(&id);
        }
        Ok(())
    }

    /// Writes the revocation of withdrawn clients: what they authenticated up to `actor.now_ms` is void (SPEC §12.2.1), and they
    /// may not log in.
    ///
    /// # Errors
    /// [`RegistryError`]: they stay withdrawn as long as this registry is there.
    pub fn revoke(&mut self, actor: Actor, names: &[String]) -> Result<(), RegistryError> {
        // One by one they have no room, whatever went: a floor for all refuses them too.
        let is_beyond = names.len() > self.bounds.revocations_max;
        let mut writes = Vec::new();
        for name in names {
            let identity = Identity {
                state: State::Revoked,
                changed_ms: actor.now_ms,
                ..self.find(name)?.identity.clone()
            };
            writes.push(self.identity_write(&identity));
            if !is_beyond {
                writes.push(self.revocation_write(actor, &ClientId::of_name(name)));
            }
        }
        let mut what = said("revoke", names.iter().map(String::as_str));
        let room = if is_beyond { self.floor_writes(actor) } else { self.make_room(names) };
        if !room.is_empty() {
            what += "; the list is full: a floor for all";
        }
        writes.extend(room);
        self.put(actor, writes, what, Urgency::MustFit)?;
        for name in names {
            let id = ClientId::of_name(name);
            self.held.remove(&id);
            if is_beyond {
                self.revocations.forget(&id);
            }
        }
        Ok(())
    }

    /// Voids in memory alone what these clients authenticated here up to `now_ms`: until that is written, or because another
    /// node wrote an earlier time. Gives these revocations.
    pub fn revoke_here(&mut self, clients: impl IntoIterator<Item = ClientId>, now_ms: u64) -> Revoked {
        let mut revoked = Revoked::default();
        for client in clients {
            self.revocations.revoke(&client, now_ms);
            revoked.revoke(&client, now_ms);
        }
        revoked
    }

    /// The same of clients for which another node raised the floor: it is raised here up to `now_ms`, since this node may have let them
    /// in for as long as it did not know.
    pub fn revoke_beyond_here(&mut self, clients: &[ClientId], now_ms: u64) -> Revoked {
        let mut revoked = Revoked::default();
        clients.iter().for_each(|client| revoked.revoke(client, now_ms));
        if !clients.is_empty() {
            self.revocations.raise_floor(now_ms);
        }
        revoked
    }

    /// Voids what anybody authenticated up to `actor.now_ms`, in the place of the list: revocations that this store does not know of any more may be among it.
    /// Clients whose revocation was lost have to be revoked again.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn accept(&mut self, actor: Actor) -> Result<(), RegistryError> {
        let writes = self.floor_writes(actor);
        let what = format!("accept-store as of change {}; a floor for all", self.revision);
        Ok(self.put(actor, writes, what, Urgency::MustFit)?)
    }

    /// A floor up to now, in the place of the whole list.
    fn floor_writes(&self, actor: Actor) -> Vec<Write> {
        let (mut floor, expected) = self.floor;
        floor.not_before_ms = floor.not_before_ms.max(actor.now_ms);
        floor.until_ms = floor.until_ms.max(actor.now_ms.saturating_add(self.bounds.revocation_keep_ms));
        let gone = self.voids.values().map(|(revocation, revision)| {
            // A recovery's may be a millisecond later than now.
            floor.not_before_ms = floor.not_before_ms.max(revocation.not_before_ms);
            floor.until_ms = floor.until_ms.max(revocation.until_ms);
            Write { key: revocation_key(&revocation.client), value: None, expected: Some(*revision) }
        });
        let mut writes: Vec<_> = gone.collect();
        writes.push(Write { key: FLOOR_KEY.into(), value: Some(to_value(&floor)), expected });
        writes
    }

    pub(super) fn revocation_write(&self, actor: Actor, client: &ClientId) -> Write {
        let known = self.voids.get(client);
        let revocation = Revocation {
            client: *client,
            not_before_ms: actor.now_ms.max(known.map_or(0, |(known, _)| known.not_before_ms)),
            until_ms: actor.now_ms.saturating_add(self.bounds.revocation_keep_ms),
        };
        Write {
            key: revocation_key(client),
            value: Some(to_value(&revocation)),
            expected: known.map(|(_, revision)| *revision),
        }
    }

    /// When the list would be over its bound: the oldest of it go, and the floor rises to the youngest of them.
    pub(super) fn make_room(&self, names: &[String]) -> Vec<Write> {
        let added: HashSet<_> = names.iter().map(|name| ClientId::of_name(name)).collect();
        if self.voids.len() + added.len() <= self.bounds.revocations_max {
            return Vec::new();
        }
        let mut oldest: Vec<_> = self.voids.values().collect();
        // Those being written now are not among those that go.
        oldest.retain(|(revocation, _)| !added.contains(&revocation.client));
        let count = added.len() + (self.bounds.revocations_max / EVICTED_PART).min(EVICTED_COUNT_MAX);
        if count < oldest.len() {
            oldest.select_nth_unstable_by_key(count, |(revocation, _)| revocation.not_before_ms);
            oldest.truncate(count);
        }
        let (mut floor, expected) = self.floor;
        let mut writes = Vec::new();
        for (revocation, revision) in oldest {
            floor.not_before_ms = floor.not_before_ms.max(revocation.not_before_ms);
            floor.until_ms = floor.until_ms.max(revocation.until_ms);
            let key = revocation_key(&revocation.client);
            writes.push(Write { key, value: None, expected: Some(*revision) });
        }
        // Who is affected has to log in once more; nobody revoked gets in.
        tracing::warn!(
            count = writes.len(),
            floor_ms = floor.not_before_ms,
            "too many revocations: a floor for all"
        );
        writes.push(Write { key: FLOOR_KEY.into(), value: Some(to_value(&floor)), expected });
        writes
    }

    /// The same where another node keeps the list: it does not tell what it forgets.
    pub fn prune_here(&mut self, now_ms: u64) -> usize {
        let over = self.voids.extract_if(|_, (revocation, _)| revocation.until_ms <= now_ms);
        let over: Vec<ClientId> = over.map(|(client, _)| client).collect();
        over.iter().for_each(|client| self.revocations.forget(client));
        over.len()
    }

    /// Forgets revocations that have run out; gives how many (SPEC §12.2.2).
    ///
    /// # Errors
    /// The store's.
    pub fn prune(&mut self, now_ms: u64) -> Result<usize, RegistryError> {
        self.settle()?;
        let over = self.voids.values().filter(|(revocation, _)| revocation.until_ms <= now_ms);
        let writes: Vec<_> = over
            .take(PRUNED_COUNT_MAX)
            .map(|(revocation, revision)| Write {
                key: revocation_key(&revocation.client),
                value: None,
                expected: Some(*revision),
            })
            .collect();
        let count = writes.len();
        if count > 0 {
            let actor = Actor { uid: rustix::process::geteuid().as_raw(), now_ms };
            self.put(actor, writes, format!("forget {count} revocations that have run out"), Urgency::Usual)?;
        }
        Ok(count)
    }
}
