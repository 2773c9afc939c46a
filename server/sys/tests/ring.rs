//! The ring against real sockets: buffers that run out, memory that outlives its operations, locked opcodes.

#[path = "../../tests/support/stopwatch.rs"]
mod stopwatch;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use mvt_sys::uring::{Completion, Filled, LineId, ReceiveEnd, Ring, RingOptions, Shortages, Wait};
use stopwatch::Stopwatch;

struct Bench {
    ring: Ring,
    address: std::net::SocketAddr,
    _bell: UnixStream,
}

fn bench() -> Bench {
    bench_with(RingOptions::new(64, Duration::from_millis(20)))
}

fn bench_with(options: RingOptions) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let (bell, waiter) = UnixStream::pair().expect("a pair");
    waiter.set_nonblocking(true).expect("set");
    let mut ring = Ring::new(vec![listener], waiter, options).expect("a ring");
    ring.accept(0);
    Bench { ring, address, _bell: bell }
}

impl Bench {
    /// The next completion that is no tick.
    fn next(&mut self) -> Completion {
        let started = Instant::now();
        loop {
            match self.ring.next_completion() {
                Some(Completion::Ticked) => {
                    assert!(started.elapsed() < Duration::from_secs(60), "nothing came")
                }
                Some(completion) => return completion,
                None => self.ring.enter(Wait::Sleep).expect("entered"),
            }
        }
    }

