//! The clients that may log in, as logins see them: a snapshot, replaced as a whole.

use std::sync::Arc;

use imbl::HashMap;
use mvt_proto::{ClientId, Suite, constants::CLIENT_ID_BYTES, constants::KEY_BYTES};

use crate::store::record::{Identity, Recovery};

/// One enrolled client that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name in logs and policies.
    pub name: String,
    /// What sessions, tickets and revocations call it.
    pub id: ClientId,
    /// Its static public key.
    pub public_key: [u8; KEY_BYTES],
    /// The suites it may use.
    pub suites: Vec<Suite>,
    /// Its recovery secret, sealed.
    pub recovery: Option<Recovery>,
}

/// Every client that may log in, found by public key or client id. A clone shares everything until one of the two is changed, and then
/// all but the path to what was.
#[derive(Debug, Clone, Default)]
pub struct Enrolment {
    by_key: HashMap<[u8; KEY_BYTES], Arc<Client>>,
    by_id: HashMap<[u8; CLIENT_ID_BYTES], Arc<Client>>,
}

impl Enrolment {
    /// Lets a client in, in place of what stood under its id.
    pub fn admit(&mut self, identity: &Identity, recovery: Option<&Recovery>) {
        let id = ClientId::of_name(&identity.name);
        self.withdraw(&id);
        let client = Arc::new(Client {
            name: identity.name.clone(),
            id,
            public_key: identity.public_key,
            suites: identity.suites.clone(),
            recovery: recovery.cloned(),
        });
        self.by_key.insert(identity.public_key, client.clone());
        self.by_id.insert(*id.as_bytes(), client);
    }

    /// Takes a client out.
    pub fn withdraw(&mut self, id: &ClientId) {
        if let Some(client) = self.by_id.get(id.as_bytes()).cloned() {
            // Its key may be another's by now.
            if self.find(&client.public_key).is_some_and(|holder| holder.id == *id) {
                self.by_key.remove(&client.public_key);
            }
            self.by_id.remove(id.as_bytes());
        }
    }

    /// The client of a public key.
    #[must_use]
    pub fn find(&self, public_key: &[u8; KEY_BYTES]) -> Option<&Client> {
        self.by_key.get(public_key).map(Arc::as_ref)
    }

    /// The client of an id, as tickets carry it.
    #[must_use]
    pub fn find_id(&self, id: &ClientId) -> Option<&Client> {
        self.by_id.get(id.as_bytes()).map(Arc::as_ref)
    }

    /// Number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
