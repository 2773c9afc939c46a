//! What every shard and the login pool know of this node, made once at start.

use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use mvt_proto::{
    Limits, Suite,
    keyfile::KeyFile,
    login::{Identity, Mac1},
    lost::LostKeys,
    recovery::RecoveryKey,
    schedule::{self, GenerationKeys},
    secret::Secret,
    session::ServerSession,
};

use crate::{
    admin::claims::Claims, clock::ServerClock, config::Config, enrolment::Enrolment, fatal::Fatal,
    freshness::Freshness, keys, registry::Unsealer, revocations::Revocations, tickets::TicketKeys,
};

/// The node: its keys, its clients, its limits. Shared and unchanging but for the two snapshots that the control thread replaces.
#[derive(Debug)]
pub struct Node {
    /// Static key pair of the server.
    pub identity: Identity,
    /// Checks mac1.
    pub mac1: Mac1,
    /// Answers for keys that are not held.
    pub lost_keys: LostKeys,
    /// The key of QUIC's stateless resets; it follows from the reset secret.
    pub quic_reset: Secret,
    /// First 16 bits of our key ids.
    pub node_slot: u16,
    /// Number of shards, 1 to 256.
    pub shard_count: usize,
    /// Limits granted at login.
    pub limits: Limits,
    /// Sessions each shard may hold.
    pub sessions_per_shard_max: usize,
    /// Connections each shard may hold.
    pub connections_per_shard_max: usize,
    /// How long a verified connection may be silent, ms.
    pub idle_ms: u64,
    /// Server time.
    pub clock: ServerClock,
    /// Who may log in; replaced as a whole.
    pub enrolment: ArcSwap<Enrolment>,
    /// Recoveries to be recorded.
    pub claims: Claims,
    /// Whether what is known of revocations is recent enough.
    pub freshness: Freshness,
    /// Opens recovery secrets; `None` without a seal key.
    pub unsealer: Option<Unsealer>,
    /// What is void although it is genuine; replaced as a whole.
    pub revocations: ArcSwap<Revocations>,
    /// Opens RECOVERs.
    pub recovery_key: RecoveryKey,
    /// Seals and opens tickets.
    pub tickets: TicketKeys,
    /// How often a RESUME or a RECOVER asked what is known of its client.
    pub lookups: AtomicU64,
}

impl Node {
    /// From validated configuration and files.
    ///
    /// # Errors
    /// When the key file is a client's.
    pub fn new(
        config: &Config,
        key_file: KeyFile,
        enrolment: Enrolment,
        shard_count: usize,
    ) -> Result<Self, Fatal> {
        let path = config.identity.key_file.clone();
        let reset_secret = key_file.reset_secret().map_err(|source| Fatal::KeyFile { path, source })?;
        let node_slot = config.identity.node_slot;
        let quic_reset = schedule::label(reset_secret, "quic reset", &node_slot.to_be_bytes());
        let lost_keys = LostKeys::new(reset_secret, node_slot);
        Ok(Self {
            mac1: Mac1::new(key_file.identity.public()),
            lost_keys,
            quic_reset,
            node_slot,
            shard_count,
            limits: config.limits.granted(),
            sessions_per_shard_max: config.limits.sessions_max.div_ceil(shard_count),
            connections_per_shard_max: config.limits.connections_max.div_ceil(shard_count),
            idle_ms: config.limits.idle_ms,
            clock: ServerClock::start(),
            enrolment: ArcSwap::from_pointee(enrolment),
            claims: Claims::new()
                .map_err(|source| Fatal::Os { what: "cannot make the queue of recoveries", source })?,
            freshness: Freshness::new(config.store.resume_stale_ms, config.store.login_stale_ms),
            unsealer: None,
            revocations: ArcSwap::default(),
            recovery_key: RecoveryKey::new(reset_secret),
            tickets: TicketKeys::none(),
            lookups: AtomicU64::new(0),
            identity: key_file.identity,
        })
    }

    /// A session nobody has the key of, against which frames of unknown key ids are verified (SPEC §9.2).
    ///
    /// # Errors
    /// [`Fatal::Randomness`].
    pub fn dummy_session(&self) -> Result<ServerSession, Fatal> {
        let keys = GenerationKeys::derive(keys::random_secret()?, 0, 0);
        Ok(ServerSession::new(0, Suite::Hs256, self.limits, keys, self.clock.now_ms()))
    }
}
