//! A shard without sockets or login threads: sessions under known keys, frames in, answers out.
#![allow(dead_code)] // each user of it uses its part

use std::sync::Arc;

use mvt_lanes::Engine;
use mvt_proto::{
    ClientId, Limits, Suite,
    header::key_id,
    keyfile::KeyFile,
    login::{Admitted, Identity, Initiator, Offer},
    lost::LostKey,
    schedule::GenerationKeys,
    secret::Secret,
    session::{ClientSession, Granted, ServerSession},
};
use mvt_server::{
    config::Config,
    counters::Counters,
    enrolment::Enrolment,
    handshakes::HandshakePool,
    mailbox::{Entrance, Mail, Mailbox, Newcomer},
    node::Node,
    owner::Owner,
    service::ServiceKind,
    shard::{ConnectionId, Parts, Shard},
};

/// Server time at which every session of the rig begins, ms.
pub const ORIGIN_MS: u64 = 1_800_000_000_000;
/// The node slot of the rig's key ids.
pub const NODE_SLOT: u16 = 7;

/// One shard of `shard_count`, number 0, with everything around it that tests look at.
pub struct Rig {
    pub shard: Shard,
    pub node: Arc<Node>,
    pub counters: Arc<Counters>,
    pub mailboxes: Arc<[Mailbox]>,
    pub handshakes: Arc<HandshakePool>,
    hello: [u8; 512],
    admitting: ConnectionId,
    spare: Vec<u8>,
    /// The ends on which drivers wait; a mailbox wakes through its socket as long as the other end is there.
    pub waiters: Vec<std::os::unix::net::UnixStream>,
}

/// HELLOs that may lie in the queue, which nobody works off here.
const LOGINS_MAX: usize = 1 << 18;

