//! Joint answers: the operations of §7.4.

use mvt_lanes::Engine;
use mvt_proto::{
    Header, Limits, Role,
    constants::VERDICTS_MAX,
    lost::LostKey,
    schedule::GenerationKeys,
    secret::Secret,
    session::{Batch, ClientSession, Granted, Pending, ServerSession},
};
use serde_json::{Value, json};

use crate::{Case, Outcome, hex, ok, reject, unhex};

/// A client whose monotonic clock is server time.
fn client(case: &Case) -> ClientSession {
    let granted = Granted {
        key_id: case.key_id(),
        suite: case.suite(),
        limits: Limits::DEFAULT,
        server_time_ms: case.number("origin"),
        keys: GenerationKeys::derive(Secret::new(case.array("gs0")), case.key_id(), 0),
        lost_key: LostKey::new([0; 16]),
    };
    ClientSession::new(granted, case.number("origin"))
}

fn sealed(case: &Case, client: &mut ClientSession, joint_from: usize) -> Vec<(Pending, Vec<u8>)> {
    let seal = |(number, request): (usize, &Value)| {
        if number == joint_from {
            client.take_verdicts();
        }
        let mut frame = Vec::new();
        let op = request["op"].as_u64().expect("an op") as u16;
        let payload = unhex(request["payload"].as_str().expect("hex"));
        let pending = client.seal_request(op, &payload, case.number("at"), &mut frame).expect("sealable");
        (pending, frame)
    };
    case.list("requests").iter().enumerate().map(seal).collect()
}

pub fn verdicts(case: &Case) -> Outcome {
    let requests = sealed(case, &mut client(case), 0);
    let keys = GenerationKeys::derive(Secret::new(case.array("gs0")), case.key_id(), 0);
    let server =
        ServerSession::new(case.key_id(), case.suite(), Limits::DEFAULT, keys, case.number("origin"));
    let (mut state, mut window, _) = server.into_parts();
    let now_ms = case.number("now");
    assert!(requests.len() <= VERDICTS_MAX);
    let mut batch = Batch::new(Engine::detect());
    let (mut bytes, mut answer) = (Vec::new(), Vec::new());
    for (_, frame) in &requests {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        let fresh = state.check(&header, now_ms);
        let start = bytes.len();
        bytes.extend_from_slice(frame);
        batch.push(&state, fresh, start..bytes.len());
    }
    batch.open(&mut bytes, |_| &state);
    for (number, request) in case.list("requests").iter().enumerate() {
        let authentic = batch.take(number).expect("authentic");
        let exchange = state.commit(&mut window, authentic).expect("fresh");
        let status = request["status"].as_u64().expect("a status") as u16;
        batch.respond(exchange, status, &[], now_ms, &mut answer);
    }
    batch.end_joint(now_ms, &mut answer);
    batch.seal(&mut answer);
    let frames: Vec<String> = requests.iter().map(|(_, frame)| hex(frame)).collect();
    ok(json!({ "requests": frames, "answer": hex(&answer) }))
}

pub fn open_verdicts(case: &Case) -> Outcome {
    let mut client = client(case);
    let requests = sealed(case, &mut client, case.number("joint_from") as usize);
    let frame = case.bytes("frame");
    let given_up: Vec<u64> = case.list("given_up").iter().filter_map(Value::as_u64).collect();
    let find = |counter| {
        let mut waiting = requests.iter().map(|(pending, _)| pending);
        waiting.find(|pending| pending.counter() == counter && !given_up.contains(&counter))
    };
    let opened = Header::parse(&frame, Role::Client)
        .and_then(|header| client.open_verdicts(&header, &frame, find).map(Iterator::collect::<Vec<_>>));
    opened.map_or_else(reject, |verdicts| {
        let verdicts: Vec<Value> = verdicts
            .into_iter()
            .map(|(counter, status)| json!({ "counter": counter, "status": status }))
            .collect();
        ok(json!({ "verdicts": verdicts }))
    })
}
