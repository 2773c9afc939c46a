//! Shards with a service of the test's own, in this process, on real sockets.
#![allow(dead_code)] // each test binary uses its part

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use mvt_proto::{
    Suite,
    header::shard_of,
    keyfile::KeyFile,
    login::{Identity, Initiator, Offer},
    secret::Secret,
    session::ClientSession,
};
use mvt_server::{
    config::Config,
    counters::Counters,
    driver::{self, Mechanism, Seat, placing::Placing},
    enrolment::Enrolment,
    handshakes::HandshakePool,
    mailbox::{Mail, Mailbox},
    node::Node,
    service::Service,
    shard::{Parts, Shard},
    store::record,
};
use mvt_sys::{port_steering::QUEUE_COUNT, socket::listen_tcp};

use crate::support::{Wire, random};

/// Shards that run until dropped.
pub struct House {
    pub address: SocketAddr,
    pub counters: Vec<Arc<Counters>>,
    node: Arc<Node>,
    client: Identity,
    mailboxes: Arc<[Mailbox]>,
    threads: Vec<JoinHandle<()>>,
}

impl House {
    /// `service_of` makes the service of each shard.
    pub fn start(
        mechanism: Mechanism,
        shard_count: usize,
        service_of: impl Fn(usize) -> Box<dyn Service>,
    ) -> Self {
        let client = Identity::new(random());
        let mut enrolment = Enrolment::default();
        let tester = record::Identity {
            name: "tester".into(),
            public_key: *client.public(),
            suites: Suite::ALL.map(|(suite, _)| suite).to_vec(),
            state: record::State::Enabled,
            created_ms: 0,
            changed_ms: 0,
        };
        enrolment.admit(&tester, None);
        let keys = KeyFile { identity: Identity::new(random()), reset_secret: Some(random()) };
        let node =
            Arc::new(Node::new(&Config::default(), keys, enrolment, shard_count).expect("a good node"));
        let listeners = listen_tcp(([127, 0, 0, 1], 0).into(), shard_count * QUEUE_COUNT).expect("listening");
        let placing = Arc::new(Placing::new(&listeners, shard_count).expect("randomness"));
        let address = listeners[0].local_addr().expect("bound");
        let (mailboxes, waiters): (Vec<_>, Vec<_>) =
            (0..shard_count).map(|_| Mailbox::new(shard_count).expect("a socket pair")).unzip();
        let mailboxes: Arc<[Mailbox]> = mailboxes.into();
        let handshakes = Arc::new(HandshakePool::new(256, node.clock.now_ms()).expect("randomness"));
        handshakes.start(1, &node, &mailboxes).expect("threads");
        let counters: Vec<Arc<Counters>> = (0..shard_count).map(|_| Arc::default()).collect();
        let mut listeners = listeners.into_iter();
        let threads = waiters
            .into_iter()
            .enumerate()
            .map(|(index, waiter)| {
                let listeners = listeners.by_ref().take(QUEUE_COUNT).collect();
                let parts = Parts {
                    index,
                    node: node.clone(),
                    service: service_of(index),
                    counters: counters[index].clone(),
                    handshakes: handshakes.clone(),
                    mailboxes: mailboxes.clone(),
                };
                spawn(mechanism, parts, listeners, placing.clone(), waiter)
            })
            .collect();
        Self { address, counters, node, client, mailboxes, threads }
    }

    /// A connection with a session of its own that shard `owner` keeps.
    pub fn login_at(&self, owner: usize) -> (Wire, ClientSession) {
        for _ in 0..1000 {
            let mut wire = Wire::connect(self.address);
            let port = wire.stream.local_addr().expect("bound").port();
            let byte = mvt_proto::steering::shard_byte_of_port(port);
            if usize::from(byte) % self.counters.len() != owner {
                continue;
            }
            let session = self.login_on(&mut wire);
            assert_eq!(usize::from(shard_of(session.key_id())), owner);
            return (wire, session);
        }
        panic!("no port leads to shard {owner}");
    }

    fn login_on(&self, wire: &mut Wire) -> ClientSession {
        let offer = Offer {
            server_public: self.node.identity.public(),
            suites: &[Suite::Hs256],
            login_id: 7,
            cookie: None,
            channel_binding: &[],
        };
        let ephemeral: Secret = random();
        let (initiator, hello) = Initiator::start(&self.client, &offer, ephemeral).expect("a good key");
        wire.send(&hello);
        let frame = wire.frame().expect("a HELLO_R");
        initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("an honest HELLO_R")
    }

    /// The sum of a counter over all shards.
    pub fn counted(&self, name: &str) -> u64 {
        let rows = self.counters.iter().flat_map(|counters| counters.events());
        rows.filter(|(row, _)| *row == name).map(|(_, count)| count).sum()
    }
}

fn spawn(
    mechanism: Mechanism,
    parts: Parts,
    listeners: Vec<TcpListener>,
    placing: Arc<Placing>,
    waiter: std::os::unix::net::UnixStream,
) -> JoinHandle<()> {
    let clock = parts.node.clock;
    thread::spawn(move || {
        let shard = Shard::new(parts).expect("a shard");
        let seat = Seat {
            shard,
            listeners,
            placing,
            quic: None,
            watches_socket: false,
            waiter,
            core: None,
            clock,
            connections_max: 1000,
            spin: Duration::ZERO,
        };
        driver::drive(mechanism, seat, &|| {}).expect("driven");
    })
}

impl Drop for House {
    fn drop(&mut self) {
        for mailbox in self.mailboxes.iter() {
            let _ = mailbox.post(Mail::Shutdown);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
