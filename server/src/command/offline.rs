//! The store's file when no server runs.

use mvt_proto::recovery::RecoveryKey;

use crate::{
    admin::{
        claims::Claim,
        execute::{Host, ServerKeys, Unconfirmed, execute},
        request::{Answer, Request},
    },
    clock::ServerClock,
    config::Config,
    fatal::Fatal,
    keys,
    registry::{Actor, Registry, RegistryError},
    revocations::Revoked,
    store::StoreError,
    tickets::{self, Others},
};

/// An open store, and no node.
pub(super) struct Offline {
    registry: Registry,
    nobody: Nobody,
}

impl Offline {
    /// # Errors
    /// The store's.
    pub(super) fn new(mut registry: Registry, config: Config) -> Result<Self, StoreError> {
        let latest_ms = registry.latest_ms()?.max(tickets::latest_ms(&config.tickets));
        let (clock, _) = ServerClock::start_after(latest_ms);
        Ok(Self { registry, nobody: Nobody { config, clock } })
    }

    /// Takes a store that was put back to an older copy: see [`Registry::accept`]. Gives the change after which it holds.
    pub(super) fn accept(&mut self) -> Result<u64, Fatal> {
        let actor = Actor { uid: rustix::process::geteuid().as_raw(), now_ms: self.nobody.now_ms() };
        match self.registry.accept(actor) {
            Ok(()) => Ok(self.registry.revision()),
            Err(RegistryError::Store(error)) => Err(error.into()),
            Err(error) => Err(Fatal::Refused { status: 2, text: error.to_string() }),
        }
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, Fatal> {
        let uid = rustix::process::geteuid().as_raw();
        Ok(execute(&mut self.registry, &mut self.nobody, uid, request)?)
    }
}

/// What there is of a node that does not run: nobody to publish to, and no session to erase.
struct Nobody {
    config: Config,
    clock: ServerClock,
}

impl Host for Nobody {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn publish(&mut self, _: &Registry) {}

    fn erase_sessions(&mut self, _: Revoked) -> Result<(), Unconfirmed> {
        Ok(())
    }

    fn renew_all(&mut self, _: u64) -> Result<(), String> {
        Err("no server runs here: there is no session to renew".into())
    }

    fn tell_recorded(&mut self, _: &Claim, _: Option<u64>) {}

    fn tell_complete(&mut self, _: &Claim) {}

    fn rotate_ticket_key(&mut self, others: Others) -> Result<u32, String> {
        let id = tickets::rotate_now(&self.config.tickets, self.now_ms(), others)
            .map_err(|error| error.to_string())?;
        Ok(u32::from_be_bytes(id))
    }

    fn server_keys(&mut self) -> Result<ServerKeys, String> {
        let file = keys::read(&self.config.identity.key_file).map_err(|error| error.to_string())?;
        let reset_secret = file.reset_secret().map_err(|error| error.to_string())?;
        let recovery_public = *RecoveryKey::new(reset_secret).public();
        Ok(ServerKeys { server_public: *file.identity.public(), recovery_public })
    }
}
