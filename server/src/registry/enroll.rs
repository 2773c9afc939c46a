//! Enrolment of clients.

use std::collections::{BTreeMap, HashMap};

use crate::{
    registry::{Actor, Entry, Registry, RegistryError, Urgency, said},
    store::{
        Write,
        file::Line,
        record::{Identity, Recovery, State, is_name, recovery_key, to_value},
    },
};

impl Registry {
    /// Enrols `clients`, all or none. A revoked name is enrolled anew: what it authenticated before stays void.
    /// With `skip_known`, a client that stands there just so already is passed over. Gives the number enrolled.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was changed.
    pub fn enroll(
        &mut self,
        actor: Actor,
        clients: &[Line],
        skip_known: bool,
    ) -> Result<usize, RegistryError> {
        self.settle()?;
        let mut writes = Vec::new();
        let (mut names, mut keys) = (BTreeMap::new(), HashMap::new());
        for client in clients {
            if skip_known && self.knows(client) {
                continue;
            }
            self.check_new(client)?;
            if names.insert(&client.name, ()).is_some() {
                return Err(RegistryError::NameTaken(client.name.clone()));
            }
            if let Some(owner) = keys.insert(client.public_key, &client.name) {
                return Err(RegistryError::KeyTaken { name: client.name.clone(), owner: owner.clone() });
            }
            let identity = Identity {
                name: client.name.clone(),
                public_key: client.public_key,
                suites: client.suites.clone(),
                state: State::Enabled,
                created_ms: actor.now_ms,
                changed_ms: actor.now_ms,
            };
            writes.push(self.identity_write(&identity));
            // The kit of the identity before it is void.
            if let Some((recovery, revision)) =
                self.entries.get(&client.name).and_then(|entry| entry.recovery.as_ref())
            {
                let none = Recovery { serial: recovery.serial, sealed: Vec::new() };
                let (key, value) = (recovery_key(&client.name), Some(to_value(&none)));
                writes.push(Write { key, value, expected: Some(*revision) });
            }
        }
        let count = names.len();
        if count > 0 {
            let what = said("enroll", names.into_keys().map(String::as_str));
            self.put(actor, writes, what, Urgency::Usual)?;
        }
        Ok(count)
    }

    fn knows(&self, client: &Line) -> bool {
        self.entries.get(&client.name).is_some_and(|Entry { identity, .. }| {
            identity.state == State::Enabled
                && identity.public_key == client.public_key
                && identity.suites == client.suites
        })
    }

    fn check_new(&self, client: &Line) -> Result<(), RegistryError> {
        if !is_name(&client.name) {
            return Err(RegistryError::Name);
        }
        if self.entries.get(&client.name).is_some_and(|entry| entry.identity.state == State::Enabled) {
            return Err(RegistryError::NameTaken(client.name.clone()));
        }
        match self.keys.get(&client.public_key) {
            Some(owner) if *owner != client.name => {
                Err(RegistryError::KeyTaken { name: client.name.clone(), owner: owner.clone() })
            }
            _ => Ok(()),
        }
    }
}