/// A secret that is not random.
pub fn secret(seed: u64) -> Secret {
    let mut bytes = [0xa5; 32];
    bytes[..8].copy_from_slice(&seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Secret::new(bytes)
}

/// Both halves of session `number` of shard `shard`, whose key follows from its number.
pub fn halves(shard: u8, number: u64, suite: Suite, limits: Limits) -> (ClientSession, ServerSession) {
    let key_id = key_id(NODE_SLOT, shard, (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let granted = Granted {
        key_id,
        suite,
        limits: Limits { renew_after_requests: u32::MAX, reject_after_requests: u32::MAX, ..limits },
        server_time_ms: ORIGIN_MS,
        keys: GenerationKeys::derive(secret(number), key_id, 0),
        lost_key: LostKey::new([1; 16]),
    };
    (
        ClientSession::new(granted, ORIGIN_MS),
        ServerSession::new(
            key_id,
            suite,
            limits,
            GenerationKeys::derive(secret(number), key_id, 0),
            ORIGIN_MS,
        ),
    )
}

impl Rig {
    pub fn new(service: ServiceKind, limits: Limits, sessions_max: usize, shard_count: usize) -> Self {
        Self::with_engine(Engine::detect(), service, limits, sessions_max, shard_count)
    }

    pub fn with_engine(
        engine: Engine,
        service: ServiceKind,
        limits: Limits,
        sessions_max: usize,
        shard_count: usize,
    ) -> Self {
        let mut config = Config::default();
        config.identity.node_slot = NODE_SLOT;
        config.limits.renew_after_requests = limits.renew_after_requests;
        config.limits.reject_after_requests = limits.reject_after_requests;
        config.limits.renew_after_ms = limits.renew_after_ms;
        config.limits.reject_after_ms = limits.reject_after_ms;
        config.limits.replay_window_bits = limits.replay_window_bits;
        config.limits.sessions_max = sessions_max * shard_count;
        let keys = KeyFile { identity: Identity::new(secret(1)), reset_secret: Some(secret(2)) };
        let server_public = *keys.identity.public();
        let node =
            Arc::new(Node::new(&config, keys, Enrolment::default(), shard_count).expect("a good node"));
        let logins_max = (2 * sessions_max + 8).min(LOGINS_MAX);
        let handshakes = Arc::new(HandshakePool::new(logins_max, ORIGIN_MS).expect("randomness"));
        let (mailboxes, waiters): (Vec<_>, Vec<_>) =
            (0..shard_count).map(|_| Mailbox::new(shard_count).expect("a socket pair")).unzip();
        let mailboxes: Arc<[Mailbox]> = mailboxes.into();
        let counters = Arc::<Counters>::default();
        let parts = Parts {
            index: 0,
            node: node.clone(),
            service: service.build(),
            counters: counters.clone(),
            handshakes: handshakes.clone(),
            mailboxes: mailboxes.clone(),
        };
        let mut shard = Shard::with_engine(parts, engine).expect("randomness");
        let offer = Offer {
            server_public: &server_public,
            suites: &[Suite::Hs256],
            login_id: 1,
            cookie: None,
            channel_binding: &[],
        };
        let (_, hello) = Initiator::start(&Identity::new(secret(3)), &offer, secret(4)).expect("a good key");
        let admitting = shard.open(([127, 0, 0, 1], 1).into(), ORIGIN_MS).expect("room");
        let spare = Vec::new();
        Self { shard, node, counters, mailboxes, handshakes, hello, admitting, spare, waiters }
    }

    /// Shard `index` of the same node, with mailboxes in common.
    pub fn neighbour(&self, index: usize, service: ServiceKind) -> Shard {
        Shard::new(Parts {
            index,
            node: self.node.clone(),
            service: service.build(),
            counters: Arc::default(),
            handshakes: self.handshakes.clone(),
            mailboxes: self.mailboxes.clone(),
        })
        .expect("randomness")
    }

    /// A HELLO whose mac1 holds.
    pub fn hello(&self) -> &[u8; 512] {
        &self.hello
    }

    /// Key pairs for OFFERs, which no login thread makes here.
    pub fn fill_stock(&self) {
        self.handshakes.fill_stock();
    }

    /// Lets `session` in as a login would: a HELLO arrives, and what the pool made of it comes as mail.
    pub fn admit(&mut self, session: ServerSession) {
        self.admit_for(Owner { client: ClientId::of_name("tester"), authenticated_ms: ORIGIN_MS }, session);
    }

    /// The same, for this owner.
    pub fn admit_for(&mut self, owner: Owner, session: ServerSession) {
        self.shard.ingest(self.admitting, &self.hello, ORIGIN_MS);
        self.shard.turn(ORIGIN_MS);
        let admitted = Admitted { answer: Vec::new(), session };
        let newcomer = Newcomer { admitted, owner, psk_alone: false, entrance: Entrance::Login };
        let mail = Mail::Admitted { connection: self.admitting, newcomer: Box::new(newcomer) };
        assert!(self.mailboxes[0].post(mail).is_ok(), "the mailbox has room");
        self.shard.read_mail(ORIGIN_MS);
        while let Some(id) = self.shard.next_dirty() {
            self.shard.take_output(id, &mut self.spare, ORIGIN_MS);
            self.spare.clear();
        }
    }

    /// Admits `count` sessions of this suite and gives the clients' halves.
    pub fn sessions(&mut self, count: u64, suite: Suite, limits: Limits) -> Vec<ClientSession> {
        (0..count)
            .map(|number| {
                let (client, server) = halves(0, number, suite, limits);
                self.admit(server);
                client
            })
            .collect()
    }

    /// What waits to be sent on a connection, and whether it ends after it.
    pub fn output(&mut self, id: ConnectionId, now_ms: u64) -> (Vec<u8>, bool) {
        let mut output = Vec::new();
        let is_last = self.shard.take_output(id, &mut output, now_ms);
        (output, is_last)
    }

    pub fn connect(&mut self, port: u16, now_ms: u64) -> ConnectionId {
        self.shard.open(([127, 0, 0, 1], port).into(), now_ms).expect("room")
    }
}
