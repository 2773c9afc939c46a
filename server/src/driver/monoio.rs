//! The driver on monoio: io_uring, or epoll where that is forbidden. One task per direction of a connection, and one
//! that turns the shard after all of them have read.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use ::monoio::{
    IoUringDriver, LegacyDriver, RuntimeBuilder,
    buf::IoBuf,
    io::{
        AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent, CancelableAsyncWriteRent, Canceller,
        OwnedReadHalf, OwnedWriteHalf, Splitable,
    },
    net::{TcpListener, TcpStream, UnixStream, udp::UdpSocket},
};
use hashbrown::HashMap;
use mvt_sys::{port_steering::QUEUE_COUNT, socket::set_backlog};

use crate::{
    clock::ServerClock,
    driver::{
        AcceptTrouble, Mechanism, Seat,
        placing::{Glance, Placing},
        quic_port::QuicPort,
        signal::Signal,
        udp::PacketSocket,
    },
    limits::{LINGER_MS, READ_BYTES, SWEEP_INTERVAL_MS},
    shard::{ConnectionId, Shard, SweepHand},
};

/// Submission queue entries of a ring.
const RING_ENTRIES: u32 = 4096;
/// The first read of a connection asks for this much; a read that fills its buffer doubles it.
const READ_BYTES_FIRST: usize = 4096;
/// The runtime's timers are no finer; a shorter wait would not let other tasks run.
const TIMER_TICK: Duration = Duration::from_millis(1);
/// Between two pieces of the sessions that are due: 256,000 a second at most.
const RECLAIM_PAUSE: Duration = Duration::from_millis(1);
/// Pieces before such a pause.
const RECLAIM_PIECES: usize = 4;
/// How long to wait when the process has no file descriptor left, or an accept queue is not to be taken from.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) fn drive(mechanism: Mechanism, seat: Seat, is_ready: &dyn Fn()) -> io::Result<()> {
    match mechanism {
        Mechanism::MonoioUring => {
            let mut ring = io_uring_monoio::IoUring::builder();
            ring.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
            RuntimeBuilder::<IoUringDriver>::new()
                .with_entries(RING_ENTRIES)
                .uring_builder(ring)
                .enable_timer()
                .build()?
                .block_on(serve(seat, is_ready))
        }
        Mechanism::Uring | Mechanism::Epoll => {
            RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?.block_on(serve(seat, is_ready))
        }
    }
}

/// What the tasks of one shard share.
struct Station {
    shard: RefCell<Shard>,
    clock: ServerClock,
    wires: RefCell<HashMap<ConnectionId, Rc<Wire>>>,
    /// Something was ingested, or mail was read: turn the shard.
    turn: Signal,
    /// Tasks that wait until it has turned.
    resting: RefCell<Vec<Waker>>,
    quic: Option<RefCell<QuicPort>>,
    socket: Option<RefCell<PacketSocket>>,
    trouble: RefCell<AcceptTrouble>,
    /// One for each accept queue; none once we stop.
    listeners: RefCell<Vec<Rc<TcpListener>>>,
}

/// The two tasks of one connection, as the others see them.
struct Wire {
    /// There is output, or the connection is to be closed.
    output: Signal,
    /// Output was written: reading may go on.
    drained: Signal,
    /// Cuts off whatever is under way.
    canceller: RefCell<Canceller>,
    /// One of the two tasks has ended; the other one forgets the connection.
    is_half: Cell<bool>,
}