    fn accepted(&mut self) -> (TcpStream, LineId) {
        let stream = TcpStream::connect(self.address).expect("connected");
        match self.next() {
            Completion::Accepted { line, peer, queue } => {
                self.ring.accept(queue);
                assert_eq!(peer, stream.local_addr().expect("an address"));
                (stream, line)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_connection_is_seen_with_its_own_address() {
    let mut bench = bench();
    let streams: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(bench.address).expect("connected")).collect();
    let mut expected: Vec<_> =
        streams.iter().map(|stream| stream.local_addr().expect("an address")).collect();
    let mut seen = Vec::new();
    while seen.len() < streams.len() {
        if let Completion::Accepted { peer, queue, .. } = bench.next() {
            seen.push(peer);
            bench.ring.accept(queue);
        }
    }
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
}

/// Of a queue that is not asked nothing is accepted, and the others go on.
#[test]
fn a_queue_holds_up_no_other() {
    let listeners: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("bound")).collect();
    let addresses: Vec<_> = listeners.iter().map(|it| it.local_addr().expect("an address")).collect();
    let (bell, waiter) = UnixStream::pair().expect("a pair");
    waiter.set_nonblocking(true).expect("set");
    let options = RingOptions::new(64, Duration::from_millis(20));
    let ring = Ring::new(listeners, waiter, options).expect("a ring");
    let mut bench = Bench { ring, address: addresses[0], _bell: bell };
    (0..3).for_each(|queue| bench.ring.accept(queue));
    let streams: Vec<TcpStream> =
        (0..30).map(|number| TcpStream::connect(addresses[number % 3]).expect("connected")).collect();
    let mut seen = [0; 3];
    while seen != [1, 10, 10] {
        match bench.next() {
            Completion::Accepted { queue, peer, .. } => {
                let by =
                    streams.iter().position(|it| it.local_addr().ok() == Some(peer)).expect("one of ours");
                assert_eq!(by % 3, queue);
                seen[queue] += 1;
                if queue > 0 {
                    bench.ring.accept(queue);
                }
            }
            other => panic!("{other:?}"),
        }
        assert!(seen[0] <= 1, "not asked for");
    }
}

#[test]
fn a_receive_without_a_free_buffer_ends_and_loses_nothing() {
    let mut bench = bench();
    let (mut stream, line) = bench.accepted();
    bench.ring.receive(line);
    let text: Vec<u8> = (0..1_500_000u32).map(|n| (n % 251) as u8).collect();
    let sent = text.clone();
    let sending = std::thread::spawn(move || stream.write_all(&sent).map(|()| stream));
    let mut held: Vec<Filled> = Vec::new();
    let mut received = Vec::new();
    let mut times_out_of_buffers = 0;
    while received.len() < text.len() {
        match bench.next() {
            // Nothing is given back until the receive ends.
            Completion::Received { filled, is_armed, .. } => {
                received.extend_from_slice(bench.ring.bytes(&filled));
                held.push(filled);
                if !is_armed {
                    bench.ring.receive(line);
                }
            }
            Completion::ReceiveEnded { end: ReceiveEnd::Stopped, .. } => {
                times_out_of_buffers += 1;
                held.drain(..).for_each(|filled| bench.ring.recycle(filled));
                bench.ring.receive(line);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(received == text, "in order and whole");
    assert!(times_out_of_buffers >= 2, "the buffers ran out");
    assert_eq!(bench.ring.take_shortages().buffers_exhausted, times_out_of_buffers);
    assert_eq!(bench.ring.take_shortages(), Shortages::default(), "taken once");
    drop(sending.join().expect("joined").expect("sent"));
}

#[test]
fn a_receive_of_once_takes_one_buffer_and_leaves_the_rest() {
    let mut bench = bench();
    let (mut stream, line) = bench.accepted();
    let text: Vec<u8> = (0..100_000u32).map(|n| (n % 241) as u8).collect();
    stream.write_all(&text).expect("sent");
    let mut received = Vec::new();
    while received.len() < text.len() {
        assert!(bench.ring.may_receive(line));
        bench.ring.receive_once(line);
        let Completion::Received { filled, is_armed, .. } = bench.next() else { panic!("bytes") };
        assert!(!is_armed && bench.ring.bytes(&filled).len() <= 8 * 1024);
        received.extend_from_slice(bench.ring.bytes(&filled));
        bench.ring.recycle(filled);
    }
    assert!(received == text, "in order and whole");
    drop(stream);
    bench.ring.receive_once(line);
    let end = bench.next();
    assert!(matches!(end, Completion::ReceiveEnded { end: ReceiveEnd::EndOfStream, .. }), "{end:?}");
}

#[test]
fn a_send_that_the_socket_does_not_take_at_once_is_sent_whole() {
    let mut bench = bench();
    let (mut stream, line) = bench.accepted();
    let text: Vec<u8> = (0..20_000_000u32).map(|n| (n % 253) as u8).collect();
    bench.ring.send(line, text.clone());
    let expected = text.clone();
    let reading = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut received = vec![0; expected.len()];
        stream.read_exact(&mut received).expect("all of it");
        assert!(received == expected, "in order and whole");
        stream
    });
    match bench.next() {
        Completion::Sent { result, buffer, .. } => assert!(result.is_ok() && buffer.is_empty()),
        other => panic!("{other:?}"),
    }
    drop(reading.join().expect("joined"));
}

#[test]
fn a_ring_with_everything_in_flight_is_dropped_soon() {
    let mut bench = bench();
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (stream, line) = bench.accepted();
        bench.ring.receive(line);
        bench.ring.send(line, vec![7; 16 << 20]);
        streams.push(stream);
    }
    // A receive buffer is out as well.
    streams[0].write_all(b"held").expect("sent");
    let held = bench.next();
    assert!(matches!(held, Completion::Received { .. }), "{held:?}");
    let started = Stopwatch::start(std::process::id());
    drop(bench);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // The peers see the end.
    for mut stream in streams {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        let mut buffer = vec![0; 1 << 20];
        while matches!(stream.read(&mut buffer), Ok(1..)) {}
    }
}

#[test]
fn a_line_closed_after_its_receive_was_stopped_says_so_to_its_peer() {
    let mut bench = bench();
    for _ in 0..50 {
        let (mut stream, line) = bench.accepted();
        bench.ring.receive(line);
        bench.ring.stop_receiving(line);
        let end = bench.next();
        assert!(matches!(end, Completion::ReceiveEnded { end: ReceiveEnd::Stopped, .. }), "{end:?}");
        bench.ring.close(line);
        bench.ring.enter(Wait::Poll).expect("entered");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        assert_eq!(stream.read(&mut [0; 8]).expect("an end"), 0);
    }
}

#[test]
#[should_panic(expected = "nothing is in flight")]
fn a_line_is_not_closed_with_a_receive_in_flight() {
    let mut bench = bench();
    let (_stream, line) = bench.accepted();
    bench.ring.receive(line);
    bench.ring.close(line);
}

#[test]
#[should_panic(expected = "a buffer of this ring")]
fn a_buffer_of_another_ring_is_refused() {
    let mut bench = bench();
    let (mut stream, line) = bench.accepted();
    bench.ring.receive(line);
    stream.write_all(b"mine").expect("sent");
    let Completion::Received { filled, .. } = bench.next() else { panic!("received") };
    let other = self::bench();
    let _ = other.ring.bytes(&filled);
}

#[test]
fn a_full_completion_queue_loses_nothing_and_deafens_nobody() {
    const LINES: usize = 40;
    const ROUNDS: usize = 20;
    let options =
        RingOptions { submissions: 8, completions: 8, ..RingOptions::new(64, Duration::from_millis(20)) };
    let mut bench = bench_with(options);
    let (mut streams, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..LINES {
        let (stream, line) = bench.accepted();
        bench.ring.receive(line);
        streams.push(stream);
        lines.push(line);
    }
    bench.ring.enter(Wait::Poll).expect("entered");
    let mut overflowed = 0;
    for round in 0..ROUNDS {
        // All at one instant: five times what the queue holds.
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&[round as u8, number as u8, 7]).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(2));
        let mut received = vec![Vec::new(); LINES];
        while received.iter().any(|bytes| bytes.len() < 3) {
            let (line, is_over) = match bench.next() {
                Completion::Received { line, filled, is_armed } => {
                    let number = lines.iter().position(|known| *known == line).expect("a line");
                    received[number].extend_from_slice(bench.ring.bytes(&filled));
                    bench.ring.recycle(filled);
                    (line, !is_armed)
                }
                Completion::ReceiveEnded { line, end: ReceiveEnd::Stopped } => (line, true),
                other => panic!("{other:?}"),
            };
            if is_over {
                bench.ring.receive(line);
            }
        }
        for (number, bytes) in received.iter().enumerate() {
            assert_eq!(*bytes, [round as u8, number as u8, 7], "round {round}");
        }
        overflowed += bench.ring.take_shortages().completions_overflowed;
    }
    assert!(overflowed > 0, "the queue was too small, and it was counted");
}

/// A ring of a client and its line, with the server's end of it.
fn dialed() -> (Bench, TcpStream, LineId) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let (bell, waiter) = UnixStream::pair().expect("a pair");
    waiter.set_nonblocking(true).expect("set");
    let options = RingOptions::new(64, Duration::from_millis(500));
    let mut ring = Ring::dialer(waiter, options).expect("a ring");
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_nonblocking(true).expect("set");
    let line = ring.adopt(stream).expect("adopted");
    let (peer, _) = listener.accept().expect("accepted");
    (Bench { ring, address, _bell: bell }, peer, line)
}

