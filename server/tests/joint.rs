//! Requests answered together: each exactly once, on its own connection, and verified by its client (SPEC §7.4.1, §7.2.5).

#[path = "support/rig.rs"]
mod rig;

use std::collections::BTreeMap;

use mvt_lanes::{Engine, Path};
use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    framer::{self, Cut},
    session::{Answer, ClientSession, Pending},
};
use mvt_server::{
    limits::LOGINS_PER_CONNECTION_MAX,
    mailbox::{Answered, Forwarded},
    service::ServiceKind,
};
use proptest::prelude::*;
use rig::{ORIGIN_MS, Rig};

const SESSIONS: usize = 4;
const CONNECTIONS: usize = 3;
const OP: u16 = 9;

/// One request: its session, its connection, its payload's bytes; and whether the request before it comes again after it.
type Plan = (usize, usize, usize, bool);

struct Client {
    session: ClientSession,
    waiting: BTreeMap<u64, (Pending, usize)>,
}

impl Client {
    /// Takes in one answer that came on `connection`; gives the requests it answers and whether they were executed.
    fn open(&mut self, frame: &mut [u8], connection: usize, now_ms: u64) -> Vec<(u64, bool)> {
        let header = Header::parse(frame, Role::Client).expect("well formed");
        if header.kind == Kind::Verdicts {
            let find = |counter| self.waiting.get(&counter).map(|(pending, _)| pending);
            let verdicts = self.session.open_verdicts(&header, frame, find).expect("authentic");
            return verdicts
                .map(|(counter, status)| {
                    assert_eq!(status, OP);
                    assert_eq!(self.waiting[&counter].1, connection, "answered where it was asked");
                    (counter, true)
                })
                .collect();
        }
        let (pending, asked_on) = &self.waiting[&header.counter];
        let answer = self.session.open_answer(pending, &header, frame, now_ms).expect("authentic");
        let is_executed = matches!(answer, Answer::Response { status: OP, .. });
        assert!(!is_executed || *asked_on == connection, "answered where it was asked");
        vec![(header.counter, is_executed)]
    }
}

fn clients(rig: &mut Rig) -> Vec<Client> {
    let sessions = [Suite::Hs256, Suite::Gcm256].map(|suite| (suite, SESSIONS as u64 / 2));
    let mut number = 0;
    let mut clients = Vec::new();
    for (suite, count) in sessions {
        for _ in 0..count {
            let (mut session, server) = rig::halves(0, number, suite, Limits::DEFAULT);
            rig.admit(server);
            session.take_verdicts();
            clients.push(Client { session, waiting: BTreeMap::new() });
            number += 1;
        }
    }
    clients
}

fn cut(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Ok(Cut::Frame(length)) = framer::cut(bytes, Role::Client) {
        frames.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty(), "whole frames");
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_request_is_answered_once_on_its_connection(
        plans in prop::collection::vec(
            (0..SESSIONS, 0..CONNECTIONS, prop_oneof![6 => Just(0usize), 1 => 1usize..200], prop::bool::weighted(0.1)),
            1..300,
        ),
        sticky in any::<bool>(),
    ) {
        for engine in Path::ALL.into_iter().filter_map(Engine::forced) {
            every_request_is_answered_once(engine, &plans, sticky);
        }
    }
}

/// `sticky`: each session stays on one connection, so that there are neighbours to join.
fn every_request_is_answered_once(engine: Engine, plans: &[Plan], sticky: bool) {
    let now_ms = ORIGIN_MS + 5;
    let mut rig = Rig::with_engine(engine, ServiceKind::Echo, Limits::DEFAULT, 64, 1);
    let mut clients = clients(&mut rig);
    let ids: Vec<_> = (0..CONNECTIONS).map(|port| rig.connect(port as u16, now_ms)).collect();
    let mut replay_count = 0;
    for (session, connection, payload_bytes, again) in plans {
        let connection = if sticky { session % CONNECTIONS } else { *connection };
        let client = &mut clients[*session];
        let mut frame = Vec::new();
        let pending =
            client.session.seal_request(OP, &vec![1; *payload_bytes], now_ms, &mut frame).expect("sealable");
        client.waiting.insert(pending.counter(), (pending, connection));
        rig.shard.ingest(ids[connection], &frame, now_ms);
        if *again {
            rig.shard.ingest(ids[(connection + 1) % CONNECTIONS], &frame, now_ms);
            replay_count += 1;
        }
    }
    rig.shard.turn(now_ms);
    let (mut executed, mut refused) = (Vec::new(), 0);
    for (connection, id) in ids.iter().enumerate() {
        for mut frame in cut(&rig.output(*id, now_ms).0) {
            let key_id = mvt_proto::header::key_id_of(&frame);
            let session = clients.iter().position(|client| client.session.key_id() == key_id).expect("ours");
            for (counter, is_executed) in clients[session].open(&mut frame, connection, now_ms) {
                if is_executed {
                    executed.push((session, counter));
                } else {
                    refused += 1;
                }
            }
        }
    }
    executed.sort_unstable();
    let mut expected: Vec<_> = (0..SESSIONS)
        .flat_map(|session| clients[session].waiting.keys().map(move |counter| (session, *counter)))
        .collect();
    expected.sort_unstable();
    assert_eq!(executed, expected, "{}", engine.path());
    assert_eq!(refused, replay_count);
}

