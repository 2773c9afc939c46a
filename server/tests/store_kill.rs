//! kill -9 of the real server at random instants while clients are enrolled and revoked: nothing acknowledged is lost (S-08).

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mvt_proto::{Suite, keyfile};
use mvt_server::{
    admin::{
        caller::Caller,
        request::{Answer, NewClient, Request},
    },
    store::record::State,
};
use support::Server;

const KILLS: usize = 60;

/// What was acknowledged, and the one command that was not answered.
#[derive(Default)]
struct Ledger {
    states: Mutex<BTreeMap<String, State>>,
    doubt: Mutex<Option<(Vec<String>, State)>>,
    acknowledged: AtomicU64,
}

fn caller(socket: &Path) -> Caller {
    Caller::connect(socket).expect("allowed").expect("a server listens")
}

fn client(name: &str) -> NewClient {
    let mut key = [7; 32];
    key[..name.len()].copy_from_slice(name.as_bytes());
    NewClient { name: name.into(), public_key: keyfile::key_to_text(&key), suites: String::new() }
}

/// Enrols and revokes until the server is gone.
fn load(mut caller: Caller, ledger: &Ledger, round: usize) {
    for number in 0.. {
        let (names, state, request) = if number % 3 == 2 {
            let names = vec![format!("c{round}-{}", number - 1), format!("c{round}-{}", number - 2)];
            (names.clone(), State::Revoked, Request::Revoke { names, skip_unknown: false })
        } else {
            let name = format!("c{round}-{number}");
            let clients = vec![client(&name)];
            (
                vec![name],
                State::Enabled,
                Request::Enroll { clients, skip_known: false, recovery_kit: number % 2 == 0 },
            )
        };
        match caller.ask(&request) {
            Ok(Answer::Enrolled { .. } | Answer::Revoked { .. }) => {
                ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
                ledger.states.lock().unwrap().extend(names.into_iter().map(|name| (name, state)));
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => {
                *ledger.doubt.lock().unwrap() = Some((names, state));
                return;
            }
        }
    }
}

fn found(socket: &Path) -> BTreeMap<String, State> {
    let (mut caller, mut found, mut after) = (caller(socket), BTreeMap::new(), String::new());
    loop {
        let Ok(Answer::Clients { clients, is_more }) = caller.ask(&Request::List { after }) else {
            panic!("a listing")
        };
        after = clients.last().map(|client| client.identity.name.clone()).unwrap_or_default();
        found.extend(clients.into_iter().map(|client| (client.identity.name, client.identity.state)));
        if !is_more {
            found.remove("tester");
            return found;
        }
    }
}

#[test]
fn what_was_acknowledged_survives_any_kill() {
    let mut server = Server::start("io.shards = 1");
    let ledger = Ledger::default();
    let mut random = 7u64;
    for round in 0..KILLS {
        let socket = server.path("mvt-admin.sock");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Some changes are acknowledged in every round, on a slow disk too; then any moment of the next ones.
        let count = ledger.acknowledged.load(Ordering::SeqCst) + (random >> 33) % 4;
        let moment = Duration::from_micros((random >> 40) % 12_000);
        // Before the moment is chosen: on a busy machine the server could be gone before the thread begins.
        let caller = caller(&socket);
        let ledger = &ledger;
        std::thread::scope(|scope| {
            let loading = scope.spawn(move || load(caller, ledger, round));
            while ledger.acknowledged.load(Ordering::SeqCst) < count && !loading.is_finished() {
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(moment);
            server.signal(rustix::process::Signal::KILL);
            loading.join().expect("the load ends with the server");
        });
        server = server.restart();
        let found = found(&socket);
        // Of the command in doubt all may be there, or nothing.
        let (names, state) = ledger.doubt.lock().unwrap().take().expect("one command was under way");
        let is_done = found.get(&names[0]) == Some(&state);
        if is_done {
            ledger.states.lock().unwrap().extend(names.into_iter().map(|name| (name, state)));
        }
        assert_eq!(found, *ledger.states.lock().unwrap(), "round {round}, killed after {moment:?}");
    }
    let acknowledged = ledger.acknowledged.into_inner();
    assert!(acknowledged > KILLS as u64, "{acknowledged} changes were acknowledged");
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"and it serves");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
}
