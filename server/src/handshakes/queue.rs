//! Login frames that wait to be worked on: bounded, each address in its turn.
//!
//! An address that sends more than others fills a part of the queue and waits behind itself. A shard that puts a frame in waits for
//! nobody: a thread that takes one may stand still at any instant, since it is nicer than shards are.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use crossbeam::queue::SegQueue;

use crate::{
    handshakes::{Job, Load},
    limits::LOGIN_PRESSURE_MS,
};

/// Lines in which they wait, by prefix and by address. Addresses that share one share its turns; nobody can choose with whom (the hash is
/// keyed), and all of a prefix have no more than some of them.
const LINE_COUNT: usize = PREFIX_COUNT * ADDRESS_COUNT;
const PREFIX_COUNT: usize = 8;
const ADDRESS_COUNT: usize = 4;
/// A line may hold as many times what is still free: alone it gets four fifths of the queue, and there is always room for others.
const SHARE: usize = 4;

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    lines: [SegQueue<Job>; LINE_COUNT],
    hash: RandomState,
    most: usize,
    waiting: AtomicUsize,
    turn: AtomicUsize,
    /// It was more than half full, or too many cookies were asked for since, less than [`LOGIN_PRESSURE_MS`] ago.
    is_pressed: AtomicBool,
    pressed_ms: AtomicU64,
    asked: AtomicU32,
}

