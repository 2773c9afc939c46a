//! A shard that stands still: the others serve, what is meant for it is bounded, and it goes on where it was.

#[path = "support/house.rs"]
mod house;
mod support;

use std::{
    io::{ErrorKind, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use house::House;
use mvt_proto::{
    constants::PAYLOAD_BYTES_MAX,
    session::{ClientSession, Pending},
};
use mvt_server::{
    driver::Mechanism,
    limits::{HELD_BYTES_MAX, MAILBOX_COUNT_MAX},
    service::Service,
};
use support::{Wire, seal, wait_for};

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

/// Two shards of them, whether one stands still, and what lets it go; to be dropped before the house.
fn house_of_stallers(mechanism: Mechanism) -> (House, Arc<AtomicBool>, LetGo) {
    let (is_stalled, is_let_go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let house = House::start(mechanism, 2, |_| {
        Box::new(Staller { is_stalled: is_stalled.clone(), is_let_go: is_let_go.clone() })
    });
    (house, is_stalled, LetGo(is_let_go))
}

/// Many at a time: what waits for a shard that stands still has ten seconds, and round trips take their time on a busy machine.
fn serves(wire: &mut Wire, session: &mut ClientSession, count: usize) {
    for _ in 0..count.div_ceil(50) {
        let (pending, frames): (Vec<Pending>, Vec<Vec<u8>>) =
            (0..count.min(50)).map(|_| seal(session, b"as ever")).unzip();
        wire.send(&frames.concat());
        answers_all(wire, session, &pending);
    }
}

fn stall_one_of_two(mechanism: Mechanism) {
    let (house, is_stalled, let_go) = house_of_stallers(mechanism);
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
    let crossing = send_crossing(&mut crossing_wire, &mut still);
    wait_for("as many handed over as there is room for", || {
        house.counted("forwarded") == MAILBOX_COUNT_MAX as u64 && house.counted("forward_paused") == 1
    });

    // With a full mailbox beside them the others serve, and let new clients in.
    serves(&mut lively_wire, &mut lively, 500);
    let (mut new_wire, mut new) = house.login_at(1);
    serves(&mut new_wire, &mut new, 100);
    assert!(is_stalled.load(SeqCst), "all of that while it stood still");
    assert_eq!(house.counted("forwarded"), MAILBOX_COUNT_MAX as u64, "bounded by the mailbox");

    drop(let_go);
    assert_eq!(still_wire.answer(&mut still, &stalled), Ok(5), "it goes on where it was");
    answers_all(&mut crossing_wire, &mut still, &crossing);
    assert_eq!(house.counted("forward_dropped"), 0);
    serves(&mut still_wire, &mut still, 10);
    // It is read again.
    serves(&mut crossing_wire, &mut still, 10);
}

/// More frames than a mailbox holds, for a session of another shard than the connection's.
fn send_crossing(wire: &mut Wire, session: &mut ClientSession) -> Vec<Pending> {
    let (pending, frames): (Vec<Pending>, Vec<Vec<u8>>) =
        (0..MAILBOX_COUNT_MAX + 2000).map(|_| seal(session, b"")).unzip();
    for frames in frames.chunks(64) {
        wire.send(&frames.concat());
    }
    pending
}

fn answers_all(wire: &mut Wire, session: &mut ClientSession, crossing: &[Pending]) {
    for pending in crossing {
        assert_eq!(wire.answer(session, pending), Ok(5), "every one, in order");
    }
}

/// What is not read stays with its sender: a server that read on would have to close the connection in the end.
fn stop_reading(mechanism: Mechanism) {
    let (house, is_stalled, _let_go) = house_of_stallers(mechanism);
    let (mut still_wire, mut still) = house.login_at(0);
    let (mut crossing_wire, _) = house.login_at(1);
    let (_, frame) = seal(&mut still, STALL);
    still_wire.send(&frame);
    wait_for("standing still", || is_stalled.load(SeqCst));
    send_crossing(&mut crossing_wire, &mut still);
    wait_for("full", || house.counted("forward_paused") == 1);
    let (_, frame) = seal(&mut still, &[0; PAYLOAD_BYTES_MAX]);
    crossing_wire.stream.set_write_timeout(Some(Duration::from_millis(300))).expect("set");
    let mut written = 0;
    let error = loop {
        match crossing_wire.stream.write(&frame) {
            Ok(bytes) => written += bytes,
            Err(error) => break error,
        }
        assert!(written < HELD_BYTES_MAX, "it is read on and on");
        // Not so fast that a reader would stop for want of buffers.
        thread::sleep(Duration::from_micros(200));
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "after {written} bytes");
    assert_eq!(house.counted("forward_dropped"), 0);
}

#[test]
fn a_connection_whose_frames_have_no_room_elsewhere_is_not_read_on_uring() {
    stop_reading(Mechanism::Uring);
}

#[test]
fn a_connection_whose_frames_have_no_room_elsewhere_is_not_read_on_epoll() {
    stop_reading(Mechanism::Epoll);
}

/// Each has more for the other than its mailbox holds, and then both stood still.
fn stall_both(mechanism: Mechanism) {
    let flags: [[Arc<AtomicBool>; 2]; 2] = Default::default();
    let house = House::start(mechanism, 2, |index| {
        let [is_stalled, is_let_go] = flags[index].clone();
        Box::new(Staller { is_stalled, is_let_go })
    });
    let let_go = [0, 1].map(|index: usize| Some(LetGo(flags[index][1].clone())));
    let [(mut wire_0, mut session_0), (mut wire_1, mut session_1)] =
        [0, 1].map(|index| house.login_at(index));
    let [(mut crossing_0, _), (mut crossing_1, _)] = [0, 1].map(|index| house.login_at(index));

    let (stalled_0, frame) = seal(&mut session_0, STALL);
    wire_0.send(&frame);
    wait_for("standing still", || flags[0][0].load(SeqCst));
    let for_0 = send_crossing(&mut crossing_1, &mut session_0);
    wait_for("full", || house.counted("forward_paused") == 1);
    let (stalled_1, frame) = seal(&mut session_1, STALL);
    wire_1.send(&frame);
    wait_for("both standing still", || flags[1][0].load(SeqCst));
    let for_1 = send_crossing(&mut crossing_0, &mut session_1);
    let [go_0, go_1] = let_go;
    drop(go_0);
    wait_for("full of each other", || house.counted("forward_paused") == 2);
    assert_eq!(wire_0.answer(&mut session_0, &stalled_0), Ok(5));
    let (mut new_wire, mut new) = house.login_at(0);
    serves(&mut new_wire, &mut new, 100);
    assert!(flags[1][0].load(SeqCst), "all of that while the other stood still");
    drop(go_1);
    assert_eq!(wire_1.answer(&mut session_1, &stalled_1), Ok(5));
    answers_all(&mut crossing_1, &mut session_0, &for_0);
    answers_all(&mut crossing_0, &mut session_1, &for_1);
    assert_eq!(house.counted("forward_dropped") + house.counted("forward_unanswered"), 0);
}

#[test]
fn two_shards_full_of_each_other_go_on_on_uring() {
    stall_both(Mechanism::Uring);
}

#[test]
fn two_shards_full_of_each_other_go_on_on_epoll() {
    stall_both(Mechanism::Epoll);
}

#[test]
fn a_shard_that_stands_still_stops_no_other_on_uring() {
    stall_one_of_two(Mechanism::Uring);
}

#[test]
fn a_shard_that_stands_still_stops_no_other_on_epoll() {
    stall_one_of_two(Mechanism::Epoll);
}

/// SPEC §17.1.4: the client ends its direction behind its last request, whose owner takes its time.
fn answer_after_the_end(mechanism: Mechanism) {
    let (house, is_stalled, let_go) = house_of_stallers(mechanism);
    let (mut still_wire, mut still) = house.login_at(0);
    serves(&mut still_wire, &mut still, 1);
    let mut crossing: Vec<Wire> = (0..3).map(|_| house.login_at(1).0).collect();
    let (_, frame) = seal(&mut still, STALL);
    still_wire.send(&frame);
    wait_for("standing still", || is_stalled.load(SeqCst));
    let pending: Vec<Pending> = crossing
        .iter_mut()
        .map(|wire| {
            let (pending, frame) = seal(&mut still, b"the last one");
            wire.send(&frame);
            wire.stream.shutdown(std::net::Shutdown::Write).expect("half closed");
            pending
        })
        .collect();
    wait_for("handed over", || house.counted("forwarded") == 3);
    // Long enough for a connection that has nothing to wait for to be closed.
    thread::sleep(Duration::from_millis(1500));
    drop(let_go);
    for (wire, pending) in crossing.iter_mut().zip(&pending) {
        assert_eq!(wire.answer(&mut still, pending), Ok(5));
        wire.expect_close();
    }
    wait_for("closed", || house.counted("connections_opened") == house.counted("connections_closed") + 1);
}

#[test]
fn what_another_shard_judges_is_answered_after_the_clients_end_on_uring() {
    answer_after_the_end(Mechanism::Uring);
}

#[test]
fn what_another_shard_judges_is_answered_after_the_clients_end_on_epoll() {
    answer_after_the_end(Mechanism::Epoll);
}
