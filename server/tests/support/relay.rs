//! A network between a client and a server: real sockets, and between them what a seed and its rules make of packets.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};

/// How long it looks for packets before it asks whether it is over.
const PAUSE: Duration = Duration::from_millis(5);

/// What happens to packets, in each direction.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Of 100 packets.
    pub lost: u64,
    pub doubled: u64,
    /// Held back until a later one has passed.
    pub late: u64,
    /// Longer ones vanish; 0 is no bound.
    pub bytes_max: usize,
    /// How many times the server shall see the client at a new address.
    pub moves: usize,
    /// Whether the client gets a new address as soon as the server has answered for the first time.
    pub moves_at_answer: bool,
    /// Whether what goes to the server is kept.
    pub is_recorded: bool,
}

/// A relay; ends when dropped.
pub struct Relay {
    pub address: SocketAddr,
    rules: Arc<Mutex<Rules>>,
    is_over: Arc<AtomicBool>,
    /// Packets and bytes towards the server, and from it.
    pub counts: Arc<[AtomicU64; 4]>,
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
}

struct Random(u64);

impl Random {
    fn hits(&mut self, of_100: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 100 < of_100
    }
}

/// One direction: what is held back, and how to let go of it.
#[derive(Default)]
struct Lane {
    held: Option<Vec<u8>>,
}

impl Lane {
    fn pass(&mut self, packet: &[u8], rules: &Rules, random: &mut Random, mut send: impl FnMut(&[u8])) {
        if random.hits(rules.lost) || (rules.bytes_max > 0 && packet.len() > rules.bytes_max) {
            return;
        }
        if random.hits(rules.late) && self.held.is_none() {
            self.held = Some(packet.to_vec());
            return;
        }
        send(packet);
        if random.hits(rules.doubled) {
            send(packet);
        }
        if let Some(held) = self.held.take() {
            send(&held);
        }
    }
}

/// A socket that is not waited for by itself.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.set_nonblocking(true).expect("set");
    socket
}

impl Relay {
    pub fn to(server: SocketAddr, rules: Rules, seed: u64) -> Self {
        let inside = socket();
        let address = inside.local_addr().expect("bound");
        let rules = Arc::new(Mutex::new(rules));
        let is_over = Arc::new(AtomicBool::new(false));
        let counts: Arc<[AtomicU64; 4]> = Arc::default();
        let recorded: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let thread = thread::spawn({
            let (rules, is_over, counts) = (rules.clone(), is_over.clone(), counts.clone());
            let recorded = recorded.clone();
            let record = move |packet: &[u8]| recorded.lock().expect("no panic").push(packet.to_vec());
            move || relay(&inside, server, &rules, &is_over, &counts, &record, Random(seed | 1))
        });
        Self { address, rules, is_over, counts, recorded, thread: Some(thread) }
    }

    /// What went to the server while [`Rules::is_recorded`].
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.recorded.lock().expect("no panic").clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().expect("no panic"));
    }
}

fn relay(
    inside: &UdpSocket,
    server: SocketAddr,
    rules: &Mutex<Rules>,
    is_over: &AtomicBool,
    counts: &[AtomicU64; 4],
    record: &dyn Fn(&[u8]),
    mut random: Random,
) {
    let (mut client, mut moved) = (None, 0);
    let mut sockets = vec![socket()];
    let (mut up, mut down) = (Lane::default(), Lane::default());
    let mut buffer = vec![0; 65536];
    let count = |at: usize, bytes: usize| {
        counts[at].fetch_add(1, Ordering::Relaxed);
        counts[at + 1].fetch_add(bytes as u64, Ordering::Relaxed);
    };
    while !is_over.load(Ordering::Relaxed) {
        wait_for([inside, sockets.last().expect("one at least")]);
        while let Ok((length, from)) = inside.recv_from(&mut buffer) {
            client = Some(from);
            // After the packet: an answer to what is sent from an address now left would find nobody.
            let now = *rules.lock().expect("no panic");
            while moved < now.moves {
                sockets.push(socket());
                moved += 1;
            }
            let socket = sockets.last().expect("one at least");
            up.pass(&buffer[..length], &now, &mut random, |packet| {
                count(0, packet.len());
                if now.is_recorded {
                    record(packet);
                }
                let _ = socket.send_to(packet, server);
            });
        }
        // What comes to an address that was left is lost, as behind a router that forgot it.
        let now = *rules.lock().expect("no panic");
        let outside = sockets.last().expect("one at least");
        let mut is_answered = false;
        while let (Ok((length, _)), Some(client)) = (outside.recv_from(&mut buffer), client) {
            is_answered = true;
            down.pass(&buffer[..length], &now, &mut random, |packet| {
                count(2, packet.len());
                let _ = inside.send_to(packet, client);
            });
        }
        if is_answered && now.moves_at_answer && sockets.len() == 1 {
            sockets.push(socket());
        }
    }
}

/// Until one of them has a packet, or for a while.
fn wait_for(sockets: [&UdpSocket; 2]) {
    let mut sockets = sockets.map(|socket| PollFd::new(socket, PollFlags::IN));
    let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE.subsec_nanos().into() };
    let _ = poll(&mut sockets, Some(&pause));
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
