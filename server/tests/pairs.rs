//! Any two things that a peer can do one after the other, login and end included, take bounded steps and bytes (CASES F-11).

#[path = "support/rig.rs"]
mod rig;

use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    constants::{FIRST_USE_MS, TAG_BYTES},
    header::{Flags, key_id},
    login::Mac1,
};
use mvt_server::{
    limits::{LINGER_MS, STALL_MS},
    service::ServiceKind,
    shard::{ConnectionId, SweepHand},
};
use rig::{NODE_SLOT, ORIGIN_MS, Rig};

const NOW_MS: u64 = ORIGIN_MS + 5;
/// Turns that two events may take: one each, and one at the end of the connection.
const TURNS_MAX: u64 = 4;

/// What a peer does.
enum Event {
    Says(&'static str, Vec<u8>),
    Ends,
    IsGone,
    FallsSilent,
}

impl Event {
    const fn name(&self) -> &'static str {
        match self {
            Self::Says(name, _) => name,
            Self::Ends => "its end",
            Self::IsGone => "nobody",
            Self::FallsSilent => "silence",
        }
    }
}

fn frame(kind: Kind, key_id: u64, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        flags: Flags(if kind == Kind::Ctl { 1 } else { 0 }),
        key_id,
        generation: 0,
        op: 1,
        counter: 0,
        timestamp: NOW_MS,
        payload_bytes: payload.len(),
    };
    [&header.to_bytes()[..], payload, &[7; TAG_BYTES]].concat()
}

/// A login frame of any kind whose mac1 holds, whatever else is in it.
fn login(rig: &Rig, second: u8) -> Vec<u8> {
    let mut frame = rig.hello().to_vec();
    frame[2] = second;
    let (before, tag) = frame.split_at_mut(512 - TAG_BYTES);
    tag.copy_from_slice(&Mac1::new(rig.node.identity.public()).tag(before));
    frame
}

fn events(rig: &mut Rig) -> Vec<Event> {
    let mut session = rig.sessions(1, Suite::Hs256, Limits::DEFAULT).remove(0);
    let mut request = Vec::new();
    session.seal_request(1, b"honest", NOW_MS, &mut request).expect("sealable");
    let ours = session.key_id();
    let mut says = vec![
        ("an honest request", request.clone()),
        ("a forged request", frame(Kind::Req, ours, b"forged")),
        ("a request of a key nobody has", frame(Kind::Req, key_id(NODE_SLOT, 0, 99), b"")),
        ("a request of another shard's key", frame(Kind::Req, key_id(NODE_SLOT, 1, 99), b"")),
        ("a request of another node's key", frame(Kind::Req, key_id(NODE_SLOT + 1, 0, 99), b"")),
        ("a forged CTL", frame(Kind::Ctl, ours, &[0; 32])),
        ("a HELLO", rig.hello().to_vec()),
        ("a HELLO without mac1", frame(Kind::Hello, 0, &[0; 468])),
        ("a RESUME", login(rig, 0x1b)),
        ("a RECOVER", login(rig, 0x1d)),
        ("half a request", request[..request.len() / 2].to_vec()),
        ("half a HELLO", rig.hello()[..300].to_vec()),
        ("a byte", vec![0]),
        ("nothing", vec![]),
        ("a length of nothing", vec![0, 0]),
    ];
    for kind in [Kind::Resp, Kind::Err, Kind::Lost, Kind::HelloR, Kind::Retry, Kind::ResumeR, Kind::RecoverR]
    {
        says.push(("what only a server says", frame(kind, ours, b"")));
    }
    let says = says.into_iter().map(|(name, bytes)| Event::Says(name, bytes));
    says.chain([Event::Ends, Event::IsGone, Event::FallsSilent]).collect()
}

/// Bytes that go back, and whether the connection was ended.
fn take(rig: &mut Rig, id: ConnectionId) -> (usize, bool) {
    let (output, is_last) = rig.output(id, NOW_MS);
    let count = output.len();
    rig.shard.sent(id, output);
    (count, is_last)
}

fn sweep(rig: &mut Rig, now_ms: u64) {
    let mut hand = SweepHand::default();
    let mut cut_off = Vec::new();
    for _ in 0..2 {
        rig.shard.sweep(&mut hand, now_ms, |id| cut_off.push(id));
    }
    cut_off.into_iter().for_each(|id| rig.shard.close(id));
}

fn act(rig: &mut Rig, id: ConnectionId, event: &Event) -> usize {
    match event {
        Event::Says(_, bytes) => {
            rig.shard.ingest(id, bytes, NOW_MS);
            rig.shard.turn(NOW_MS);
            return bytes.len();
        }
        Event::Ends => rig.shard.hang_up(id, NOW_MS),
        Event::IsGone => rig.shard.close(id),
        Event::FallsSilent => sweep(rig, NOW_MS + FIRST_USE_MS + 1),
    }
    0
}

/// Nobody answers for the other shard and for the login threads here: the deadlines end what is left.
fn drain(rig: &mut Rig, id: ConnectionId, what: &str) {
    let mut now_ms = NOW_MS;
    while rig.shard.connection_count() > 0 {
        let step_ms = rig.node.idle_ms + STALL_MS + LINGER_MS;
        now_ms += step_ms;
        assert!(now_ms <= NOW_MS + 4 * step_ms, "{what}: it is kept");
        take(rig, id);
        sweep(rig, now_ms);
    }
}

#[test]
fn any_two_events_take_bounded_steps_and_leave_nothing() {
    let mut rig = Rig::new(ServiceKind::Echo, Limits::DEFAULT, 64, 2);
    let events = events(&mut rig);
    // The rig has one of its own.
    drain(&mut rig, ConnectionId::default(), "at first");
    for first in &events {
        for second in &events {
            let what = format!("{}, then {}", first.name(), second.name());
            let turns = rig.counters.turns.get();
            let id = rig.connect(1, NOW_MS);
            let (mut came, mut went, mut is_over) = (0, 0, false);
            for event in [first, second] {
                came += act(&mut rig, id, event);
                rig.shard.read_mail(NOW_MS);
                let (bytes, is_last) = take(&mut rig, id);
                assert!(!is_over || bytes == 0, "{what}: something came after the last word");
                went += bytes;
                is_over |= is_last;
            }
            assert!(went <= came, "{what}: {went} bytes for {came} (SPEC §14.1)");
            assert!(rig.counters.turns.get() - turns <= TURNS_MAX, "{what}");
            drain(&mut rig, id, &what);
        }
    }
    assert_eq!(
        rig.counters.events().find(|(name, _)| *name == "verified").map(|(_, count)| count > 0),
        Some(true)
    );
    assert!(Header::parse(&frame(Kind::Resp, 5, b""), Role::Client).is_ok(), "well formed, but for whom");
}
