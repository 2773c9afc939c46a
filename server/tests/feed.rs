//! Two nodes, one store: what is revoked on the node that owns it is revoked on the node that follows.

mod support;

use std::time::{Duration, Instant};

use mvt_proto::{
    ClientId, Suite,
    keyfile::{self, KeyFile},
    secret::Secret,
    session::ClientSession,
};
use mvt_server::{
    registry::{Actor, Bounds, Registry},
    store::{
        feed::{FeedStore, FeedWriter},
        file::Line,
        redb::RedbStore,
    },
};
use rustix::process::Signal;
use support::{Server, Wire, mvt_server};

fn follower(owner: &Server, more: &str) -> Server {
    let feed = owner.path("feed.mvt");
    owner.start_beside(&format!(
        "io.shards = 2\nidentity.node_slot = 1\nstore.engine = \"feed\"\nstore.feed_file = {feed:?}\n{more}"
    ))
}

fn run(server: &Server, arguments: &[&str]) {
    let output = mvt_server(&server.path(""), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn may_log_in(server: &Server) -> bool {
    let mut wire = server.connect();
    wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
    wire.frame().is_some()
}

fn ask(wire: &mut Wire, session: &mut ClientSession) -> Result<u16, String> {
    let (pending, _) = wire.request(session, b"");
    wire.answer(session, &pending)
}

/// Waits until `is_so`; fails after `patience`.
fn within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// X-02, T-07 (the bound here is generous: the machine is shared), §12.2.1
#[test]
fn a_follower_learns_of_changes_and_ends_what_it_had_let_in() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    let node = follower(&owner, "");
    let (mut wire, mut session) = node.login(Suite::Hs256);
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    run(&owner, &["revoke", "tester"]);
    let patience = Duration::from_secs(5);
    within(patience, "the session ends", || ask(&mut wire, &mut session) == Err("Lost".into()));
    assert!(!may_log_in(&node) && !may_log_in(&owner));
    let key = keyfile::key_to_text(owner.client_keys().identity.public());
    run(&owner, &["enroll", "tester", &key]);
    within(patience, "the follower hears of the enrolment", || may_log_in(&node));
    let output = mvt_server(&node.path(""), &["revoke", "tester"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("this node follows"));
}

#[test]
fn a_follower_that_hears_nothing_lets_nobody_in_until_it_hears_again() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    let node = follower(&owner, "store.resume_stale_ms = 5000\nstore.login_stale_ms = 5000");
    let (mut wire, mut session) = node.login(Suite::Hs256);
    // Used at once: what nobody uses for ten seconds ends.
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    // The heartbeat keeps it fresh for longer than its bound.
    std::thread::sleep(Duration::from_millis(5500));
    assert!(may_log_in(&node));
    owner.signal(Signal::STOP);
    let waited = within(Duration::from_secs(15), "it becomes stale", || !may_log_in(&node));
    assert!(waited > Duration::from_secs(2), "not before: {waited:?}");
    assert_eq!(ask(&mut wire, &mut session), Ok(0), "what was let in goes on");
    owner.signal(Signal::CONT);
    within(Duration::from_secs(5), "it hears again", || may_log_in(&node));
    // What is not the owner's is no news.
    owner.signal(Signal::STOP);
    std::fs::write(owner.path("feed.mvt.beat"), b"nonsense").expect("written");
    within(Duration::from_secs(15), "it becomes stale", || !may_log_in(&node));
    owner.signal(Signal::CONT);
    within(Duration::from_secs(5), "it hears again", || may_log_in(&node));
}

#[test]
fn a_follower_starts_only_with_a_feed_of_its_own() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    let feed = owner.path("feed.mvt");
    let other = tempfile::tempdir().expect("a folder");
    let run = |feed: &std::path::Path| {
        let config = format!("store.engine = \"feed\"\nstore.feed_file = {feed:?}");
        std::fs::write(other.path().join("mvt.toml"), config).expect("written");
        let output = mvt_server(other.path(), &["check-config", "--config", "mvt.toml"]);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(mvt_server(other.path(), &["keygen", "server.key"]).status.success());
    let (status, text) = run(&feed);
    assert_eq!(status, Some(65), "{text}");
    assert!(text.contains("reset secret"), "{text}");
    let (status, text) = run(std::path::Path::new("none.mvt"));
    assert_eq!(status, Some(66), "{text}");
    std::fs::copy(owner.path("server.key"), other.path().join("server.key")).expect("copied");
    assert_eq!(run(&feed).0, Some(0));
    let whole = std::fs::read(&feed).expect("there");
    assert!(!whole.windows(6).any(|window| window == b"tester"), "names are not in the clear");
    let mut bent = whole.clone();
    bent[40] ^= 1;
    for bytes in [&bent[..], &whole[..whole.len() - 1], &[]] {
        std::fs::write(other.path().join("bad.mvt"), bytes).expect("written");
        assert_eq!(run(std::path::Path::new("bad.mvt")).0, Some(65));
    }
}

/// What an owner forgot with the older copy of its store that was accepted nobody could revoke any more.
#[test]
fn a_follower_forgets_what_an_accepted_older_copy_does_not_know() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    let node = follower(&owner, "");
    let made = mvt_server(&owner.path(""), &["keygen", "--client", "late.key"]);
    let late =
        KeyFile::parse(&std::fs::read_to_string(owner.path("late.key")).expect("made")).expect("a key");
    let may_log_in_late = || {
        let mut wire = node.connect();
        wire.send(&node.hello(&late, Suite::Hs256).1);
        wire.frame().is_some()
    };
    owner.kill();
    let before = std::fs::read(owner.path("mvt.store")).expect("a store");
    let owner = owner.restart();
    run(&owner, &["enroll", "late", String::from_utf8_lossy(&made.stdout).trim()]);
    let patience = Duration::from_secs(10);
    within(patience, "the follower hears of the enrolment", may_log_in_late);
    owner.kill();
    std::fs::write(owner.path("mvt.store"), before).expect("put back");
    run(&owner, &["accept-store"]);
    let owner = owner.restart();
    within(patience, "the follower forgets it too", || !may_log_in_late());
    assert!(may_log_in(&node) && may_log_in(&owner), "who is known is let in");
    run(&owner, &["revoke", "tester"]);
    within(patience, "what comes is news", || !may_log_in(&node));
}

