//! The server's CPU time for a login, a resume in both modes and a recovery, against a rustls TLS 1.3 full handshake.
//!
//! `cargo bench -p mvt-benches --bench handshake` prints one interleaved run: every row is done in turn, again and again, so
//! that ratios hold on a noisy machine; what is timed is the CPU time of this thread in the server's part alone, what the client
//! does is not. TLS: server authentication only, X25519, TLS_AES_256_GCM_SHA384, an ECDSA P-256 certificate, no session tickets sent
//! (which is in its favour), once by AWS-LC, which rustls takes by default and this server has its X25519 of, and once by ring. A
//! server's key pairs and nonces are drawn within the time.

use std::{
    hint::black_box,
    io::Cursor,
    sync::Arc,
    time::{Duration, Instant},
};

use mvt_proto::{
    ClientId, Limits, Suite,
    constants::KEY_BYTES,
    frame::{
        grant::Grant,
        hello::Hello,
        recover::Recover,
        resume::{Mode, Resume},
    },
    login::{self, CookieSecret, Identity, Mac1},
    lost::LostKeys,
    recovery::{self, RecoveryKey, RecoveryKit},
    resume::{self, Kept, Opened},
    secret::Secret,
    ticket::{RingedKey, Terms, TicketKey, TicketRing},
};
use rustix::time::{ClockId, clock_gettime};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs, ring},
    pki_types::{PrivatePkcs8KeyDer, ServerName},
};

const ROUNDS: usize = 400;
/// Of each row in a round: long enough that reading the clock does not count.
const HANDSHAKES: usize = 4;
const NOW_MS: u64 = 1_700_000_000_000;
const ADDRESS: [u8; 18] = [7; 18];

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

fn random() -> Secret {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes).expect("randomness");
    Secret::new(bytes)
}

/// What a server holds.
struct Server {
    identity: Identity,
    mac1: Mac1,
    lost_keys: LostKeys,
    ring: TicketRing,
    recovery_key: RecoveryKey,
    cookies: CookieSecret,
}

impl Server {
    fn new() -> Self {
        let (identity, reset) = (Identity::new(random()), random());
        let key = TicketKey::new(random().expose()).expect("a key");
        let ringed = RingedKey { key, seal_from_ms: 0, open_until_ms: NOW_MS * 2 };
        Self {
            mac1: Mac1::new(identity.public()),
            lost_keys: LostKeys::new(&reset, 0),
            ring: TicketRing::new(vec![ringed]).expect("a ring"),
            recovery_key: RecoveryKey::new(&reset),
            cookies: CookieSecret::new(random()),
            identity,
        }
    }

    fn grant(&self) -> Grant {
        let key_id = u64::from_be_bytes(random().expose()[..8].try_into().expect("8 bytes")) | 1;
        let lost_key = self.lost_keys.lost_key(key_id);
        Grant { key_id, suite: Suite::Gcm256, server_time_ms: NOW_MS, limits: Limits::DEFAULT, lost_key }
    }

    fn login(&self, frame: &[u8]) -> login::Admitted {
        self.mac1.verify(frame).expect("honest");
        let hello = Hello::parse(frame).expect("honest");
        let responder = login::Responder::read(&self.identity, hello, &[], random()).expect("honest");
        responder.choose_suite(&[Suite::Gcm256]).expect("offered");
        responder.admit(&self.grant()).expect("honest")
    }

    fn resume(&self, frame: &[u8]) -> login::Admitted {
        self.mac1.verify(frame).expect("honest");
        let resume = Resume::parse(frame).expect("honest");
        let opened = Opened::open(resume, &self.ring, NOW_MS).expect("honest");
        let responder = opened.verify(&[]).expect("honest");
        responder.admit(&self.grant(), &random(), &random()).expect("honest")
    }

    fn recover(&self, frame: &[u8], secret: &Secret) -> login::Admitted {
        self.mac1.verify(frame).expect("honest");
        assert!(self.cookies.accepts(frame, &ADDRESS));
        let recover = Recover::parse(frame).expect("honest");
        let public = self.identity.public();
        let responder = recovery::Responder::read(&recover, &self.recovery_key, public, secret, &[]);
        let responder = responder.expect("honest");
        responder.choose_suite(&[Suite::Gcm256]).expect("offered");
        responder.admit(&self.grant(), &random(), &random()).expect("honest")
    }
}

/// What clients hold, and the frames they send.
struct Client {
    identity: Identity,
    kept: Kept,
    kit: RecoveryKit,
}

impl Client {
    fn new(server: &Server) -> Self {
        let terms = Terms {
            suite: Suite::Gcm256,
            client: ClientId::of_name("bench"),
            authenticated_ms: NOW_MS,
            generation: 0,
            psk_alone: true,
            life_ms: 3_600_000,
        };
        let resume_secret = random();
        let ticket = server.ring.issue(&terms, &resume_secret, &[7; 24], NOW_MS).expect("a key seals");
        let kit = RecoveryKit {
            name: "bench".into(),
            recovery_secret: random(),
            server_public: *server.identity.public(),
            recovery_public: *server.recovery_key.public(),
        };
        Self {
            identity: Identity::new(random()),
            kept: Kept { ticket, resume_secret, suite: Suite::Gcm256 },
            kit,
        }
    }

    fn hello(&self, server: &Server) -> [u8; 512] {
        let server_public = server.identity.public();
        let suites = &[Suite::Gcm256];
        let offer = login::Offer { server_public, suites, login_id: 1, cookie: None, channel_binding: &[] };
        login::Initiator::start(&self.identity, &offer, random()).expect("good keys").1
    }

