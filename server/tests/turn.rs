//! A turn over many connections equals the frames judged one by one in the order received (SPEC §7.2.7, §9).

#[path = "support/rig.rs"]
mod rig;

use std::collections::BTreeMap;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Limits, Reject, Role, Suite,
    constants::UNVERIFIED_PER_CONNECTION_MAX,
    header::node_slot_of,
    session::{ClientSession, ServerSession},
    suite::payload_of,
};
use mvt_server::{
    limits::{LINGER_MS, OUTPUT_BYTES_HIGH, SEND_MS_MAX},
    mailbox::{Answered, Forwarded},
    service::ServiceKind,
};
use proptest::prelude::*;
use rig::{NODE_SLOT, ORIGIN_MS, Rig, halves};

const LIMITS: Limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };
const SESSIONS: u64 = 6;
const CONNECTIONS: usize = 5;

fn suite_of(number: u64) -> Suite {
    if number.is_multiple_of(2) { Suite::Hs256 } else { Suite::Gcm256 }
}

/// The rules of §7.2 and §9 without batches: sessions and connections in maps, one frame at a time.
struct Reference {
    sessions: BTreeMap<u64, ServerSession>,
    unverified: [u32; CONNECTIONS],
    closed: [bool; CONNECTIONS],
    output: [Vec<u8>; CONNECTIONS],
}

impl Reference {
    fn receive(&mut self, rig: &Rig, connection: usize, frame: &[u8], now_ms: u64) {
        if self.closed[connection] {
            return;
        }
        let Ok(header) = Header::parse(frame, Role::Server) else {
            self.closed[connection] = true;
            return;
        };
        let mut frame = frame.to_vec();
        if let Err(reject) = self.answer(&header, &mut frame, connection, now_ms) {
            let genuine = node_slot_of(header.key_id) == NODE_SLOT && reject != Reject::BadTag;
            self.output[connection].extend_from_slice(&rig.node.lost_keys.answer(&frame, genuine));
            self.unverified[connection] += 1;
            self.closed[connection] = self.unverified[connection] >= UNVERIFIED_PER_CONNECTION_MAX;
        }
    }

