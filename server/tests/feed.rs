//! Two nodes, one store: what is revoked on the node that owns it is revoked on the node that follows.

mod support;

use std::{fs, time::Duration};

use mvt_proto::{
    ClientId, Suite,
    keyfile::{self, KeyFile},
    secret::Secret,
    session::ClientSession,
};
use mvt_server::{
    registry::{Actor, Bounds, Registry},
    store::{
        Store,
        feed::{FeedStore, FeedWriter},
        file::Line,
        redb::RedbStore,
    },
};
use mvt_sys::clock::wall_ms;
use rustix::process::Signal;
use support::{Server, Wire, mvt_server, wait_for};

/// The kind of the frame that lets a client in, HELLO_R.
const ADMITTED: u8 = 0x19;

fn follower(owner: &Server, feed: &str, more: &str) -> Server {
    let feed = owner.path(feed);
    owner.start_beside(&format!(
        "io.shards = 2\nidentity.node_slot = 1\nstore.engine = \"feed\"\nstore.feed_file = {feed:?}\n{more}"
    ))
}

fn run(server: &Server, arguments: &[&str]) {
    let output = mvt_server(&server.path(""), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A session on a connection of its own, if the server lets its client in.
fn login(server: &Server) -> Option<(Wire, ClientSession)> {
    let mut wire = server.connect();
    let (initiator, hello) = server.hello(&server.client_keys(), Suite::Hs256);
    wire.send(&hello);
    // Who asked too often in vain is told to wait: that is no admission.
    let frame = wire.frame().filter(|frame| frame[2] == ADMITTED)?;
    Some((wire, initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("an honest HELLO_R")))
}

fn may_log_in(server: &Server) -> bool {
    login(server).is_some()
}

fn ask(wire: &mut Wire, session: &mut ClientSession) -> Result<u16, String> {
    let (pending, _) = wire.request(session, b"");
    wire.answer(session, &pending)
}

/// X-02, T-07 (how soon is measured by `cargo x lifetime`), §12.2.1
#[test]
fn a_follower_learns_of_changes_and_ends_what_it_had_let_in() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    let node = follower(&owner, "feed.mvt", "");
    let (mut wire, mut session) = login(&node).expect("let in");
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    run(&owner, &["revoke", "tester"]);
    wait_for("ended", || ask(&mut wire, &mut session) == Err("Lost".into()));
    assert!(!may_log_in(&node) && !may_log_in(&owner));
    let key = keyfile::key_to_text(owner.client_keys().identity.public());
    run(&owner, &["enroll", "tester", &key]);
    wait_for("heard of the enrolment", || may_log_in(&node));
    let output = mvt_server(&node.path(""), &["revoke", "tester"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("this node follows"));
}

/// How long a follower may hear nothing here: longer than what is between two heartbeats.
const STALE_MS: u64 = 5_000;

/// An owner, and a follower that takes what is at `feed` and may hear nothing for [`STALE_MS`].
fn pair(feed: &str) -> (Server, Server) {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"");
    copy_feed(&owner, feed);
    let more = format!("store.resume_stale_ms = {STALE_MS}\nstore.login_stale_ms = {STALE_MS}");
    let node = follower(&owner, feed, &more);
    (owner, node)
}

/// What the owner said last, for who listens elsewhere.
fn copy_feed(owner: &Server, feed: &str) {
    for end in ["", ".beat"] {
        let (from, to) = (owner.path(&format!("feed.mvt{end}")), owner.path(&format!("{feed}{end}")));
        if from != to {
            fs::copy(from, to).expect("copied");
        }
    }
}

/// Of when the last word of an owner is, ms.
fn said_ms(owner: &Server) -> u64 {
    let keys =
        KeyFile::parse(&fs::read_to_string(owner.path("server.key")).expect("made")).expect("a key file");
    let secret = keys.reset_secret.expect("a server's");
    let mut store = FeedStore::open(&owner.path("feed.mvt"), &secret).expect("its own feed");
    let revision = store.load().expect("its own feed").revision;
    store.watch(revision).expect("its own heartbeat");
    store.as_of_ms().expect("it follows")
}

#[test]
fn a_follower_that_hears_nothing_lets_nobody_in_until_it_hears_again() {
    // What is waited for is waited for by all at once.
    std::thread::scope(|scope| {
        for story in [stays_fresh, becomes_stale, takes_nothing_of_others] {
            scope.spawn(story);
        }
    });
}

/// The heartbeat keeps it fresh for longer than its bound.
fn stays_fresh() {
    let (_owner, node) = pair("feed.mvt");
    wait_for("let in", || may_log_in(&node));
    std::thread::sleep(Duration::from_millis(STALE_MS + 500));
    wait_for("let in", || may_log_in(&node));
}

fn becomes_stale() {
    // One that did not get to listen in time is stale before its time, with right, but not again and again.
    assert!((0..3).any(|_| becomes_stale_in_time()), "before its time");
}

/// Whether it did not become so before its bound had passed since the owner's last word.
fn becomes_stale_in_time() -> bool {
    let (owner, node) = pair("feed.mvt");
    let mut let_in = None;
    wait_for("let in", || {
        let_in = login(&node);
        let_in.is_some()
    });
    let (mut wire, mut session) = let_in.expect("waited for");
    // Used at once: what nobody uses for ten seconds ends.
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    owner.signal(Signal::STOP);
    wait_for("stale", || !may_log_in(&node));
    let silent_ms = wall_ms().saturating_sub(said_ms(&owner));
    assert_eq!(ask(&mut wire, &mut session), Ok(0), "what was let in goes on");
    owner.signal(Signal::CONT);
    wait_for("let in again", || may_log_in(&node));
    // The clocks of two processes differ by some milliseconds.
    silent_ms + 50 > STALE_MS
}

/// What is not the owner's is no news.
fn takes_nothing_of_others() {
    let (owner, node) = pair("copy.mvt");
    // Until it knows of the feed; a copy may have been stale before.
    wait_for("let in", || {
        copy_feed(&owner, "copy.mvt");
        may_log_in(&node)
    });
    fs::write(owner.path("copy.mvt.beat"), b"nonsense").expect("written");
    wait_for("stale", || !may_log_in(&node));
    wait_for("let in again", || {
        copy_feed(&owner, "copy.mvt");
        may_log_in(&node)
    });
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
    let node = follower(&owner, "feed.mvt", "");
    let made = mvt_server(&owner.path(""), &["keygen", "--client", "late.key"]);
    let late =
        KeyFile::parse(&std::fs::read_to_string(owner.path("late.key")).expect("made")).expect("a key");
    let may_log_in_late = || {
        let mut wire = node.connect();
        wire.send(&node.hello(&late, Suite::Hs256).1);
        wire.frame().is_some_and(|frame| frame[2] == ADMITTED)
    };
    owner.kill();
    let before = std::fs::read(owner.path("mvt.store")).expect("a store");
    let owner = owner.restart();
    run(&owner, &["enroll", "late", String::from_utf8_lossy(&made.stdout).trim()]);
    wait_for("heard of by the follower", may_log_in_late);
    owner.kill();
    std::fs::write(owner.path("mvt.store"), before).expect("put back");
    run(&owner, &["accept-store"]);
    let owner = owner.restart();
    wait_for("forgotten by the follower", || !may_log_in_late());
    wait_for("let in, who is known", || may_log_in(&node) && may_log_in(&owner));
    run(&owner, &["revoke", "tester"]);
    wait_for("taken for news", || !may_log_in(&node));
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
    let node = follower(&owner, "feed.mvt", "store.resume_stale_ms = 5000\nstore.login_stale_ms = 5000");
    wait_for("let in", || may_log_in(&node));
    owner.kill();
    std::fs::write(owner.path("mvt.store"), before).expect("put back");
    std::fs::remove_file(owner.path("mvt.store.mark")).expect("removed");
    let owner = owner.restart();
    run(&owner, &["revoke", "tester"]);
    wait_for("stale", || !may_log_in(&node));
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
    wait_for("following", || may_log_in(&node));
}

/// §12.2.1, where the floor stands for more revocations than the list holds.
#[test]
fn a_follower_ends_sessions_of_clients_beyond_the_list() {
    let owner = Server::start("io.shards = 1\nstore.feed_file = \"feed.mvt\"\nstore.revocations_max = 1");
    let node = follower(&owner, "feed.mvt", "store.revocations_max = 1");
    let other = keyfile::key_to_text(&[9; 32]);
    run(&owner, &["enroll", "other", &other]);
    let (mut wire, mut session) = node.login(Suite::Hs256);
    assert_eq!(ask(&mut wire, &mut session), Ok(0));
    run(&owner, &["revoke", "tester", "other"]);
    wait_for("ended", || ask(&mut wire, &mut session) == Err("Lost".into()));
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