async fn serve(seat: Seat, is_ready: &dyn Fn()) -> io::Result<()> {
    let Seat { shard, listeners, placing, quic, waiter, clock, .. } = seat;
    let (quic, socket) = quic.map(QuicPort::open).transpose()?.unzip();
    // Two names of one socket: this driver waits on one, and reads and writes the other.
    let name = |(socket, _): &(std::net::UdpSocket, _)| UdpSocket::from_std(socket.try_clone()?);
    let packets = socket.as_ref().map(name).transpose()?;
    let socket = socket.map(|(socket, state)| PacketSocket::new(socket, state, shard.counters().clone()));
    let listeners = listeners.into_iter().map(|listener| TcpListener::from_std(listener).map(Rc::new));
    let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
    let station = Rc::new(Station {
        shard: RefCell::new(shard),
        clock,
        wires: RefCell::default(),
        turn: Signal::default(),
        resting: RefCell::default(),
        quic: quic.map(RefCell::new),
        socket: socket.map(RefCell::new),
        trouble: RefCell::default(),
        listeners: RefCell::new(listeners),
    });
    let waiter = UnixStream::from_std(waiter)?;
    let accepting = Rc::new(RefCell::new(Canceller::new()));
    let stopping = Rc::new(Signal::default());

    for queue in 0..QUEUE_COUNT {
        ::monoio::spawn(accept(station.clone(), queue, accepting.clone()));
    }
    ::monoio::spawn(turn(station.clone()));
    ::monoio::spawn(read_mail(station.clone(), waiter, stopping.clone()));
    ::monoio::spawn(sweep(station.clone(), placing));
    if let Some(packets) = packets {
        ::monoio::spawn(read_packets(station.clone(), packets));
    }
    is_ready();

    stopping.wait().await;
    station.listeners.borrow_mut().clear();
    cancel(&accepting);
    station.quic.iter().for_each(|quic| quic.borrow_mut().stop());
    station.shard.borrow_mut().close_all(station.clock.now_ms());
    station.turn.set();
    station.wake_dirty();
    let tick = Duration::from_millis(SWEEP_INTERVAL_MS);
    for _ in 0..2 * LINGER_MS / SWEEP_INTERVAL_MS {
        if station.shard.borrow().connection_count() == 0 {
            break;
        }
        ::monoio::time::sleep(tick).await;
    }
    Ok(())
}

fn cancel(canceller: &RefCell<Canceller>) {
    let old = canceller.replace(Canceller::new());
    canceller.replace(old.cancel());
}

impl Station {
    /// Wakes the writers of connections with something to write.
    fn wake_dirty(&self) {
        loop {
            let Some(id) = self.shard.borrow_mut().next_dirty() else { return };
            if let Some(wire) = self.wires.borrow().get(&id) {
                wire.output.set();
            } else if let Some(quic) = &self.quic {
                // Its packets leave with the next turn.
                quic.borrow_mut().note_dirty(id);
                self.turn.set();
            }
        }
    }

    /// One turn of the shard, between what QUIC received and what it sends.
    fn turn_once(&self) {
        let now_ms = self.clock.now_ms();
        let mut shard = self.shard.borrow_mut();
        let Some(quic) = &self.quic else { return shard.turn(now_ms) };
        let (mut quic, now) = (quic.borrow_mut(), Instant::now());
        quic.ingest(&mut shard, now, now_ms);
        shard.turn(now_ms);
        quic.hang_up(&mut shard, now_ms);
        drop((shard, quic));
        self.wake_dirty();
        // What was dirty is noted by now.
        self.turn.unset();
        if let (Some(quic), Some(socket)) = (&self.quic, &self.socket) {
            let mut socket = socket.borrow_mut();
            quic.borrow_mut().settle(&mut *socket, &mut self.shard.borrow_mut(), now, now_ms);
        }
    }

    /// Packets of ours that other shards got.
    fn take_forwarded(&self) {
        loop {
            let Some(packet) = self.shard.borrow_mut().next_packet() else { return };
            if let Some(quic) = &self.quic {
                quic.borrow_mut().take_forwarded(&packet, Instant::now());
                self.turn.set();
            }
        }
    }

    /// Wakes the readers of connections that the shard held up and does not any more.
    fn wake_resumed(&self) {
        loop {
            let Some(id) = self.shard.borrow_mut().next_resumed() else { return };
            if let Some(wire) = self.wires.borrow().get(&id) {
                wire.drained.set();
            } else if let Some(quic) = &self.quic {
                quic.borrow_mut().note_dirty(id);
                self.turn.set();
            }
        }
    }

    /// Lets every task that can run do so first, and the shard turn. A task that wakes itself is the runtime's next one; so another wakes it.
    async fn rest(&self) {
        let mut is_rested = false;
        poll_fn(|context| {
            if std::mem::replace(&mut is_rested, true) {
                return Poll::Ready(());
            }
            self.resting.borrow_mut().push(context.waker().clone());
            self.turn.set();
            Poll::Pending
        })
        .await;
    }

