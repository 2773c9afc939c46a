//! Packets on the ring, against real sockets: trains, odd sizes, buffers and sockets that are full, cut control data.

#[path = "../../tests/support/stopwatch.rs"]
mod stopwatch;

use std::{
    io::IoSliceMut,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use mvt_sys::uring::{Completion, Inbound, Outbound, Ring, RingOptions, Wait};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use stopwatch::Stopwatch;

const TICK: Duration = Duration::from_millis(20);
/// How long what must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    ring: Ring,
    address: SocketAddr,
    _bell: UnixStream,
}

/// A socket set to tell of trains, marks and destinations.
fn socket(address: &str) -> (UdpSocket, UdpSocketState) {
    let socket = UdpSocket::bind(address).expect("bound");
    let state = UdpSocketState::new((&socket).into()).expect("set up");
    (socket, state)
}

fn bench_at(address: &str) -> Bench {
    bench_with(socket(address).0)
}

fn bench_with(socket: UdpSocket) -> Bench {
    let address = socket.local_addr().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let (bell, waiter) = UnixStream::pair().expect("a pair");
    let mut ring =
        Ring::with_packets(vec![listener], waiter, socket, RingOptions::new(8, TICK)).expect("a ring");
    ring.receive_packets();
    ring.enter(Wait::Poll).expect("entered");
    Bench { ring, address, _bell: bell }
}

impl Bench {
    /// The next completion that is no tick.
    fn next(&mut self) -> Completion {
        let started = Instant::now();
        loop {
            match self.ring.next_completion() {
                Some(Completion::Ticked) => assert!(started.elapsed() < PATIENCE, "nothing came"),
                Some(completion) => return completion,
                None => {
                    self.ring.receive_packets();
                    self.ring.enter(Wait::Sleep).expect("entered");
                }
            }
        }
    }

    fn packets(&mut self) -> Inbound {
        match self.next() {
            Completion::Packets(inbound) => inbound,
            other => panic!("{other:?}"),
        }
    }

    /// The next packets, cut apart.
    fn cut(&mut self) -> Vec<Vec<u8>> {
        let inbound = self.packets();
        let packets = self.ring.packets(&inbound).chunks(inbound.stride).map(<[u8]>::to_vec).collect();
        self.ring.recycle_packets(inbound);
        packets
    }

    fn send(&mut self, outbound: Outbound, bytes: &[u8]) {
        self.ring.packet_buffer().expect("room").extend_from_slice(bytes);
        self.ring.send_packets(&outbound);
    }
}

fn to(destination: SocketAddr) -> Outbound {
    Outbound { destination, source: None, ecn: 0, segment_bytes: None }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// CASES Q-04: every way that segments may be odd.
#[test]
fn trains_of_odd_sizes_arrive_cut_as_they_were_sent() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut bench = bench_at(address);
        let (sender, state) = socket(address);
        for (length, segment) in [
            (1, 1),
            (7, 1),
            (999, 333),
            (1000, 333),
            (1201, 1200),
            (2401, 1200),
            (40_001, 1399),
            (64_000, 1000),
        ] {
            let bytes = pattern(length);
            let transmit = Transmit {
                destination: bench.address,
                ecn: Some(EcnCodepoint::Ect0),
                contents: &bytes,
                segment_size: Some(segment),
                src_ip: None,
            };
            state.try_send((&sender).into(), &transmit).expect("sent");
            let mut received = Vec::new();
            while received.iter().map(Vec::len).sum::<usize>() < length {
                received.extend(bench.cut());
            }
            let expected: Vec<_> = bytes.chunks(segment).map(<[u8]>::to_vec).collect();
            assert!(received == expected, "{length} bytes by {segment} to {address}");
        }
    }
}

