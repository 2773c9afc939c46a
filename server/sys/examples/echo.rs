//! What moving bytes costs by itself: an echo on the ring, its CPU time for each message of 62 bytes.
//!
//! `cargo run --release -p mvt-sys --example echo [DEPTH [CONNECTIONS [SECONDS]]]`

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use mvt_sys::uring::{Completion, LineId, Ring, RingOptions, Wait};
use rustix::time::{ClockId, clock_gettime};

const MESSAGE_BYTES: usize = 62;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (depth, connection_count, seconds) = (next(256)?, next(8)?, next(2)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = std::thread::spawn(move || {
        let _ = mvt_sys::affinity::pin_to(1);
        ask(address, depth, connection_count, Duration::from_secs(seconds as u64))
    });
    let _ = mvt_sys::affinity::pin_to(0);
    let (_bell, waiter) = UnixStream::pair()?;
    waiter.set_nonblocking(true)?;
    let options = RingOptions::new(1024, Duration::from_millis(50));
    let mut ring = Ring::new(vec![listener], waiter, options)?;
    ring.accept(0);
    let started = cpu_time();
    let echoed = echo(&mut ring)?;
    let spent = cpu_time() - started;
    client.join().expect("the client ends")?;
    let messages = (echoed.bytes / MESSAGE_BYTES) as u128;
    println!(
        "depth {depth} x {connection_count}: {:.1} ns per message, {messages} messages, {:.1} in a turn",
        spent.as_nanos() as f64 / messages as f64,
        messages as f64 / echoed.turns as f64
    );
    Ok(())
}

struct Echoed {
    bytes: usize,
    turns: usize,
}

/// Echoes until the last connection is closed.
fn echo(ring: &mut Ring) -> Result<Echoed, Box<dyn Error>> {
    let mut outputs: Vec<Vec<u8>> = vec![Vec::new(); 1024];
    let mut dirty: Vec<LineId> = Vec::new();
    let mut spares: Vec<Vec<u8>> = Vec::new();
    let mut open_count = 0;
    let mut echoed = Echoed { bytes: 0, turns: 0 };
    loop {
        ring.enter(Wait::Sleep)?;
        echoed.turns += 1;
        while let Some(completion) = ring.next_completion() {
            match completion {
                Completion::Accepted { line, .. } => {
                    open_count += 1;
                    ring.accept(0);
                    ring.receive(line);
                }
                Completion::Received { line, filled, is_armed } => {
                    let output = &mut outputs[line.index()];
                    if output.is_empty() {
                        dirty.push(line);
                    }
                    echoed.bytes += ring.bytes(&filled).len();
                    output.extend_from_slice(ring.bytes(&filled));
                    ring.recycle(filled);
                    if !is_armed {
                        ring.receive(line);
                    }
                }
                Completion::ReceiveEnded { line, end } => match end {
                    mvt_sys::uring::ReceiveEnd::Stopped => ring.receive(line),
                    _ => {
                        open_count -= 1;
                        if open_count == 0 {
                            return Ok(echoed);
                        }
                    }
                },
                Completion::Sent { buffer, .. } => spares.push(buffer),
                _ => {}
            }
        }
        dirty.retain(|line| {
            let is_busy = ring.is_sending(*line);
            if !is_busy {
                let spare = spares.pop().unwrap_or_default();
                ring.send(*line, std::mem::replace(&mut outputs[line.index()], spare));
            }
            is_busy
        });
    }
}

fn ask(address: SocketAddr, depth: usize, count: usize, time: Duration) -> std::io::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let mut bytes = vec![7; depth * MESSAGE_BYTES];
    let started = Instant::now();
    while started.elapsed() < time {
        for stream in &mut streams {
            stream.write_all(&bytes)?;
        }
        for stream in &mut streams {
            stream.read_exact(&mut bytes)?;
        }
    }
    Ok(())
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
