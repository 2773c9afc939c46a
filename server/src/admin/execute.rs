//! One command on the registry, and what it makes the node do.

use std::collections::BTreeSet;

use mvt_proto::{ClientId, recovery::RecoveryKit};

use crate::{
    admin::claims::Claim,
    admin::request::{Answer, AuditView, ClientView, Kit, NewClient, Request},
    limits::ADMIN_LIST_COUNT_MAX,
    registry::{Actor, NewRecovery, Registry, RegistryError},
    revocations::Revoked,
    store::{StoreError, file::Line},
    tickets::Others,
};

/// What a command needs beside the registry: the running node, or nothing of it.
pub trait Host {
    /// Server time, ms.
    fn now_ms(&self) -> u64;

    /// Lets logins see the registry as it is now.
    fn publish(&mut self, registry: &Registry);

    /// Erases the sessions of these owners on every shard before it returns.
    ///
    /// # Errors
    /// When a shard did not confirm in time.
    fn erase_sessions(&mut self, revoked: Revoked) -> Result<(), Unconfirmed>;

    /// Has every session renew its keys within about `within_ms`.
    ///
    /// # Errors
    /// Why it cannot.
    fn renew_all(&mut self, within_ms: u64) -> Result<(), String>;

    /// Tells the shard of a claim that it was recorded, and since when its session is authenticated; or that it was not.
    fn tell_recorded(&mut self, claim: &Claim, authenticated_ms: Option<u64>);

    /// Tells the shard of a claim that was recorded that its session is one like others now.
    fn tell_complete(&mut self, claim: &Claim);

    /// Makes a new ticket key; gives its id.
    ///
    /// # Errors
    /// Why it cannot be made.
    fn rotate_ticket_key(&mut self, others: Others) -> Result<u32, String>;

    /// The server's static public key and its recovery public key.
    ///
    /// # Errors
    /// Why they cannot be had.
    fn server_keys(&mut self) -> Result<ServerKeys, String>;
}

/// What a recovery kit says of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerKeys {
    /// The static public key.
    pub server_public: [u8; 32],
    /// The recovery public key.
    pub recovery_public: [u8; 32],
}

/// Shards that did not say that their sessions are erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unconfirmed(pub Vec<usize>);

/// Executes `request`. What a store that failed makes of it is an error; everything else is an answer.
///
/// # Errors
/// A [`StoreError`] after which nothing may be acknowledged any more.
pub fn execute(
    registry: &mut Registry,
    host: &mut dyn Host,
    uid: u32,
    request: &Request,
) -> Result<Answer, StoreError> {
    match answer(registry, host, uid, request) {
        Ok(answer) => Ok(answer),
        Err(Refusal::Registry(RegistryError::Store(error))) if error.is_end() => Err(error),
        Err(refusal) => Ok(Answer::Refused { status: refusal.exit_status(), text: refusal.to_string() }),
    }
}

/// Records a recovery (SPEC §13.4.1). What the client had before is void up to a time that is read when nobody can log in with it
/// any more; the session that claimed is put right after that time before the others are erased. True when it was recorded.
///
/// # Errors
/// A [`StoreError`] after which nothing may be acknowledged any more.
pub fn record(registry: &mut Registry, host: &mut dyn Host, claim: Claim) -> Result<bool, StoreError> {
    let done = registry.begin_replacement(&claim.owner, &claim.new_public).and_then(|name| {
        host.publish(registry);
        let actor = Actor { uid: rustix::process::geteuid().as_raw(), now_ms: host.now_ms() };
        registry.replace_key(actor, &name, claim.new_public)
    });
    host.publish(registry);
    match done {
        Ok((not_before_ms, revoked)) => {
            host.tell_recorded(&claim, Some(not_before_ms + 1));
            if let Err(Unconfirmed(shards)) = host.erase_sessions(revoked) {
                tracing::error!(
                    ?shards,
                    "shards did not confirm that the sessions before a recovery are gone"
                );
            }
            // Now what the lost key authenticated has ended, and the client may be told.
            host.tell_complete(&claim);
            Ok(true)
        }
        Err(RegistryError::Store(error)) if error.is_end() => Err(error),
        Err(error) => {
            tracing::warn!(client = %claim.owner.client, %error, "a recovery was not recorded");
            host.tell_recorded(&claim, None);
            Ok(false)
        }
    }
}

/// Why a command is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Registry(#[from] RegistryError),
    #[error("{name}: {text}", name = name.escape_debug())]
    Client { name: String, text: &'static str },
    #[error("a recovery kit is made for one client at a time")]
    Kits,
    #[error("no client is named")]
    Nobody,
    #[error("{0}")]
    ServerKey(String),
    #[error("revoked and kept, but shards {0:?} did not confirm that its sessions are gone")]
    Unconfirmed(Vec<usize>),
    #[error("revoked on this node until it stops, but not kept: {0}")]
    Unwritten(StoreError),
    #[error("it was done, but stands in no audit: {0}")]
    Unnoted(StoreError),
    #[error("no new ticket key: {0}")]
    TicketKey(String),
    #[error("{0}")]
    Renewal(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Registry(error.into())
    }
}

impl Refusal {
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Unconfirmed(_) | Self::TicketKey(_) | Self::ServerKey(_) | Self::Renewal(_))
    }

    fn exit_status(&self) -> u8 {
        match self {
            Self::Registry(RegistryError::Store(error)) | Self::Unwritten(error) | Self::Unnoted(error) => {
                error.exit_status()
            }
            Self::Registry(RegistryError::Randomness(_)) => 71,
            Self::Registry(RegistryError::NoSealKey) => 66,
            refusal if refusal.is_ours() => 69,
            _ => 2,
        }
    }
}