    fn answer(
        &mut self,
        header: &Header,
        frame: &mut [u8],
        connection: usize,
        now_ms: u64,
    ) -> Result<(), Reject> {
        let session = self.sessions.get_mut(&header.key_id).ok_or(Reject::UnknownKey)?;
        let fresh = session.check(header, now_ms);
        let authentic = session.open(fresh, frame)?;
        let output = &mut self.output[connection];
        match session.commit(authentic, now_ms) {
            Ok(exchange) => exchange.respond(header.op, payload_of(frame), now_ms, output),
            Err(refused) => {
                let reason = refused.reason();
                refused.exchange.refuse(reason, now_ms, output);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Twist {
    Honest,
    Again(usize),
    BitFlipped(usize),
    UnknownKey,
    OtherNode,
    NeverARequest,
}

#[derive(Debug, Clone)]
struct Plan {
    session: u64,
    connection: usize,
    twist: Twist,
    payload_bytes: usize,
    off_ms: i64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let twist = prop_oneof![
        12 => Just(Twist::Honest),
        3 => (1usize..20).prop_map(Twist::Again),
        2 => any::<usize>().prop_map(Twist::BitFlipped),
        1 => Just(Twist::UnknownKey),
        1 => Just(Twist::OtherNode),
        1 => Just(Twist::NeverARequest),
    ];
    let payload_bytes = prop_oneof![20 => 0usize..300, 8 => Just(20usize), 1 => Just(16_384usize)];
    let off_ms = prop_oneof![6 => Just(0i64), 1 => -31_000i64..6_000];
    (0..SESSIONS, 0..CONNECTIONS, twist, payload_bytes, off_ms).prop_map(
        |(session, connection, twist, payload_bytes, off_ms)| Plan {
            session,
            connection,
            twist,
            payload_bytes,
            off_ms,
        },
    )
}

fn frame(plan: &Plan, clients: &mut [ClientSession], now_ms: u64, before: &[(usize, Vec<u8>)]) -> Vec<u8> {
    if let Twist::Again(back) = plan.twist
        && let Some(index) = before.len().checked_sub(back)
    {
        return before[index].1.clone();
    }
    let mut frame = Vec::new();
    let payload = vec![plan.session as u8; plan.payload_bytes];
    let at = now_ms.saturating_add_signed(plan.off_ms).max(ORIGIN_MS);
    let client = &mut clients[plan.session as usize];
    client.seal_request(9, &payload, at, &mut frame).map(drop).expect("sealable");
    match plan.twist {
        Twist::BitFlipped(bit) => {
            let bit = 32 + bit % ((frame.len() - 4) * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        Twist::UnknownKey => frame[11] ^= 0x55,
        Twist::OtherNode => frame[4] ^= 0x55,
        // A key id of 0: whole and well cut, refused by its header (§3.2.7).
        Twist::NeverARequest => frame[4..12].fill(0),
        Twist::Honest | Twist::Again(_) => {}
    }
    frame
}

fn engines() -> impl Iterator<Item = Engine> {
    Path::ALL.into_iter().filter_map(Engine::forced)
}

fn rig_and_reference(engine: Engine, shards: usize) -> (Rig, Reference, Vec<ClientSession>) {
    let mut rig = Rig::with_engine(engine, ServiceKind::Echo, LIMITS, 64, shards);
    let mut clients = Vec::new();
    let mut sessions = BTreeMap::new();
    for number in 0..SESSIONS {
        let (client, server) = halves(0, number, suite_of(number), LIMITS);
        clients.push(client);
        rig.admit(server);
        let (_, server) = halves(0, number, suite_of(number), LIMITS);
        sessions.insert(server.key_id(), server);
    }
    let reference = Reference {
        sessions,
        unverified: [0; CONNECTIONS],
        closed: [false; CONNECTIONS],
        output: Default::default(),
    };
    (rig, reference, clients)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_turn_equals_its_frames_one_by_one(
        turns in prop::collection::vec((0u64..70_000, prop::collection::vec(plan(), 0..200)), 1..4),
    ) {
        for engine in engines() {
            let (mut rig, mut reference, mut clients) = rig_and_reference(engine, 1);
            let mut now_ms = ORIGIN_MS + 1;
            let ids: Vec<_> = (0..CONNECTIONS).map(|port| rig.connect(port as u16, now_ms)).collect();
            let mut sent = Vec::new();
            for (number, (pause_ms, plans)) in turns.iter().enumerate() {
                now_ms += if number == 0 { pause_ms / 8 } else { *pause_ms };
                for plan in plans {
                    let next = frame(plan, &mut clients, now_ms, &sent);
                    rig.shard.ingest(ids[plan.connection], &next, now_ms);
                    reference.receive(&rig, plan.connection, &next, now_ms);
                    sent.push((plan.connection, next));
                }
                rig.shard.turn(now_ms);
                for (connection, id) in ids.iter().enumerate() {
                    let (output, is_last) = rig.output(*id, now_ms);
                    prop_assert_eq!(&output, &reference.output[connection], "{}", engine.path());
                    prop_assert_eq!(is_last, reference.closed[connection]);
                    reference.output[connection].clear();
                }
            }
        }
    }

    #[test]
    fn forwarded_frames_are_answered_to_their_shard_in_order(plans in prop::collection::vec(plan(), 1..100)) {
        for engine in engines() {
            let (mut rig, mut reference, mut clients) = rig_and_reference(engine, 2);
            let now_ms = ORIGIN_MS + 50;
            let connection = rig.connect(1, now_ms);
            let mut sent = Vec::new();
            for plan in plans.iter().filter(|plan| !matches!(plan.twist, Twist::NeverARequest)) {
                let frame = frame(plan, &mut clients, now_ms, &sent);
                let letter = Forwarded { connection, frame: frame.clone().into() };
                prop_assert!(rig.mailboxes[0].forward(1, letter).is_ok());
                sent.push((0, frame));
            }
            rig.shard.read_mail(now_ms);
            for (_, frame) in &sent {
                let unverified = reference.unverified[0];
                reference.receive(&rig, 0, frame, now_ms);
                // Connections are counted where they are.
                reference.closed[0] = false;
                let Some(Answered { connection: to, frames, is_verified, .. }) = rig.mailboxes[1].take_answered(0) else {
                    return Err(TestCaseError::fail("one answer for each frame"));
                };
                prop_assert_eq!(&frames[..], &reference.output[0][..]);
                prop_assert_eq!((to, is_verified), (connection, reference.unverified[0] == unverified));
                reference.output[0].clear();
            }
            prop_assert!(rig.mailboxes[1].take_answered(0).is_none());
        }
    }
}

#[test]
fn after_eight_unverified_frames_the_rest_of_the_batch_has_no_effect() {
    for engine in engines() {
        let (mut rig, _, mut clients) = rig_and_reference(engine, 1);
        let now_ms = ORIGIN_MS + 5;
        let [bad, good] = [1, 2].map(|port| rig.connect(port, now_ms));
        let plan = |twist| Plan { session: 0, connection: 0, twist, payload_bytes: 5, off_ms: 0 };
        let honest = frame(&plan(Twist::Honest), &mut clients, now_ms, &[]);
        for _ in 0..8 {
            let forged = frame(&plan(Twist::UnknownKey), &mut clients, now_ms, &[]);
            rig.shard.ingest(bad, &forged, now_ms);
        }
        rig.shard.ingest(bad, &honest, now_ms);
        rig.shard.ingest(good, &honest, now_ms);
        rig.shard.turn(now_ms);
        let (output, is_last) = rig.output(bad, now_ms);
        assert_eq!((output.len(), is_last), (8 * 44, true));
        // On the other connection it is no replay: the one after the eighth was not judged.
        let (output, is_last) = rig.output(good, now_ms);
        assert_eq!((output.len(), is_last), (28 + 5 + 16, false));
        assert_eq!(Header::parse(&output, Role::Client).map(|header| header.kind), Ok(mvt_proto::Kind::Resp));
        assert_eq!(rig.counters.unverified_closed.get(), 1);
        assert_eq!(rig.counters.verified.get(), 1);
    }
}

/// SPEC §3.2.5: a stream is not taken up again behind what was refused, wherever a read happened to end.
#[test]
fn what_follows_a_malformed_frame_in_the_next_read_of_the_turn_has_no_effect() {
    let (mut rig, _, mut clients) = rig_and_reference(Engine::detect(), 1);
    let now_ms = ORIGIN_MS + 5;
    let id = rig.connect(1, now_ms);
    let plan = Plan { session: 0, connection: 0, twist: Twist::Honest, payload_bytes: 5, off_ms: 0 };
    for is_malformed in [false, true] {
        let honest = frame(&plan, &mut clients, now_ms, &[]);
        if is_malformed {
            rig.shard.ingest(id, &[0, 41], now_ms);
        }
        rig.shard.ingest(id, &honest, now_ms);
    }
    rig.shard.turn(now_ms);
    let (output, is_last) = rig.output(id, now_ms);
    assert_eq!((output.len(), is_last), (28 + 5 + 16, true));
    assert_eq!(rig.counters.verified.get(), 1);
}

/// CASES F-13: while a send is under way the driver takes nothing, and must hear of each turn's output to see the watermark, which counts
/// what is under way.
#[test]
fn output_that_waits_for_a_send_is_named_in_every_turn_until_it_stops_the_reading() {
    let (mut rig, _, mut clients) = rig_and_reference(Engine::detect(), 1);
    let now_ms = ORIGIN_MS + 5;
    let id = rig.connect(1, now_ms);
    let plan = Plan { session: 0, connection: 0, twist: Twist::Honest, payload_bytes: 16_384, off_ms: 0 };
    let mut turn = |rig: &mut Rig| {
        let honest = frame(&plan, &mut clients, now_ms, &[]);
        rig.shard.ingest(id, &honest, now_ms);
        rig.shard.turn(now_ms);
        assert_eq!(rig.shard.next_dirty(), Some(id));
        assert_eq!(rig.shard.next_dirty(), None, "once a turn");
    };
    turn(&mut rig);
    let (under_way, _) = rig.output(id, now_ms);
    let under_way_bytes = under_way.len();
    let mut waiting_bytes = 0;
    while rig.shard.wants_read(id) {
        turn(&mut rig);
        waiting_bytes += under_way_bytes;
        assert!(waiting_bytes < 2 * OUTPUT_BYTES_HIGH, "reading goes on");
    }
    let unsent_bytes = under_way_bytes + waiting_bytes;
    assert!(
        (OUTPUT_BYTES_HIGH..OUTPUT_BYTES_HIGH + under_way_bytes).contains(&unsent_bytes),
        "{unsent_bytes}"
    );
    rig.shard.sent(id, under_way);
    assert_eq!(rig.shard.wants_read(id), waiting_bytes < OUTPUT_BYTES_HIGH, "that was sent");
    let (under_way, _) = rig.output(id, now_ms);
    assert_eq!(under_way.len(), waiting_bytes);
    assert_eq!(rig.shard.wants_read(id), waiting_bytes < OUTPUT_BYTES_HIGH, "taken is not sent");
    rig.shard.sent(id, under_way);
    assert!(rig.shard.wants_read(id));
}

/// CASES D-05: a peer that reads nothing of what it was sent, and sends nothing more either.
#[test]
fn output_that_is_never_taken_ends_the_connection() {
    for is_sent in [true, false] {
        let (mut rig, _, mut clients) = rig_and_reference(Engine::detect(), 1);
        let now_ms = ORIGIN_MS + 5;
        let id = rig.connect(1, now_ms);
        let plan = Plan { session: 0, connection: 0, twist: Twist::Honest, payload_bytes: 5, off_ms: 0 };
        let honest = frame(&plan, &mut clients, now_ms, &[]);
        rig.shard.ingest(id, &honest, now_ms);
        rig.shard.turn(now_ms);
        let (output, _) = rig.output(id, now_ms);
        assert!(!output.is_empty());
        if is_sent {
            rig.shard.sent(id, output);
        }
        let mut hand = mvt_server::shard::SweepHand::default();
        rig.shard.sweep(&mut hand, now_ms + SEND_MS_MAX, |_| panic!("nobody is cut off yet"));
        assert!(rig.shard.is_open(id), "it has its time");
        rig.shard.sweep(&mut hand, now_ms + SEND_MS_MAX + 1, |_| panic!("first it is told"));
        assert_eq!(rig.shard.is_open(id), is_sent);
        let mut cut_off = Vec::new();
        rig.shard.sweep(&mut hand, now_ms + SEND_MS_MAX + LINGER_MS + 2, |id| cut_off.push(id));
        assert_eq!(cut_off.contains(&id), !is_sent);
    }
}