#[test]
fn packets_say_where_they_come_from_and_went_to() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut bench = bench_at(address);
        let (sender, state) = socket(address);
        let transmit = Transmit {
            destination: bench.address,
            ecn: Some(EcnCodepoint::Ce),
            contents: b"marked",
            segment_size: None,
            src_ip: None,
        };
        state.try_send((&sender).into(), &transmit).expect("sent");
        let inbound = bench.packets();
        assert_eq!(inbound.remote, sender.local_addr().expect("bound"));
        assert_eq!((inbound.local_ip, inbound.ecn), (Some(bench.address.ip()), 0b11));
        assert_eq!(bench.ring.packets(&inbound), b"marked");
        bench.ring.recycle_packets(inbound);
    }
}

/// What is sent has its mark, its source, and its segments.
#[test]
fn a_train_is_sent_as_it_was_asked_for() {
    sends_a_train("0.0.0.0:0", "127.0.0.1:0", [127, 0, 0, 9].into());
    sends_a_train("[::]:0", "[::1]:0", std::net::Ipv6Addr::LOCALHOST.into());
}

fn sends_a_train(from: &str, to: &str, source: std::net::IpAddr) {
    let mut bench = bench_at(from);
    let (receiver, state) = socket(to);
    let bytes = pattern(10_100);
    let outbound = Outbound {
        destination: receiver.local_addr().expect("bound"),
        source: Some(source),
        ecn: 0b10,
        segment_bytes: Some(1300),
    };
    bench.send(outbound, &bytes);
    // A segment size beyond the only packet is none.
    bench.send(Outbound { segment_bytes: Some(1300), ..outbound }, b"short");
    bench.ring.enter(Wait::Poll).expect("entered");
    let mut received = Vec::new();
    while received.len() < bytes.len() + 5 {
        let (mut buffer, mut metas) = (vec![0; 65536], [RecvMeta::default()]);
        match state.recv((&receiver).into(), &mut [IoSliceMut::new(&mut buffer)], &mut metas) {
            Ok(_) => {
                let meta = metas[0];
                assert_eq!((meta.addr.ip(), meta.addr.port()), (source, bench.address.port()));
                assert_eq!(meta.ecn, Some(EcnCodepoint::Ect0));
                assert_eq!(meta.stride, if received.len() < bytes.len() { 1300 } else { 5 });
                received.extend_from_slice(&buffer[..meta.len]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(TICK),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(received == [&bytes[..], b"short"].concat());
}

/// CASES Q-04.
#[test]
fn an_empty_packet_stops_nothing() {
    let mut bench = bench_at("127.0.0.1:0");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
    for round in 0..100u8 {
        sender.send_to(&[], bench.address).expect("sent");
        sender.send_to(&[round], bench.address).expect("sent");
        assert!(bench.cut().is_empty());
        assert_eq!(bench.cut(), [[round]]);
    }
}

/// CASES U-05.
#[test]
fn a_receive_without_a_free_buffer_is_asked_for_again_and_loses_nothing() {
    const PACKETS: usize = 200;
    let mut bench = bench_at("127.0.0.1:0");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
    for number in 0..PACKETS {
        sender.send_to(&[number as u8; 33], bench.address).expect("sent");
    }
    let (mut seen, mut held) = (0, Vec::new());
    while seen < PACKETS {
        match bench.ring.next_completion() {
            Some(Completion::Packets(inbound)) => {
                assert_eq!(bench.ring.packets(&inbound), [seen as u8; 33]);
                held.push(inbound);
                seen += 1;
            }
            Some(Completion::Ticked) => {}
            Some(other) => panic!("{other:?}"),
            // Nothing is given back before everything was seen, as in a turn.
            None => {
                held.drain(..).for_each(|inbound| bench.ring.recycle_packets(inbound));
                bench.ring.receive_packets();
                bench.ring.enter(Wait::Sleep).expect("entered");
            }
        }
    }
    let shortages = bench.ring.take_shortages();
    assert!(shortages.packet_buffers_exhausted >= 2, "{shortages:?}");
    assert_eq!(shortages.packets_unusable, 0);
}

/// CASES Q-04: nobody may answer from such an address.
#[test]
fn packets_to_an_address_of_many_hosts_are_dropped() {
    let mut bench = bench_at("0.0.0.0:0");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
    sender.set_broadcast(true).expect("set");
    let at = |ip: [u8; 4]| SocketAddr::from((ip, bench.address.port()));
    let (broadcast, ours) = (at([127, 255, 255, 255]), at([127, 1, 2, 3]));
    sender.send_to(b"all", broadcast).expect("sent");
    sender.send_to(b"us", ours).expect("sent");
    assert_eq!(bench.cut(), [b"us"]);
    // They come by two ways, and need not come in their order.
    let (started, mut unusable) = (Instant::now(), 0);
    while unusable == 0 && started.elapsed() < PATIENCE {
        bench.ring.enter(Wait::SleepAtMost(TICK)).expect("entered");
        while let Some(completion) = bench.ring.next_completion() {
            assert!(matches!(completion, Completion::Ticked), "{completion:?}");
        }
        unusable += bench.ring.take_shortages().packets_unusable;
    }
    assert_eq!(unusable, 1);
}

/// A loopback interface of one's own that sends slowly, so that what is on its way fills the socket's account; gone when
/// dropped.
struct SlowLoopback(String);

impl SlowLoopback {
    /// `None` where this user, or this kernel, cannot; else the calling thread is in it.
    fn enter() -> Option<Self> {
        let this = Self(format!("mvt-slow-{}", std::process::id()));
        let rules = format!("tc -n {} qdisc add dev lo root tbf rate 400mbit burst 64kb latency 10s", this.0);
        let commands =
            [format!("ip netns add {}", this.0), format!("ip -n {} link set lo up", this.0), rules];
        let is_made = commands.iter().all(|line| run(line));
        let namespace = std::fs::File::open(format!("/run/netns/{}", this.0)).ok().filter(|_| is_made)?;
        let kind = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).ok()?;
        Some(this)
    }
}

impl Drop for SlowLoopback {
    fn drop(&mut self) {
        run(&format!("ip netns del {}", self.0));
    }
}

fn run(line: &str) -> bool {
    let mut words = line.split(' ');
    let mut command = std::process::Command::new(words.next().expect("a program"));
    command.args(words).output().is_ok_and(|output| output.status.success())
}

/// EAGAIN: what a full socket does not take waits, and is sent in the end; until then there is no room for more.
#[test]
fn a_full_socket_delays_and_loses_nothing() {
    let Some(_slow) = SlowLoopback::enter() else {
        return println!("skipped: this needs the right to make a network namespace, ip, and tc");
    };
    let (sender, _) = socket("127.0.0.1:0");
    socket2::SockRef::from(&sender).set_send_buffer_size(4096).expect("set");
    let mut bench = bench_with(sender);
    let (receiver, state) = socket("127.0.0.1:0");
    socket2::SockRef::from(&receiver).set_recv_buffer_size(4 << 20).expect("set");
    let destination = receiver.local_addr().expect("bound");
    let (mut sent, mut received, mut was_full) = (0u32, 0u32, false);
    while sent < 100 {
        while sent < 100 && bench.ring.packet_buffer().is_some() {
            bench.send(Outbound { segment_bytes: Some(1000), ..to(destination) }, &[sent as u8; 10_000]);
            sent += 1;
        }
        bench.ring.enter(Wait::Poll).expect("entered");
        while let Some(completion) = bench.ring.next_completion() {
            assert!(matches!(completion, Completion::Ticked), "{completion:?}");
        }
        was_full |= bench.ring.is_full();
        received += drain(&receiver, &state);
    }
    let started = Instant::now();
    while received < 1_000_000 && started.elapsed() < PATIENCE {
        bench.ring.enter(Wait::SleepAtMost(TICK)).expect("entered");
        while bench.ring.next_completion().is_some() {}
        received += drain(&receiver, &state);
    }
    assert_eq!(received, 1_000_000);
    assert!(was_full && bench.ring.take_shortages().sends_waited > 0, "the canary: the socket was full");
}

/// Bytes that were there to read.
fn drain(receiver: &UdpSocket, state: &UdpSocketState) -> u32 {
    let (mut buffer, mut metas, mut total) = (vec![0; 65536], [RecvMeta::default()], 0);
    while state.recv(receiver.into(), &mut [IoSliceMut::new(&mut buffer)], &mut metas).is_ok() {
        total += metas[0].len as u32;
    }
    total
}

/// EMSGSIZE, EINVAL, ECONNREFUSED: a transmission that cannot be sent is reported, and the next one goes out.
#[test]
fn a_refused_transmission_is_reported_and_harms_no_other() {
    let mut bench = bench_at("127.0.0.1:0");
    let (receiver, state) = socket("127.0.0.1:0");
    let destination = receiver.local_addr().expect("bound");
    let foreign = Some([192, 0, 2, 1].into());
    // Larger than an IP packet; from an address that is not ours; cut into more segments than the kernel cuts.
    bench.send(to(destination), &pattern(65_530));
    bench.send(Outbound { source: foreign, ..to(destination) }, b"from elsewhere");
    bench.send(Outbound { segment_bytes: Some(1), ..to(destination) }, &pattern(2000));
    bench.send(to(destination), b"good");
    let errors: Vec<_> = (0..3)
        .map(|_| match bench.next() {
            Completion::PacketsUnsent { error, is_segmented } => (error.raw_os_error(), is_segmented),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(errors[0], (Some(libc::EMSGSIZE), false));
    assert!(
        [(Some(libc::EINVAL), false), (Some(libc::ENETUNREACH), false)].contains(&errors[1]),
        "{errors:?}"
    );
    assert_eq!(errors[2], (Some(libc::EINVAL), true));
    let (started, mut received) = (Instant::now(), 0);
    while received < 4 && started.elapsed() < PATIENCE {
        received += drain(&receiver, &state);
        std::thread::yield_now();
    }
    assert_eq!(received, 4);
}

#[test]
fn a_socket_where_nobody_listens_any_more_goes_on_receiving() {
    let mut bench = bench_at("127.0.0.1:0");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let closed = UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    for round in 0..20u8 {
        // Answered by an ICMP error.
        bench.send(to(closed), b"anybody?");
        sender.send_to(&[round], bench.address).expect("sent");
        assert_eq!(bench.cut(), [[round]]);
    }
}

/// CASES U-08.
#[test]
fn a_ring_with_packets_in_flight_is_dropped_soon() {
    let (sender, _) = socket("127.0.0.1:0");
    socket2::SockRef::from(&sender).set_send_buffer_size(4096).expect("set");
    let mut bench = bench_with(sender);
    let (receiver, _) = socket("127.0.0.1:0");
    let destination = receiver.local_addr().expect("bound");
    UdpSocket::bind("127.0.0.1:0").expect("bound").send_to(b"held", bench.address).expect("sent");
    let held = bench.packets();
    while bench.ring.packet_buffer().is_some() {
        bench.send(to(destination), &[7; 3000]);
    }
    bench.ring.enter(Wait::Poll).expect("entered");
    while bench.ring.next_completion().is_some() {}
    let started = Stopwatch::start(std::process::id());
    drop(bench);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    drop(held);
}

#[test]
fn this_kernel_receives_packets_into_a_ring() {
    mvt_sys::uring::probe_packets().expect("it does");
}

/// The kernel tells less of packets that arrived before it was asked to tell.
#[test]
fn what_arrived_before_the_socket_was_set_up_is_taken_too() {
    let early = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("bound");
    sender.send_to(b"early", early.local_addr().expect("bound")).expect("sent");
    UdpSocketState::new((&early).into()).expect("set up");
    let mut bench = bench_with(early);
    assert_eq!(bench.cut(), [b"early"]);
}