fn answer(
    registry: &mut Registry,
    host: &mut dyn Host,
    uid: u32,
    request: &Request,
) -> Result<Answer, Refusal> {
    let actor = Actor { uid, now_ms: host.now_ms() };
    Ok(match request {
        Request::Enroll { clients, skip_known, recovery_kit } => {
            let kit_for = match clients.as_slice() {
                [client] if *recovery_kit => Some(client.name.clone()),
                _ if *recovery_kit => return Err(Refusal::Kits),
                _ => None,
            };
            let lines = clients.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let enrolled = registry.enroll(actor, &lines, *skip_known)?;
            let kit = kit_for.map(|name| kit(registry, host, actor, &name)).transpose();
            host.publish(registry);
            let (known, revision) = (lines.len() - enrolled, registry.revision());
            Answer::Enrolled { enrolled, known, kit: kit?, revision }
        }
        Request::List { after } => {
            let entries: Vec<_> = registry.list(after, ADMIN_LIST_COUNT_MAX + 1).collect();
            let is_more = entries.len() > ADMIN_LIST_COUNT_MAX;
            let clients = entries.into_iter().take(ADMIN_LIST_COUNT_MAX).map(ClientView::from).collect();
            Answer::Clients { clients, is_more }
        }
        Request::Show { name } => {
            Answer::Clients { clients: vec![registry.find(name)?.into()], is_more: false }
        }
        Request::Revoke { names, skip_unknown } => revoke(registry, host, uid, (names, *skip_unknown))?,
        Request::RecoverKit { name } => {
            let kit = kit(registry, host, actor, name)?;
            host.publish(registry);
            Answer::Kit(kit)
        }
        Request::RotateTicketKey { void_others } => {
            let others = if *void_others { Others::Void } else { Others::Keep };
            let id = host.rotate_ticket_key(others).map_err(Refusal::TicketKey)?;
            let what = if *void_others { " in the place of all others" } else { "" };
            note(registry, actor, format!("rotate-ticket-key {id:08x}{what}"))?;
            Answer::TicketKey { id }
        }
        Request::Renew { within_s } => {
            host.renew_all(u64::from(*within_s) * 1000).map_err(Refusal::Renewal)?;
            note(registry, actor, format!("renew all sessions within {within_s} s"))?;
            Answer::Renewing { within_s: *within_s }
        }
        Request::Audit { count } => {
            let lines = registry.audit((*count).min(ADMIN_LIST_COUNT_MAX))?;
            Answer::Audit {
                lines: lines.into_iter().map(|(revision, line)| AuditView { revision, line }).collect(),
            }
        }
    })
}

/// A line of the audit for what was done.
fn note(registry: &mut Registry, actor: Actor, what: String) -> Result<(), Refusal> {
    registry
        .note(actor, what)
        .map_err(|error| if error.is_end() { error.into() } else { Refusal::Unnoted(error) })
}

fn read(client: &NewClient) -> Result<Line, Refusal> {
    client.read().map_err(|text| Refusal::Client { name: client.name.clone(), text })
}

fn kit(registry: &mut Registry, host: &mut dyn Host, actor: Actor, name: &str) -> Result<Kit, Refusal> {
    // Before anything is changed: without it there is no kit.
    let ServerKeys { server_public, recovery_public } = host.server_keys().map_err(Refusal::ServerKey)?;
    let NewRecovery { name, secret } = registry.recover_kit(actor, name)?;
    Ok(Kit::new(&RecoveryKit { name, recovery_secret: secret, server_public, recovery_public }))
}

/// The order matters (SPEC §12.2.1): out of the enrolment first, then the time of the revocation, so that whoever still found
/// the client authenticated at or before it; refused from then on, before the sessions that stand are erased. All that does not
/// wait for the disk; the acknowledgement does.
fn revoke(
    registry: &mut Registry,
    host: &mut dyn Host,
    uid: u32,
    (names, skip_unknown): (&[String], bool),
) -> Result<Answer, Refusal> {
    let names = names.iter().collect::<BTreeSet<_>>().into_iter().cloned();
    let is_unknown = |name: &String| matches!(registry.find(name), Err(RegistryError::Unknown(_)));
    let (unknown, names): (Vec<_>, Vec<_>) = names.partition(|name| skip_unknown && is_unknown(name));
    if names.is_empty() {
        let none = Answer::Revoked { revoked: 0, revision: registry.revision(), unknown };
        return if skip_unknown { Ok(none) } else { Err(Refusal::Nobody) };
    }
    registry.withdraw(&names)?;
    host.publish(registry);
    let actor = Actor { uid, now_ms: host.now_ms() };
    let revoked = registry.revoke_here(names.iter().map(|name| ClientId::of_name(name)), actor.now_ms);
    host.publish(registry);
    let confirmed = host.erase_sessions(revoked);
    registry.revoke(actor, &names).map_err(|error| match error {
        RegistryError::Store(error) if !error.is_end() => Refusal::Unwritten(error),
        error => error.into(),
    })?;
    host.publish(registry);
    confirmed.map_err(|Unconfirmed(shards)| Refusal::Unconfirmed(shards))?;
    Ok(Answer::Revoked { revoked: names.len(), revision: registry.revision(), unknown })
}