    /// Wakes those that wait for a turn to be over.
    fn wake_resting(&self) {
        self.resting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    /// How long to wait for news before a turn is due anyway.
    fn patience(&self) -> Option<Duration> {
        self.quic.as_ref()?.borrow().patience(Instant::now())
    }

    /// The listener of an accept queue, when the next of it is to be accepted; `None` once we stop.
    async fn await_turn(&self, queue: usize) -> Option<Rc<TcpListener>> {
        loop {
            self.tell_backlog(queue);
            let listener = self.listeners.borrow().get(queue).cloned()?;
            if self.shard.borrow().wants_accept(queue) {
                return Some(listener);
            }
            ::monoio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    /// Tells the kernel how many connections of a queue it is to hold, where that has changed.
    fn tell_backlog(&self, queue: usize) {
        let listeners = self.listeners.borrow();
        let Some(listener) = listeners.get(queue) else { return };
        let backlog = self.shard.borrow_mut().next_backlog(queue);
        if let Some(Err(error)) = backlog.map(|backlog| set_backlog(&**listener, backlog.count())) {
            tracing::warn!(%error, "the kernel holds as many connections as before");
        }
    }

    /// Called by each of the two tasks of a connection at its end.
    fn end_of(&self, wire: &Wire, id: ConnectionId) {
        wire.drained.set();
        if wire.is_half.replace(true) {
            self.wires.borrow_mut().remove(&id);
            self.shard.borrow_mut().close(id);
        }
    }
}

/// Accepts what comes by one queue.
async fn accept(station: Rc<Station>, queue: usize, canceller: Rc<RefCell<Canceller>>) {
    while let Some(listener) = station.await_turn(queue).await {
        let handle = canceller.borrow().handle();
        match listener.cancelable_accept(handle).await {
            // It came as we stopped: nobody would end it.
            Ok(_) if station.listeners.borrow().is_empty() => return,
            Ok((stream, peer)) => {
                take_accepted(&station, queue, stream, peer);
                // What it sends is judged before many more like it are there, and other queues have their turn.
                station.rest().await;
            }
            Err(error) if is_cancelled(&error) => return,
            Err(error) => {
                station.trouble.borrow_mut().note(&station.shard.borrow(), &error, station.clock.now_ms());
                ::monoio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn take_accepted(station: &Rc<Station>, queue: usize, stream: TcpStream, peer: SocketAddr) {
    let now_ms = station.clock.now_ms();
    let Some(id) = station.shard.borrow_mut().open_from(queue, peer, now_ms) else { return };
    let wire = Rc::new(Wire {
        output: Signal::default(),
        drained: Signal::default(),
        canceller: RefCell::new(Canceller::new()),
        is_half: Cell::new(false),
    });
    station.wires.borrow_mut().insert(id, wire.clone());
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.into_split();
    ::monoio::spawn(write(station.clone(), wire.clone(), id, writer));
    ::monoio::spawn(read(station.clone(), wire, id, reader));
}

fn is_cancelled(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::CANCELED.raw_os_error())
}

/// Turns the shard once everything that was ready to be read has been read.
async fn turn(station: Rc<Station>) {
    loop {
        match station.patience() {
            Some(limit) => drop(::monoio::time::timeout(limit.max(TIMER_TICK), station.turn.wait()).await),
            None => station.turn.wait().await,
        }
        station.turn_once();
        station.wake_dirty();
        station.wake_resting();
    }
}

async fn read_packets(station: Rc<Station>, packets: UdpSocket) {
    let (Some(quic), Some(socket)) = (&station.quic, &station.socket) else { return };
    while packets.readable(false).await.is_ok() {
        socket.borrow_mut().receive(&mut quic.borrow_mut(), Instant::now());
        station.turn.set();
    }
}

async fn read(station: Rc<Station>, wire: Rc<Wire>, id: ConnectionId, mut reader: OwnedReadHalf<TcpStream>) {
    let mut buffer = vec![0u8; READ_BYTES_FIRST];
    let mut brought = 0;
    loop {
        // At the watermark the peer must read first. A closing connection is read on, and what comes is dropped, so that
        // the peer sees our last bytes and not a reset.
        while !station.shard.borrow_mut().wants_read(id) && station.shard.borrow().is_open(id) {
            wire.drained.wait().await;
        }
        let handle = wire.canceller.borrow().handle();
        let (result, returned) = reader.cancelable_read(buffer, handle).await;
        buffer = returned;
        match result {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                let now_ms = station.clock.now_ms();
                station.shard.borrow_mut().ingest(id, &buffer[..length], now_ms);
                station.turn.set();
                if length == buffer.len() && length < READ_BYTES {
                    buffer = vec![0u8; 2 * length];
                }
                brought += length;
                // What was brought is judged and answered before more is read of it: after little, since most likely nothing is left, and after
                // as much as a connection may bring to a turn.
                if length < READ_BYTES_FIRST || brought >= READ_BYTES {
                    brought = 0;
                    station.rest().await;
                }
            }
        }
    }
    // What was read is still answered; then the writer ends too.
    let now_ms = station.clock.now_ms();
    station.shard.borrow_mut().hang_up(id, now_ms);
    station.wake_dirty();
    station.end_of(&wire, id);
}

async fn write(
    station: Rc<Station>,
    wire: Rc<Wire>,
    id: ConnectionId,
    mut writer: OwnedWriteHalf<TcpStream>,
) {
    loop {
        let mut buffer = Vec::new();
        let now_ms = station.clock.now_ms();
        let is_last = station.shard.borrow_mut().take_output(id, &mut buffer, now_ms);
        if buffer.is_empty() {
            if is_last {
                break;
            }
            wire.output.wait().await;
            continue;
        }
        match write_all(&wire, &mut writer, buffer).await {
            Some(returned) => station.shard.borrow_mut().sent(id, returned),
            None => break,
        }
        wire.drained.set();
    }
    // The reader goes on until the peer has heard of it, or the sweep cuts it off.
    let _ = writer.shutdown().await;
    let now_ms = station.clock.now_ms();
    station.shard.borrow_mut().hang_up(id, now_ms);
    station.end_of(&wire, id);
}

/// Writes all of `buffer` and gives it back empty; `None` when the connection is broken or cut off.
async fn write_all(wire: &Wire, writer: &mut OwnedWriteHalf<TcpStream>, buffer: Vec<u8>) -> Option<Vec<u8>> {
    let mut rest = buffer.slice(..);
    loop {
        let begin = rest.begin();
        let handle = wire.canceller.borrow().handle();
        let (result, returned) = writer.cancelable_write(rest, handle).await;
        let mut buffer = returned.into_inner();
        match result {
            Ok(0) | Err(_) => return None,
            Ok(length) if begin + length == buffer.len() => {
                buffer.clear();
                return Some(buffer);
            }
            Ok(length) => rest = buffer.slice(begin + length..),
        }
    }
}

async fn read_mail(station: Rc<Station>, mut waiter: UnixStream, stopping: Rc<Signal>) {
    let mut buffer = vec![0u8; 64];
    loop {
        let (result, returned) = waiter.read(buffer).await;
        buffer = returned;
        if !matches!(result, Ok(1..)) {
            return;
        }
        let now_ms = station.clock.now_ms();
        if station.shard.borrow_mut().read_mail(now_ms) {
            stopping.set();
        }
        station.take_forwarded();
        station.wake_resumed();
        station.wake_dirty();
    }
}

async fn sweep(station: Rc<Station>, placing: Arc<Placing>) {
    let mut hand = SweepHand::default();
    let mut glance = Glance::default();
    loop {
        ::monoio::time::sleep(Duration::from_millis(SWEEP_INTERVAL_MS)).await;
        // In pieces, and whatever is ready to be read in between.
        let reclaim = || station.shard.borrow_mut().reclaim(station.clock.now_ms());
        while (0..RECLAIM_PIECES).all(|_| reclaim()) {
            ::monoio::time::sleep(RECLAIM_PAUSE).await;
        }
        let now_ms = station.clock.now_ms();
        placing.look_at(&mut station.shard.borrow_mut(), &mut glance, now_ms);
        // Also of those in which nobody waits: their accept is under way.
        (0..QUEUE_COUNT).for_each(|queue| station.tell_backlog(queue));
        let mut overdue = Vec::new();
        station.shard.borrow_mut().sweep(&mut hand, now_ms, |id| overdue.push(id));
        for id in overdue {
            if let Some(wire) = station.wires.borrow().get(&id) {
                cancel(&wire.canceller);
                wire.output.set();
                wire.drained.set();
            } else if let Some(quic) = &station.quic {
                quic.borrow_mut().abort(id, &mut station.shard.borrow_mut(), Instant::now());
            }
        }
        if station.quic.is_some() {
            station.turn.set();
        }
        station.wake_dirty();
    }
}
