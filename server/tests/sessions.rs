//! The table of sessions against a naive model: what is due is erased, whatever the clock does, and nothing else.

use std::collections::BTreeMap;

use mvt_proto::{
    Header, Limits, Suite,
    constants::{FIRST_USE_MS, SLOT_BITS},
    header::key_id,
    schedule::GenerationKeys,
    secret::Secret,
    session::{ClientSession, Granted, ServerSession},
};
use mvt_server::{owner::Owner, shard::sessions::Sessions};
use proptest::prelude::*;

const SLOT_MS: u64 = 1 << SLOT_BITS;
const START_MS: u64 = 1_800_000_000_000;
/// How much later than due a session may be looked at by a sweep that is done: the ticks of the wheel.
const LATE_MS: u64 = 128;

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u32),
    Use(u64),
    Sweep { pause_ms: u64, most: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![3 => 0..500u64, 3 => 0..20_000u64, 2 => 0..3 * SLOT_MS, 1 => 0..30 * SLOT_MS];
    let life = prop_oneof![1..FIRST_USE_MS as u32, 1..900_000u32];
    prop_oneof![
        3 => (0..20u64, life).prop_map(|(number, life)| Step::Insert(number, life)),
        3 => (0..20u64).prop_map(Step::Use),
        4 => (pause, prop_oneof![1 => 0..10usize, 3 => Just(1000)])
            .prop_map(|(pause_ms, most)| Step::Sweep { pause_ms, most }),
    ]
}

/// What the model keeps of a session.
struct Life {
    client: ClientSession,
    origin_ms: u64,
    life_ms: u64,
    is_used: bool,
}

impl Life {
    fn deadline_ms(&self) -> u64 {
        self.origin_ms + if self.is_used { self.life_ms } else { self.life_ms.min(FIRST_USE_MS) }
    }
}

fn halves(id: u64, life_ms: u32, now_ms: u64) -> (ClientSession, ServerSession) {
    let limits = Limits {
        reject_after_ms: life_ms,
        renew_after_ms: life_ms,
        replay_window_bits: 64,
        ..Limits::DEFAULT
    };
    let keys = || GenerationKeys::derive(Secret::new([id as u8; 32]), id, 0);
    let granted = Granted {
        key_id: id,
        suite: Suite::Hs256,
        limits,
        server_time_ms: now_ms,
        keys: keys(),
        lost_key: mvt_proto::lost::LostKey::new([1; 16]),
    };
    (ClientSession::new(granted, now_ms), ServerSession::new(id, Suite::Hs256, limits, keys(), now_ms))
}

/// One request by the rules of a turn; whether it was accepted.
fn request(sessions: &mut Sessions, id: u64, client: &mut ClientSession, now_ms: u64) -> bool {
    let mut frame = Vec::new();
    let Ok(_) = client.seal_request(1, b"", now_ms, &mut frame) else { return false };
    let header = Header::parse(&frame, mvt_proto::Role::Server).expect("well formed");
    let Some(place) = sessions.find(id) else { return false };
    let (state, window) = sessions.parts_mut(place);
    let fresh = state.check(&header, now_ms);
    match state.open(fresh, &mut frame) {
        Ok(authentic) => state.commit(window, authentic).is_ok(),
        Err(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// §5.2.2, §7.2.3, §10.3.2.
    #[test]
    fn equals_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let mut sessions = Sessions::new(20, 64).expect("mapped");
        let mut model: BTreeMap<u64, Life> = BTreeMap::new();
        let mut now_ms = START_MS;
        for step in steps {
            match step {
                Step::Insert(number, life_ms) => {
                    let id = key_id(1, 0, number);
                    let (client, server) = halves(id, life_ms, now_ms);
                    let is_new = !model.contains_key(&id);
                    prop_assert_eq!(sessions.insert(server, Owner::NOBODY, now_ms), is_new);
                    if is_new {
                        let life_ms = u64::from(life_ms);
                        model.insert(id, Life { client, origin_ms: now_ms, life_ms, is_used: false });
                    }
                }
                Step::Use(number) => {
                    let id = key_id(1, 0, number);
                    let Some(life) = model.get_mut(&id) else { continue };
                    let is_alive = now_ms < life.deadline_ms();
                    let is_accepted = request(&mut sessions, id, &mut life.client, now_ms);
                    prop_assert!(is_alive || !is_accepted, "nothing is accepted past the deadline");
                    life.is_used |= is_accepted;
                }
                Step::Sweep { pause_ms, most } => {
                    now_ms += pause_ms;
                    let swept = sessions.sweep(most, now_ms);
                    let before = model.len();
                    // Whatever is gone had to go.
                    for (id, life) in &model {
                        prop_assert!(sessions.find(*id).is_some() || life.deadline_ms() <= now_ms);
                    }
                    model.retain(|id, _| sessions.find(*id).is_some());
                    prop_assert_eq!((before - model.len()) as u64, swept.erased_count);
                    if swept.is_done {
                        // Whatever had to go is gone: sessions, and keys of slots.
                        for (id, life) in &model {
                            prop_assert!(now_ms < life.deadline_ms() + LATE_MS);
                            let place = sessions.find(*id).expect("held");
                            prop_assert!(now_ms < sessions.state(place).next_slot_ms() + LATE_MS);
                        }
                    }
                }
            }
            prop_assert_eq!(sessions.len(), model.len());
        }
    }
}

#[test]
fn a_stop_of_minutes_is_made_good_in_pieces() {
    const COUNT: u64 = 5_000;
    const PIECE: usize = 64;
    let mut sessions = Sessions::new(COUNT as usize, 64).expect("mapped");
    for number in 0..COUNT {
        // Half of them live on, half end while the process is stopped; logged in over a minute.
        let life_ms = if number % 2 == 0 { 200_000 } else { 900_000 };
        let at_ms = START_MS + number * 12;
        let (mut client, server) = halves(key_id(1, 0, number), life_ms, at_ms);
        assert!(sessions.insert(server, Owner::NOBODY, at_ms));
        assert!(request(&mut sessions, key_id(1, 0, number), &mut client, at_ms + 1));
        sessions.sweep(PIECE, at_ms);
    }
    let now_ms = START_MS + 60_000 + 5 * 60_000;
    let (mut pieces, mut erased_count) = (0, 0);
    loop {
        let swept = sessions.sweep(PIECE, now_ms);
        assert!(swept.erased_count <= PIECE as u64);
        (pieces, erased_count) = (pieces + 1, erased_count + swept.erased_count);
        if swept.is_done {
            break;
        }
    }
    assert_eq!(erased_count, COUNT / 2);
    // Each session is looked at once; the ends of lists cost a few looks more.
    assert!(pieces <= 2 * COUNT as usize / PIECE, "{pieces} pieces");
    for number in (1..COUNT).step_by(2) {
        let place = sessions.find(key_id(1, 0, number)).expect("lives");
        assert!(sessions.state(place).next_slot_ms() > now_ms);
    }
}