    fn resume(&self, server: &Server, mode: Mode) -> [u8; 512] {
        let server_public = server.identity.public();
        let offer = resume::Offer { server_public, mode, login_id: 1, cookie: None, channel_binding: &[] };
        resume::Initiator::start(&self.kept, &offer, &random(), random()).1
    }

    fn recover(&self, server: &Server) -> [u8; 512] {
        let new_identity = &Identity::new(random());
        let offer = |cookie| recovery::Offer {
            new_identity,
            suites: &[Suite::Gcm256],
            login_id: 1,
            cookie,
            channel_binding: &[],
        };
        let start = |cookie| recovery::Initiator::start(&self.kit, &offer(cookie), &random(), random());
        let first = start(None).expect("good keys").1;
        let cookie = server.cookies.cookie(&first, &ADDRESS);
        start(Some(&cookie)).expect("good keys").1
    }
}

/// X25519 and AES-256-GCM of a library.
fn of_aws_lc() -> CryptoProvider {
    only(
        aws_lc_rs::default_provider(),
        aws_lc_rs::kx_group::X25519,
        aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
    )
}

fn of_ring() -> CryptoProvider {
    only(ring::default_provider(), ring::kx_group::X25519, ring::cipher_suite::TLS13_AES_256_GCM_SHA384)
}

fn only(
    all: CryptoProvider,
    group: &'static dyn SupportedKxGroup,
    suite: SupportedCipherSuite,
) -> CryptoProvider {
    CryptoProvider { kx_groups: vec![group], cipher_suites: vec![suite], ..all }
}

/// Both ends of TLS.
struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    fn new(provider: CryptoProvider) -> Self {
        let provider = Arc::new(provider);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = certified.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .expect("a certificate");
        server.send_tls13_tickets = 0;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a root");
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Arc::new(server), client: Arc::new(client) }
    }

    /// One full handshake; the CPU time of the server's part, ns.
    fn handshake(&self) -> u64 {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(self.client.clone(), name).expect("a client");
        let mut sent = Vec::new();
        client.write_tls(&mut sent).expect("a ClientHello");

        let mut spent = 0;
        let mut begun = cpu_ns();
        let mut server = ServerConnection::new(self.server.clone()).expect("a server");
        loop {
            let mut input = Cursor::new(&sent);
            while (input.position() as usize) < sent.len() {
                server.read_tls(&mut input).expect("memory");
                server.process_new_packets().expect("an honest client");
            }
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).expect("memory");
            }
            spent += cpu_ns() - begun;
            if !server.is_handshaking() {
                return spent;
            }
            let mut input = Cursor::new(&answer);
            while (input.position() as usize) < answer.len() {
                client.read_tls(&mut input).expect("memory");
                client.process_new_packets().expect("an honest server");
            }
            sent.clear();
            while client.wants_write() {
                client.write_tls(&mut sent).expect("memory");
            }
            begun = cpu_ns();
        }
    }
}

/// One call gives the CPU time of one handshake at the server, ns.
type Run<'a> = Box<dyn FnMut() -> u64 + 'a>;

fn timed<'a>(frame: impl Fn() -> [u8; 512] + 'a, judge: impl Fn(&[u8]) -> login::Admitted + 'a) -> Run<'a> {
    Box::new(move || {
        let frame = frame();
        let begun = cpu_ns();
        black_box(judge(&frame));
        cpu_ns() - begun
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let (server, tls, tls_by_ring) = (Server::new(), Tls::new(of_aws_lc()), Tls::new(of_ring()));
    let client = Client::new(&server);
    let mut rows: Vec<(&str, Run<'_>)> = vec![
        ("TLS 1.3 full, by AWS-LC", Box::new(|| tls.handshake())),
        ("TLS 1.3 full, by ring", Box::new(|| tls_by_ring.handshake())),
        ("MVT login", timed(|| client.hello(&server), |frame| server.login(frame))),
        (
            "MVT resume, mode 1",
            timed(|| client.resume(&server, Mode::DiffieHellman), |frame| server.resume(frame)),
        ),
        (
            "MVT resume, mode 2",
            timed(|| client.resume(&server, Mode::PskAlone), |frame| server.resume(frame)),
        ),
        (
            "MVT recovery",
            timed(|| client.recover(&server), |frame| server.recover(frame, &client.kit.recovery_secret)),
        ),
    ];
    let begun = Instant::now();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    let mut ratios = [times.clone(), times.clone()];
    for round in 0..ROUNDS {
        let spent: Vec<f64> = rows
            .iter_mut()
            .map(|(_, run)| (0..HANDSHAKES).map(|_| run()).sum::<u64>() as f64 / HANDSHAKES as f64)
            .collect();
        // The first rounds warm the caches and the clock.
        if round < ROUNDS / 10 {
            continue;
        }
        for (index, ns) in spent.iter().enumerate() {
            times[index].push(*ns);
            for (of_tls, ratios) in spent.iter().zip(&mut ratios) {
                ratios[index].push(ns / of_tls);
            }
        }
        if begun.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    println!("{:<26} {:>12} {:>10} {:>10}", "server CPU of one", "µs, median", "of AWS-LC", "of ring");
    for (index, (name, _)) in rows.iter().enumerate() {
        let us = median(&mut times[index]) / 1_000.0;
        let [of_aws_lc, of_ring] = &mut ratios;
        println!(
            "{name:<26} {us:>12.1} {:>10.3} {:>10.3}",
            median(&mut of_aws_lc[index]),
            median(&mut of_ring[index])
        );
    }
    println!("{} rounds of {HANDSHAKES} each, interleaved", times[0].len());
}