#[test]
fn neighbours_share_an_answer_and_forwarded_requests_do_not() {
    let now_ms = ORIGIN_MS + 5;
    let mut rig = Rig::new(ServiceKind::Verdict, Limits::DEFAULT, 64, 2);
    let mut clients = clients(&mut rig);
    let id = rig.connect(1, now_ms);
    let mut request = || {
        let mut frame = Vec::new();
        let _ = clients[0].session.seal_request(OP, b"", now_ms, &mut frame).expect("sealable");
        frame
    };
    for _ in 0..10 {
        rig.shard.ingest(id, &request(), now_ms);
    }
    for _ in 0..3 {
        let letter = Forwarded { connection: id, frame: request().into() };
        assert!(rig.mailboxes[0].forward(1, letter).is_ok());
    }
    rig.shard.turn(now_ms);
    rig.shard.read_mail(now_ms);
    let kind = |frame: &[u8]| Header::parse(frame, Role::Client).expect("well formed").kind;
    let here: Vec<Kind> = cut(&rig.output(id, now_ms).0).iter().map(|frame| kind(frame)).collect();
    assert_eq!(here, [Kind::Verdicts]);
    for _ in 0..3 {
        let Some(Answered { frames: frame, .. }) = rig.mailboxes[1].take_answered(0) else {
            panic!("an answer for each")
        };
        assert_eq!(kind(&frame), Kind::Resp);
    }
}

/// §14.1: what is said to a login frame stands beside the answers to others, not inside them.
#[test]
fn a_retry_between_neighbours_leaves_their_answer_whole() {
    let now_ms = ORIGIN_MS + 5;
    for suite_of in [0, SESSIONS - 1] {
        let mut rig = Rig::new(ServiceKind::Echo, Limits::DEFAULT, 64, 1);
        let mut clients = clients(&mut rig);
        // Of two, so that neither sends more than a stranger may.
        let [established, one, other] = [1, 2, 3].map(|port| rig.connect(port, now_ms));
        let hello = *rig.hello();
        for _ in 0..LOGINS_PER_CONNECTION_MAX {
            rig.shard.ingest(one, &hello, now_ms);
            rig.shard.ingest(other, &hello, now_ms);
        }
        rig.shard.turn(now_ms);
        let client = &mut clients[suite_of];
        for number in 0..20 {
            let mut frame = Vec::new();
            let pending = client.session.seal_request(OP, b"", now_ms, &mut frame).expect("sealable");
            client.waiting.insert(pending.counter(), (pending, 0));
            rig.shard.ingest(established, &frame, now_ms);
            if number % 3 == 1 {
                rig.shard.ingest(if number % 2 == 0 { one } else { other }, &hello, now_ms);
            }
        }
        rig.shard.turn(now_ms);
        let answers = cut(&rig.output(established, now_ms).0);
        let executed = answers.into_iter().flat_map(|mut frame| client.open(&mut frame, 0, now_ms));
        assert_eq!(executed.filter(|(_, is_executed)| *is_executed).count(), 20);
        let told: Vec<_> = [one, other].into_iter().flat_map(|id| cut(&rig.output(id, now_ms).0)).collect();
        assert!(told.len() == 7 && told.iter().all(|frame| frame[2] == 0x1a), "RETRY, each of them");
    }
}
