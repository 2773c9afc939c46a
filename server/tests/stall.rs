//! A shard that stands still: the others serve, what is meant for it is bounded, and it goes on where it was.

#[path = "support/house.rs"]
mod house;
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use house::House;
use mvt_proto::session::{ClientSession, Pending};
use mvt_server::{driver::Mechanism, limits::MAILBOX_COUNT_MAX, service::Service};
use support::{PATIENCE, Wire, seal};

/// The payload that makes a service stand still.
const STALL: &[u8] = b"stand still";

/// Stands still, with its whole shard, from the request that asks for it until it is let go.
struct Staller {
    is_stalled: Arc<AtomicBool>,
    is_let_go: Arc<AtomicBool>,
}

impl Service for Staller {
    fn execute(&mut self, op: u16, payload: &[u8], _answer: &mut Vec<u8>) -> u16 {
        if payload == STALL {
            self.is_stalled.store(true, SeqCst);
            while !self.is_let_go.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            self.is_stalled.store(false, SeqCst);
        }
        op
    }
}

/// Lets a staller go, also where a test fails: a shard that stands still could not be joined.
struct LetGo(Arc<AtomicBool>);

impl Drop for LetGo {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..PATIENCE.as_millis() {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("not {what}");
}

fn serves(wire: &mut Wire, session: &mut ClientSession, count: usize) {
    for _ in 0..count {
        let (pending, _) = wire.request(session, b"as ever");
        assert_eq!(wire.answer(session, &pending), Ok(5));
    }
}

fn stall_one_of_two(mechanism: Mechanism) {
    let (is_stalled, is_let_go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let house = House::start(mechanism, 2, |_| {
        Box::new(Staller { is_stalled: is_stalled.clone(), is_let_go: is_let_go.clone() })
    });
    let let_go = LetGo(is_let_go.clone());
    let (mut still_wire, mut still) = house.login_at(0);
    serves(&mut still_wire, &mut still, 1);
    let (mut lively_wire, mut lively) = house.login_at(1);

    let (stalled, frame) = seal(&mut still, STALL);
    still_wire.send(&frame);
    wait_for("standing still", || is_stalled.load(SeqCst));
    serves(&mut lively_wire, &mut lively, 500);

    // A connection of the lively shard with a session of the other: more frames for it than its mailbox holds.
    let (mut crossing_wire, mut own) = house.login_at(1);
    serves(&mut crossing_wire, &mut own, 1);
    let crossing: Vec<(Pending, Vec<u8>)> =
        (0..MAILBOX_COUNT_MAX + 2000).map(|_| seal(&mut still, b"")).collect();
    for frames in crossing.chunks(64) {
        let bytes: Vec<u8> = frames.iter().flat_map(|(_, frame)| frame.iter().copied()).collect();
        crossing_wire.send(&bytes);
    }
    wait_for("all handed over or dropped", || {
        house.counted("forwarded") + house.counted("forward_dropped") == crossing.len() as u64
    });
    assert_eq!(house.counted("forwarded"), MAILBOX_COUNT_MAX as u64, "bounded by the mailbox");

    // With a full mailbox beside them the others serve, and let new clients in.
    serves(&mut lively_wire, &mut lively, 500);
    let (mut new_wire, mut new) = house.login_at(1);
    serves(&mut new_wire, &mut new, 100);
    assert!(is_stalled.load(SeqCst), "all of that while it stood still");

    drop(let_go);
    assert_eq!(still_wire.answer(&mut still, &stalled), Ok(5), "it goes on where it was");
    for (pending, _) in &crossing[..MAILBOX_COUNT_MAX] {
        assert_eq!(crossing_wire.answer(&mut still, pending), Ok(5), "what was in the mailbox is answered");
    }
    serves(&mut still_wire, &mut still, 10);
}

#[test]
fn a_shard_that_stands_still_stops_no_other_on_uring() {
    stall_one_of_two(Mechanism::Uring);
}

#[test]
fn a_shard_that_stands_still_stops_no_other_on_epoll() {
    stall_one_of_two(Mechanism::Epoll);
}
