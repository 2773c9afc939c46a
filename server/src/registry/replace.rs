//! The effect of a recovery: a new static public key, and everything authenticated before void, in one change (SPEC §13.4.1).

use mvt_proto::{ClientId, constants::KEY_BYTES};

use crate::{
    registry::{Actor, Registry, RegistryError},
    revocations::Revocations,
    store::record::{Identity, State},
};

/// What a recorded recovery leads to.
#[derive(Debug)]
pub struct Replaced {
    /// Sessions of these owners are to be erased.
    pub revoked: Revocations,
    /// The authentication time of the session that proved the new key: one above the revocation.
    pub authenticated_ms: u64,
}

impl Registry {
    /// Takes the client of this id out of the enrolment, in memory alone, as [`Registry::withdraw`]; gives its name.
    ///
    /// # Errors
    /// `Barred` when it is not in it: barring wins over a recovery (§13.4.3).
    pub fn withdraw_id(&mut self, client: &ClientId) -> Result<String, RegistryError> {
        let name = self.enrolment.find_id(client).map(|client| client.name.clone());
        let name = name.ok_or(RegistryError::Barred)?;
        self.withdraw(std::slice::from_ref(&name))?;
        Ok(name)
    }

    /// Writes the new public key of a withdrawn client, with its revocation, and lets it in again: all or nothing, also across a
    /// crash.
    ///
    /// # Errors
    /// [`RegistryError`]; then nothing was written, and it is let in again as it was.
    pub fn replace_key(
        &mut self,
        actor: Actor,
        name: &str,
        new_public: &[u8; KEY_BYTES],
    ) -> Result<Replaced, RegistryError> {
        let id = ClientId::of_name(name);
        let written = self.write_new_key(actor, name, new_public);
        self.held.remove(&id);
        self.refresh(name);
        written?;
        let not_before_ms = self.voids.get(&id).map_or(actor.now_ms, |(void, _)| void.not_before_ms);
        let mut revoked = Revocations::default();
        revoked.revoke(&id, not_before_ms);
        Ok(Replaced { revoked, authenticated_ms: not_before_ms + 1 })
    }

    fn write_new_key(
        &mut self,
        actor: Actor,
        name: &str,
        new_public: &[u8; KEY_BYTES],
    ) -> Result<(), RegistryError> {
        self.settle()?;
        let identity = &self.find(name)?.identity;
        if identity.state == State::Revoked {
            return Err(RegistryError::Barred);
        }
        // §13.2.4: also the client's own key of now, which is lost or was never its to recover to.
        if let Some(owner) = self.keys.get(new_public) {
            return Err(RegistryError::KeyTaken { name: name.to_owned(), owner: owner.clone() });
        }
        let identity = Identity { public_key: *new_public, changed_ms: actor.now_ms, ..identity.clone() };
        let id = ClientId::of_name(name);
        let mut writes = vec![self.identity_write(&identity), self.revocation_write(actor, &id)];
        writes.extend(self.make_room(std::slice::from_ref(&identity.name)));
        Ok(self.put(actor, writes, format!("recover {name}"))?)
    }
}