/// With the mark gone too the owner does not know it; what it revokes then has numbers that its followers take for old.
#[test]
fn a_follower_does_not_trust_an_owner_whose_store_was_put_back() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    owner.kill();
    let before = std::fs::read(owner.path("mvt.store")).expect("a store");
    let owner = owner.restart();
    for number in 1..=3 {
        run(&owner, &["enroll", &format!("late-{number}"), &keyfile::key_to_text(&[number; 32])]);
    }
    let node = follower(&owner, "store.resume_stale_ms = 5000\nstore.login_stale_ms = 5000");
    assert!(may_log_in(&node));
    owner.kill();
    std::fs::write(owner.path("mvt.store"), before).expect("put back");
    std::fs::remove_file(owner.path("mvt.store.mark")).expect("removed");
    let owner = owner.restart();
    run(&owner, &["revoke", "tester"]);
    within(Duration::from_secs(20), "it becomes stale", || !may_log_in(&node));
    // And stays so when the owner has counted on to where it was.
    for number in 4..=7 {
        run(&owner, &["enroll", &format!("new-{number}"), &keyfile::key_to_text(&[number; 32])]);
    }
    std::thread::sleep(Duration::from_secs(1));
    assert!(!may_log_in(&node));
    let node = node.restart();
    assert!(!may_log_in(&node), "it begins anew, and knows of the revocation");
    let key = keyfile::key_to_text(owner.client_keys().identity.public());
    run(&owner, &["enroll", "tester", &key]);
    within(Duration::from_secs(10), "and follows", || may_log_in(&node));
}

/// §12.2.1, where the floor stands for more revocations than the list holds.
#[test]
fn a_follower_ends_sessions_of_clients_beyond_the_list() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"\nstore.revocations_max = 1");
    let node = follower(&owner, "store.revocations_max = 1");
    let other = keyfile::key_to_text(&[9; 32]);
    run(&owner, &["enroll", "other", &other]);
    let (mut wire, mut session) = node.login(Suite::Hs256);
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    run(&owner, &["revoke", "tester", "other"]);
    within(Duration::from_secs(10), "the session ends", || {
        ask(&mut wire, &mut session) == Err("Lost".into())
    });
    assert!(!may_log_in(&node));
}

/// §12.2.2: the list of a follower holds what its owner's holds, and nothing that has run out.
#[test]
fn a_follower_keeps_no_more_revocations_than_its_owner() {
    const KEEP_MS: u64 = 100_000;
    let folder = tempfile::tempdir().expect("a folder");
    let (path, secret) = (folder.path().join("feed.mvt"), Secret::new([5; 32]));
    let bounds = Bounds { revocations_max: 32, revocation_keep_ms: KEEP_MS, follower_stale_ms: 0 };
    RedbStore::create(&folder.path().join("store"), [9; 16]).expect("made");
    let store = RedbStore::open(&folder.path().join("store")).expect("there");
    let mut owner = Registry::open(Box::new(store), "store".into(), bounds, None).expect("empty");
    let mut feed = FeedWriter::new(&path, &secret, [9; 16]);
    let mut tell = |owner: &mut Registry, now_ms| {
        let revision = owner.revision();
        feed.tell(now_ms, revision, || owner.snapshot()).expect("written");
    };
    let at = |now_ms| Actor { uid: 7, now_ms };
    let names: Vec<String> = (0..100).map(|number| format!("client-{number}")).collect();
    let line = |(name, seed): (&String, u8)| Line {
        name: name.clone(),
        public_key: [seed; 32],
        suites: vec![Suite::Hs256],
    };
    let lines: Vec<_> = names.iter().zip(1..).map(line).collect();
    owner.enroll(at(1), &lines, false).expect("enrolled");
    tell(&mut owner, 1);
    let store = FeedStore::open(&path, &secret).expect("there");
    let mut node = Registry::open(Box::new(store), path.clone(), bounds, None).expect("a feed");
    for (name, now_ms) in names.iter().zip(1000..) {
        let names = [name.clone()];
        owner.withdraw(&names).expect("known");
        owner.revoke(at(now_ms), &names).expect("revoked");
        tell(&mut owner, now_ms);
        let news = node.follow().expect("readable").expect("there is some");
        assert_eq!((news.revoked, news.beyond), (vec![ClientId::of_name(name)], vec![]));
        assert!(node.revocations().len() <= 32, "{}", node.revocations().len());
    }
    for (name, now_ms) in names.iter().zip(1000..) {
        assert!(node.revocations().refuses(&ClientId::of_name(name), now_ms), "{name}");
    }
    assert!(node.enrolment().is_empty());
    let over_ms = 1099 + KEEP_MS;
    assert!(node.prune_here(over_ms - 1) > 0 && node.revocations().len() == 1);
    assert_eq!((node.prune_here(over_ms), node.revocations().len()), (1, 0));
}
