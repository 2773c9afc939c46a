//! A client's key replaced by the one it recovered with (SPEC §13.4).

use mvt_proto::constants::KEY_BYTES;

use crate::{
    owner::Owner,
    registry::{Actor, Registry, RegistryError, Urgency},
    revocations::Revoked,
    store::record::Identity,
};

impl Registry {
    /// First half of [`Registry::replace_key`]: takes the client out of the enrolment, in memory alone, to be published before the
    /// time is read up to which everything else of it is void. Gives its name.
    ///
    /// # Errors
    /// When it is revoked, or was since it asked (§13.4.3), or the key is somebody's (§13.2.4); nothing was changed.
    pub fn begin_replacement(
        &mut self,
        owner: &Owner,
        new_public: &[u8; KEY_BYTES],
    ) -> Result<String, RegistryError> {
        self.settle()?;
        let Some(client) = self.enrolment.find_id(&owner.client) else {
            return Err(RegistryError::Unknown(owner.client.to_string()));
        };
        let name = client.name.clone();
        if self.revocations.refuses_owner(owner) {
            return Err(RegistryError::Revoked(name));
        }
        if let Some(taken_by) = self.keys.get(new_public) {
            return Err(RegistryError::KeyTaken { name, owner: taken_by.clone() });
        }
        self.enrolment.withdraw(&owner.client);
        Ok(name)
    }

    /// In one change: the client's public key, and what it authenticated up to `actor.now_ms` is void (§13.4.1). Gives the time of
    /// that revocation with it.
    ///
    /// # Errors
    /// [`RegistryError`]; the key of before holds.
    pub fn replace_key(
        &mut self,
        actor: Actor,
        name: &str,
        new_public: [u8; KEY_BYTES],
    ) -> Result<(u64, Revoked), RegistryError> {
        let identity = self.find(name)?.identity.clone();
        let client = mvt_proto::ClientId::of_name(name);
        let identity = Identity { public_key: new_public, changed_ms: actor.now_ms, ..identity };
        let mut writes = vec![self.identity_write(&identity), self.revocation_write(actor, &client)];
        writes.extend(self.make_room(&[name.to_owned()]));
        if let Err(error) = self.put(actor, writes, format!("recover {name}"), Urgency::Usual) {
            self.refresh(name);
            return Err(error.into());
        }
        let mut revoked = Revoked::default();
        let not_before_ms = self.voids.get(&client).map_or(actor.now_ms, |(void, _)| void.not_before_ms);
        revoked.revoke(&client, not_before_ms);
        Ok((not_before_ms, revoked))
    }
}
