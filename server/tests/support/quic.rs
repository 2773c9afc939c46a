//! A QUIC client of raw frames, on quinn, that can also misbehave.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mvt_client::quic::ServerCertificate;
use mvt_proto::{
    Header, Kind, Role, Suite,
    framer::{self, Cut},
    session::ClientSession,
};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TransportConfig,
    crypto::rustls::QuicClientConfig,
};
use tokio::runtime::Runtime;

use super::{PATIENCE, Server};

/// What the SDK speaks TLS with, whatever certificate there is; `alpn` is `mvt1` for an honest client. This one would resume, and send
/// early data, if it were let.
pub fn tls_config(alpn: &[u8]) -> rustls::ClientConfig {
    let mut tls = ServerCertificate::CheckedByLogin.tls_config().expect("no file is read");
    tls.alpn_protocols = vec![alpn.to_vec()];
    tls.resumption = rustls::client::Resumption::default();
    tls.enable_early_data = true;
    tls
}

/// The same, for quinn.
pub fn client_config(alpn: &[u8], transport: TransportConfig) -> ClientConfig {
    let tls = QuicClientConfig::try_from(tls_config(alpn)).expect("a suite");
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    config
}

/// Whoever waits for something else, or is not let run for a while, is not idle: the server ends what is, after minutes.
pub fn never_idle() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(None);
    transport
}

/// An address for a server that is to have the same one after a restart. Its port is below those that the kernel gives out by itself: while no
/// server has it, it is not lent to the socket of another test.
pub fn kept_address() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 10_000..30_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in PORTS {
        // Processes that run beside each other begin apart from each other.
        let number = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        let address = (Ipv4Addr::LOCALHOST, port as u16).into();
        if UdpSocket::bind::<SocketAddr>(address).is_ok() {
            return address;
        }
    }
    panic!("every port is taken");
}

/// A client's endpoint with a runtime of its own: one thread that runs while something is waited for.
pub struct Host {
    runtime: Runtime,
    pub endpoint: Endpoint,
}

impl Host {
    pub fn new() -> Self {
        Self::bound_to(([127, 0, 0, 1], 0).into())
    }

    pub fn bound_to(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let _inside = runtime.enter();
        let socket = UdpSocket::bind(address).expect("bound");
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(quinn::TokioRuntime))
            .expect("an endpoint");
        drop(_inside);
        Self { runtime, endpoint }
    }

    /// Waits, but not for ever.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("in time")
    }

    pub fn sleep(&self, duration: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(duration).await });
    }

    pub fn try_connect(
        &self,
        address: SocketAddr,
        config: ClientConfig,
    ) -> Result<Connection, quinn::ConnectionError> {
        let connecting = {
            let _inside = self.runtime.enter();
            self.endpoint.connect_with(config, address, "mvt").expect("started")
        };
        self.wait(connecting)
    }

    /// Whether a second connection gets no chance to send early data (SPEC §17.2.2).
    pub fn has_no_early_data(&self, address: SocketAddr, config: ClientConfig) -> bool {
        let _inside = self.runtime.enter();
        self.endpoint.connect_with(config, address, "mvt").expect("started").into_0rtt().is_err()
    }

    /// Goes on from another port.
    pub fn move_to_another_address(&self) {
        let _inside = self.runtime.enter();
        self.endpoint.rebind(UdpSocket::bind("127.0.0.1:0").expect("bound")).expect("rebound");
    }

    pub fn connect(&self, server: &Server) -> Connection {
        let (address, _) = server.quic.as_ref().expect("QUIC is on");
        self.try_connect(*address, client_config(b"mvt1", never_idle())).expect("connected")
    }

    /// Connects, and logs in on a stream.
    pub fn login(&self, server: &Server, suite: Suite) -> (Connection, Stream<'_>, ClientSession) {
        let connection = self.connect(server);
        let mut stream = self.open(&connection);
        let session = self.login_on(server, &connection, &mut stream, suite);
        (connection, stream, session)
    }

    pub fn login_on(
        &self,
        server: &Server,
        connection: &Connection,
        stream: &mut Stream<'_>,
        suite: Suite,
    ) -> ClientSession {
        let keys = server.client_keys();
        let (initiator, hello) = server.hello_bound(&keys, suite, None, &binding(connection));
        stream.send(&hello);
        let frame = stream.frame().expect("a HELLO_R");
        initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("an honest HELLO_R")
    }

    pub fn open<'h>(&'h self, connection: &Connection) -> Stream<'h> {
        let (send, receive) = self.wait(connection.open_bi()).expect("a stream");
        Stream { host: self, send, receive, received: Vec::new(), controls: Vec::new() }
    }

    /// The next datagram, cut into its frames.
    pub fn datagram(&self, connection: &Connection) -> Vec<Vec<u8>> {
        frames_of(&self.wait(connection.read_datagram()).expect("a datagram"))
    }
}

/// The TLS exporter of SPEC §17.2.3.
pub fn binding(connection: &Connection) -> [u8; 32] {
    let mut binding = [0; 32];
    connection.export_keying_material(&mut binding, b"EXPORTER-MVT1", b"").expect("exported");
    binding
}

/// A ticket or an OFFER.
fn is_control(frame: &[u8]) -> bool {
    Header::parse(frame, Role::Client).expect("well formed").kind == Kind::Ctl
}

/// The answers of a datagram, which holds nothing but frames.
pub fn frames_of(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = datagram;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let Cut::Frame(length) = framer::cut(rest, Role::Client).expect("well formed") else {
            panic!("half a frame in a datagram");
        };
        frames.extend(Some(rest[..length].to_vec()).filter(|frame| !is_control(frame)));
        rest = &rest[length..];
    }
    frames
}

/// One bidirectional stream.
pub struct Stream<'h> {
    host: &'h Host,
    pub send: SendStream,
    pub receive: RecvStream,
    received: Vec<u8>,
    /// CTL frames that came between the others.
    pub controls: Vec<Vec<u8>>,
}

impl Stream<'_> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.host.wait(self.send.write_all(bytes)).expect("sent");
    }

    /// The same to a server that may have ended the connection by now.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.host.wait(self.send.write_all(bytes));
    }

    /// The next frame that is no CTL; `None` when the server has ended the stream or the connection.
    pub fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            let frame = self.any_frame()?;
            if !is_control(&frame) {
                return Some(frame);
            }
            self.controls.push(frame);
        }
    }

    /// The next frame; `None` when the server has ended the stream or the connection.
    pub fn any_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Cut::Frame(length) = framer::cut(&self.received, Role::Client).expect("well formed") {
                let rest = self.received.split_off(length);
                return Some(std::mem::replace(&mut self.received, rest));
            }
            let mut buffer = [0; 65536];
            let length = self.host.wait(self.receive.read(&mut buffer)).ok().flatten()?;
            self.received.extend_from_slice(&buffer[..length]);
        }
    }
}