impl Queue {
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: std::array::from_fn(|_| SegQueue::new()),
            hash: RandomState::new(),
            most,
            waiting: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
            is_pressed: AtomicBool::new(false),
            pressed_ms: AtomicU64::new(0),
            asked: AtomicU32::new(0),
        }
    }

    fn line_of(&self, peer: SocketAddr) -> &SegQueue<Job> {
        let of = |number: u64, count: usize| self.hash.hash_one(number) as usize % count;
        &self.lines[of(prefix_of(peer), PREFIX_COUNT) * ADDRESS_COUNT + of(host_of(peer), ADDRESS_COUNT)]
    }

    /// Puts `job` behind those of its line.
    pub(super) fn put(&self, job: Job, now_ms: u64) -> Result<(), Job> {
        let line = self.line_of(job.peer);
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        if line.len() >= SHARE * self.most.saturating_sub(waiting) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(job);
        }
        line.push(job);
        if self.is_filling(waiting + 1) {
            self.press(now_ms);
        }
        Ok(())
    }

    /// The oldest of the line whose turn it is.
    pub(super) fn take(&self) -> Option<Job> {
        if self.is_empty() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (first, second) = self.lines.split_at(turn % LINE_COUNT);
        // Who was passed over because his line was empty has lost nothing.
        let (passed, job) =
            second.iter().chain(first).enumerate().find_map(|(at, line)| Some((at, line.pop()?)))?;
        self.turn.fetch_add(passed, Ordering::Relaxed);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(job)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    const fn is_filling(&self, waiting: usize) -> bool {
        waiting * 2 > self.most
    }

    fn press(&self, now_ms: u64) {
        self.asked.store(0, Ordering::Relaxed);
        self.pressed_ms.store(now_ms, Ordering::Relaxed);
        self.is_pressed.store(true, Ordering::Relaxed);
    }

    /// A cookie was asked for. As many of them as make the queue half full are a reason to go on asking: otherwise a flood
    /// without cookies would fill it again each time it is forgotten.
    pub(super) fn note_asked(&self, now_ms: u64) {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) as usize + 1;
        if self.is_filling(asked) {
            self.press(now_ms);
        }
    }

    /// Forgets a pressure that is over; to be called now and then.
    pub(super) fn relax(&self, now_ms: u64) {
        if self.is_pressed.load(Ordering::Relaxed)
            && now_ms.saturating_sub(self.pressed_ms.load(Ordering::Relaxed)) > LOGIN_PRESSURE_MS
        {
            self.is_pressed.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn load(&self) -> Load {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting >= self.most {
            Load::Full
        } else if self.is_pressed.load(Ordering::Relaxed) {
            Load::High
        } else {
            Load::Low
        }
    }
}

/// Whose address it is: of IPv6, what one host has, 64 bits.
pub(super) fn host_of(peer: SocketAddr) -> u64 {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

/// Whose neighbourhood it is: 24 bits of IPv4, 48 of IPv6.
pub(super) fn prefix_of(peer: SocketAddr) -> u64 {
    host_of(peer) >> if peer.ip().to_canonical().is_ipv4() { 8 } else { 16 }
}

#[cfg(test)]
mod tests {
    use mvt_proto::Kind;

    use super::*;
    use crate::shard::ConnectionId;

    fn job(peer: SocketAddr) -> Job {
        let connection = ConnectionId::default();
        Job { shard: 0, connection, peer, channel_binding: None, kind: Kind::Hello, frame: Box::default() }
    }

    fn address(number: u32) -> SocketAddr {
        (number.to_be_bytes(), 1).into()
    }

    /// Puts in what the queue takes; how many.
    fn fill(queue: &Queue, peer: impl Fn(u32) -> SocketAddr) -> u32 {
        (0..).take_while(|number| queue.put(job(peer(*number)), 0).is_ok()).count() as u32
    }

    #[test]
    fn however_many_send_no_more_wait_than_may() {
        for most in [1, 7, 256] {
            let queue = Queue::new(most);
            for number in 0..10_000 {
                let _ = queue.put(job(address(number)), 0);
            }
            let waiting = queue.waiting.load(Ordering::Relaxed);
            assert!((most - most / 32..=most).contains(&waiting), "{waiting} of {most}");
            assert_eq!(std::iter::from_fn(|| queue.take()).count(), waiting);
            assert!(queue.is_empty() && queue.take().is_none());
        }
    }

    #[test]
    fn one_address_leaves_room_and_turns_for_others() {
        let queue = Queue::new(256);
        let greedy = fill(&queue, |port| SocketAddr::new([10, 0, 0, 1].into(), port as u16));
        assert!((192..=208).contains(&greedy), "{greedy}");
        let other = (2..)
            .map(address)
            .find(|it| !std::ptr::eq(queue.line_of(*it), queue.line_of(address(0x0a00_0001))));
        let mut honest = job(other.expect("another line"));
        honest.shard = 1;
        queue.put(honest, 0).expect("room");
        let served: Vec<usize> = (0..2).filter_map(|_| queue.take()).map(|job| job.shard).collect();
        assert!(served.contains(&1), "in its turn, not behind {greedy} others: {served:?}");
    }

    #[test]
    fn one_prefix_leaves_turns_for_others() {
        let queue = Queue::new(256);
        fill(&queue, |number| ([192, 0, 2, number as u8], 1).into());
        let ends = |last| queue.line_of(([192, 0, 2, last], 1).into());
        let is_free = |it: &SocketAddr| (0..=255).all(|last| !std::ptr::eq(queue.line_of(*it), ends(last)));
        let mut honest = job((1..).map(address).find(is_free).expect("another line"));
        honest.shard = 1;
        queue.put(honest, 0).expect("room");
        let served: Vec<usize> =
            (0..=ADDRESS_COUNT).filter_map(|_| queue.take()).map(|job| job.shard).collect();
        assert!(served.contains(&1), "in its turn, after one of each line of the prefix: {served:?}");
    }

    #[test]
    fn addresses_of_one_host_wait_in_one_line() {
        let queue = Queue::new(256);
        let line =
            |ip: &str| std::ptr::from_ref(queue.line_of(SocketAddr::new(ip.parse().expect("an address"), 1)));
        assert_eq!(line("2001:db8::1"), line("2001:db8::ffff:1"));
        assert_eq!(line("192.0.2.1"), line("::ffff:192.0.2.1"));
        assert!(
            (0..64u32).any(|number| line("192.0.2.1") != std::ptr::from_ref(queue.line_of(address(number))))
        );
    }

    #[test]
    fn cookies_are_asked_for_a_while_after_the_queue_was_half_full_and_as_long_as_many_must_be_asked() {
        let queue = Queue::new(8);
        for count in 1..=5 {
            queue.put(job(address(count)), 1_000).expect("room");
            assert_eq!(queue.load(), if count <= 4 { Load::Low } else { Load::High }, "{count}");
        }
        while queue.take().is_some() {}
        queue.relax(1_000 + LOGIN_PRESSURE_MS);
        assert_eq!(queue.load(), Load::High, "empty, and not forgotten");
        for _ in 0..5 {
            queue.note_asked(1_900);
        }
        queue.relax(1_001 + LOGIN_PRESSURE_MS);
        assert_eq!(queue.load(), Load::High, "more than half of it came without a cookie");
        for _ in 0..4 {
            queue.note_asked(2_800);
        }
        queue.relax(1_901 + LOGIN_PRESSURE_MS);
        assert_eq!(queue.load(), Load::Low, "a few are no reason");
    }
}