#[test]
fn a_line_of_a_client_sends_receives_and_is_used_again() {
    let (mut bench, mut peer, line) = dialed();
    bench.ring.receive(line);
    bench.ring.send(line, b"question".to_vec());
    assert!(bench.ring.is_unsubmitted());
    let sent = bench.next();
    assert!(matches!(sent, Completion::Sent { result: Ok(()), .. }), "{sent:?}");
    let mut question = [0; 8];
    peer.read_exact(&mut question).expect("all of it");
    assert_eq!(&question, b"question");
    peer.write_all(b"answer").expect("sent");
    match bench.next() {
        Completion::Received { filled, line: on, .. } => {
            assert_eq!((bench.ring.bytes(&filled), on), (&b"answer"[..], line));
            bench.ring.recycle(filled);
        }
        other => panic!("{other:?}"),
    }
    bench.ring.hang_up(line);
    let end = bench.next();
    assert!(matches!(end, Completion::ReceiveEnded { end: ReceiveEnd::EndOfStream, .. }), "{end:?}");
    assert!(bench.ring.is_idle(line));
    bench.ring.close(line);
    assert_eq!(peer.read(&mut question).expect("an end"), 0);
    let other = TcpListener::bind("127.0.0.1:0").expect("bound");
    let stream = TcpStream::connect(other.local_addr().expect("an address")).expect("connected");
    let next = bench.ring.adopt(stream).expect("adopted");
    assert_eq!(next.index(), line.index());
    assert_ne!(next, line, "another generation");
}

#[test]
fn a_wait_with_a_bound_ends_by_itself() {
    let (mut bench, _peer, line) = dialed();
    bench.ring.receive(line);
    bench.ring.enter(Wait::Poll).expect("entered");
    while bench.ring.next_completion().is_some() {}
    let started = Instant::now();
    bench.ring.enter(Wait::SleepAtMost(Duration::from_millis(3))).expect("entered");
    assert!(started.elapsed() >= Duration::from_millis(2), "{:?}", started.elapsed());
}
