//! The load: a closed loop on each connection, every answer verified, all on one thread.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use mvt_loadgen::server_cpu::CpuReading;
use mvt_proto::{
    Header, Kind, Role, Suite,
    constants::LENGTH_FIELD_BYTES,
    framer::{Cut, cut},
    login::{Initiator, Offer},
    secret::Secret,
    session::{Answer, ClientSession, Outstanding},
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    server::{Running, Transport},
    tls,
};

/// Before each measured interval.
const WARMUP: Duration = Duration::from_millis(300);
const PAYLOAD: &[u8; 20] = b"twenty-bytes-of-text";
/// An answer that was lost is not waited for longer; the run is void then.
const SILENCE_MAX: Duration = Duration::from_secs(5);

pub struct Seen {
    pub requests: u64,
    pub server_cpu_ns: u64,
    pub elapsed: Duration,
}

pub fn run(
    running: &Running,
    core: usize,
    connections: usize,
    depth: usize,
    interval: Duration,
) -> anyhow::Result<Seen> {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let answered = Rc::new(Cell::new(0u64));
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let wire = Wire::open(running.address, running.transport).await?;
            let keys = running.keys.as_ref();
            let task = match keys {
                Some((public, keys)) => {
                    let mut wire = wire;
                    let session = wire.log_in(public, &keys.identity).await?;
                    tokio::task::spawn_local(ours(wire, session, depth, answered.clone()))
                }
                None => tokio::task::spawn_local(each(wire, depth, answered.clone())),
            };
            tasks.push(task);
        }
        tokio::time::sleep(WARMUP).await;
        let (cpu, count, started) = (CpuReading::of(running.id())?, answered.get(), Instant::now());
        tokio::time::sleep(interval).await;
        let after = CpuReading::of(running.id())?;
        let seen = Seen {
            requests: answered.get() - count,
            server_cpu_ns: after.since_ns(&cpu),
            elapsed: started.elapsed(),
        };
        for task in tasks {
            if task.is_finished() {
                task.await??;
            }
            // The others end with the runtime.
        }
        ensure!(seen.requests > 0, "nothing was answered");
        Ok(seen)
    })
}

enum Wire {
    Tcp(TcpStream, Vec<u8>),
    Quic { way: Transport, connection: Connection, send: SendStream, receive: RecvStream, received: Vec<u8> },
}

impl Wire {
    async fn open(address: SocketAddr, way: Transport) -> anyhow::Result<Self> {
        if way == Transport::Tcp {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            return Ok(Self::Tcp(stream, Vec::new()));
        }
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
        let connection = endpoint.connect_with(tls::client_config()?, address, "peer")?.await?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Self::Quic { way, connection, send, receive, received: Vec::new() })
    }

    async fn send(&mut self, frames: &[u8], frame_bytes: usize) -> anyhow::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.write_all(frames).await?,
            Self::Quic { way: Transport::QuicDatagram, connection, .. } => {
                let bytes_max = connection.max_datagram_size().context("datagrams")?;
                for datagram in frames.chunks(bytes_max - bytes_max % frame_bytes) {
                    connection.send_datagram_wait(datagram.to_vec().into()).await?;
                }
            }
            Self::Quic { send, .. } => send.write_all(frames).await?,
        }
        Ok(())
    }

    /// Frames that arrived together.
    async fn receive(&mut self) -> anyhow::Result<Vec<u8>> {
        let (chunk, received) = match self {
            Self::Tcp(stream, received) => {
                let mut buffer = vec![0; 65536];
                let length = stream.read(&mut buffer).await?;
                buffer.truncate(length);
                (buffer, received)
            }
            Self::Quic { way: Transport::QuicDatagram, connection, .. } => {
                return Ok(connection.read_datagram().await?.to_vec());
            }
            Self::Quic { receive, received, .. } => {
                let chunk = receive.read_chunk(65536, true).await?.context("the stream ended")?;
                (chunk.bytes.to_vec(), received)
            }
        };
        ensure!(!chunk.is_empty(), "the server closed");
        received.extend_from_slice(&chunk);
        let mut whole = 0;
        while let Cut::Frame(length) = cut(&received[whole..], Role::Client)? {
            whole += length;
        }
        let rest = received.split_off(whole);
        Ok(std::mem::replace(received, rest))
    }

    async fn log_in(
        &mut self,
        server_public: &[u8; 32],
        identity: &mvt_proto::login::Identity,
    ) -> anyhow::Result<ClientSession> {
        let mut channel_binding = Vec::new();
        if let Self::Quic { connection, .. } = self {
            channel_binding.resize(32, 0);
            let exported = connection.export_keying_material(&mut channel_binding, b"EXPORTER-MVT1", b"");
            ensure!(exported.is_ok(), "no exporter");
        }
        let suites = &[Suite::Hs256];
        let offer =
            Offer { server_public, suites, login_id: 1, cookie: None, channel_binding: &channel_binding };
        let mut ephemeral = [0; 32];
        getrandom::fill(&mut ephemeral)?;
        let (initiator, hello) = Initiator::start(identity, &offer, Secret::new(ephemeral))?;
        self.send(&hello, hello.len()).await?;
        loop {
            let frames = self.receive().await?;
            if !frames.is_empty() {
                return Ok(initiator.finish(&frames, now_ms())?);
            }
        }
    }
}

fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Our requests: as many sent as were answered.
async fn ours(
    mut wire: Wire,
    mut session: ClientSession,
    depth: usize,
    answered: Rc<Cell<u64>>,
) -> anyhow::Result<()> {
    let mut outstanding = Outstanding::default();
    let mut missing = depth;
    loop {
        // Half of the depth at once, so that one half is on its way while the other is answered.
        if missing * 2 >= depth {
            let mut frames = Vec::new();
            for _ in 0..missing {
                outstanding.push(&session.seal_request(1, PAYLOAD, now_ms(), &mut frames)?, ());
            }
            wire.send(&frames, frames.len() / missing).await?;
            missing = 0;
        }
        let mut frames =
            tokio::time::timeout(SILENCE_MAX, wire.receive()).await.context("an answer was lost")??;
        let mut rest = &mut frames[..];
        while let Some(length) = rest.first_chunk::<LENGTH_FIELD_BYTES>() {
            let length = LENGTH_FIELD_BYTES + usize::from(u16::from_be_bytes(*length));
            let (frame, others) = rest.split_at_mut(length);
            let header = Header::parse(frame, Role::Client)?;
            rest = others;
            // A ticket.
            if header.kind == Kind::Ctl {
                continue;
            }
            let waiting = outstanding.get(header.generation, header.counter);
            let (pending, ()) = waiting.context("an answer to nothing")?;
            match session.open_answer(pending, &header, frame, now_ms())? {
                Answer::Response { .. } => {}
                other => bail!("{other:?}"),
            }
            outstanding.remove(header.generation, header.counter);
            missing += 1;
            answered.set(answered.get() + 1);
        }
    }
}

/// The peer's requests: a stream each, `depth` of them at once.
async fn each(wire: Wire, depth: usize, answered: Rc<Cell<u64>>) -> anyhow::Result<()> {
    let Wire::Quic { connection, .. } = &wire else { bail!("QUIC only") };
    let tasks: Vec<_> = (0..depth)
        .map(|_| {
            let (connection, answered) = (connection.clone(), answered.clone());
            tokio::task::spawn_local(async move {
                while !is_over(&connection) {
                    let (mut send, mut receive) = connection.open_bi().await?;
                    send.write_all(&[7; 64]).await?;
                    send.finish()?;
                    ensure!(receive.read_to_end(64).await?.len() == 64, "an echo");
                    answered.set(answered.get() + 1);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn is_over(connection: &Connection) -> bool {
    connection.close_reason().is_some()
}
