//! Recovery secrets: made, and used (SPEC §13).

use std::sync::Arc;

use mvt_proto::{constants::KEY_BYTES, secret::Secret};

use crate::{
    enrolment::Client,
    registry::{Actor, Registry, RegistryError, Urgency},
    store::{
        StoreError, Write,
        record::{Recovery, State, recovery_key, to_value},
        seal::{Place, SealKey},
    },
};

/// A recovery secret just made; the only time it is there unsealed.
#[derive(Debug)]
pub struct NewRecovery {
    /// Whose.
    pub name: String,
    /// The secret.
    pub secret: Secret,
}

/// Opens the recovery secrets of the enrolment, away from the control thread.
#[derive(Debug, Clone)]
pub struct Unsealer {
    seal_key: Arc<SealKey>,
    store_id: [u8; 16],
}

impl Unsealer {
    /// The recovery secret of a client (SPEC §13.1: the psk); `None` when it has none, or it does not open.
    #[must_use]
    pub fn recovery_secret(&self, client: &Client) -> Option<Secret> {
        self.open(&client.name, client.recovery.as_ref()?)
    }

    fn open(&self, name: &str, recovery: &Recovery) -> Option<Secret> {
        let place = Place { store_id: &self.store_id, key: &recovery_key(name), serial: recovery.serial };
        self.seal_key.open(place, &recovery.sealed)
    }
}

impl Registry {
    /// What opens recovery secrets, when the seal key is there.
    #[must_use]
    pub fn unsealer(&self) -> Option<Unsealer> {
        let seal_key = self.seal_key.clone()?;
        Some(Unsealer { seal_key, store_id: self.store.store_id() })
    }

    /// A seal key that is not this store's is found out at start, not when a client needs it.
    pub(super) fn check_seal_key(&self) -> Result<(), StoreError> {
        let Some(unsealer) = self.unsealer() else { return Ok(()) };
        let mut sealed = self.entries.iter().filter_map(|(name, entry)| Some((name, entry.recovery()?)));
        match sealed.find(|(name, recovery)| unsealer.open(name, recovery).is_none()) {
            None => Ok(()),
            Some((name, _)) => Err(StoreError::Corrupted {
                path: self.path.clone(),
                text: format!(
                    "the recovery secret of {name} does not open: is store.seal_key_file the key it was sealed under?"
                ),
            }),
        }
    }

    /// Makes a new recovery secret for a client; the one before is void.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was changed.
    pub fn recover_kit(&mut self, actor: Actor, name: &str) -> Result<NewRecovery, RegistryError> {
        self.settle()?;
        let entry = self.find(name)?;
        if entry.identity.state == State::Revoked {
            return Err(RegistryError::Revoked(name.to_owned()));
        }
        let seal_key = self.seal_key.as_ref().ok_or(RegistryError::NoSealKey)?;
        let (serial, expected) = entry
            .recovery
            .as_ref()
            .map_or((1, None), |(recovery, revision)| (recovery.serial + 1, Some(*revision)));
        let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
        let mut nonce = [0; 12];
        getrandom::fill(&mut *bytes).map_err(RegistryError::Randomness)?;
        getrandom::fill(&mut nonce).map_err(RegistryError::Randomness)?;
        let secret = Secret::new(*bytes);
        let key = recovery_key(name);
        let place = Place { store_id: &self.store.store_id(), key: &key, serial };
        let recovery = Recovery { serial, sealed: seal_key.seal(place, &secret, nonce) };
        let write = Write { key, value: Some(to_value(&recovery)), expected };
        self.put(actor, vec![write], format!("recover-kit {name}"), Urgency::Usual)?;
        Ok(NewRecovery { name: name.to_owned(), secret })
    }
}
