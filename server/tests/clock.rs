//! A wall clock that was set back while no server ran (C-02): server time goes on where it was.

mod support;

use mvt_proto::{Header, Role, Suite};
use mvt_server::{
    config::Config,
    registry::{self, Actor},
};
use support::Server;

const HOUR_MS: u64 = 3_600_000;

/// Lets the last change of the store be `ahead_ms` in the future, as it is after the clock was set back by as much; server time
/// after a restart, less the wall clock's, ms.
fn ahead_after_restart(ahead_ms: u64) -> (u64, String) {
    let server = Server::start("io.shards = 1\n");
    // With its lock.
    server.kill();
    let mut config = Config::default();
    config.store.file = server.path("mvt.store");
    config.store.seal_key_file = server.path("seal.key");
    let mut registry = registry::open(&config).expect("nobody has it");
    let now_ms = mvt_sys::clock::wall_ms() + ahead_ms;
    registry.note(Actor { uid: 0, now_ms }, "a change".into()).expect("written");
    drop(registry);
    let server = server.restart();
    let (mut wire, mut session) = server.login(Suite::Hs256);
    wire.request(&mut session, b"");
    let answer = wire.frame().expect("an answer");
    let header = Header::parse(&answer, Role::Client).expect("well formed");
    let is_ahead_ms = header.timestamp.saturating_sub(mvt_sys::clock::wall_ms());
    (is_ahead_ms, server.stop())
}

#[test]
fn server_time_begins_no_earlier_than_the_last_change() {
    let (ahead_ms, log) = ahead_after_restart(2 * HOUR_MS);
    assert!((HOUR_MS..=2 * HOUR_MS).contains(&ahead_ms), "{ahead_ms}");
    assert!(log.contains("server time begins there"), "{log}");
}

#[test]
fn a_clock_more_than_a_day_behind_is_followed_and_said() {
    let (ahead_ms, log) = ahead_after_restart(48 * HOUR_MS);
    assert!(ahead_ms < HOUR_MS, "{ahead_ms}");
    assert!(log.contains("more than a day behind"), "{log}");
}
