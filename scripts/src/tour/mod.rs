//! `cargo x tour`: the life of a key, on real processes, told step by step and checked.

mod guest;
mod house;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::{
    stop::Stop,
    workspace::{debug_binary, run_cargo},
};
use guest::Guest;
use house::House;

/// How long requests go on in the step in which keys are renewed.
const RENEWAL_TIME: Duration = Duration::from_secs(9);
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);
/// A key serves this long before it is renewed, on these servers, ms. The generation before drains for 2 s.
const RENEW_AFTER_MS: u32 = 2_500;

/// Walks through all steps; the first one that does not show what it says ends the tour.
///
/// # Errors
/// That step's.
pub fn run() -> anyhow::Result<()> {
    // Nothing here is measured: the quicker build will do.
    eprintln!("building the server and the example client ...");
    run_cargo(&["build", "--quiet", "--package", "mvt-server"])?;
    run_cargo(&["build", "--quiet", "--package", "mvt-client", "--example", "by_hand"])?;
    let stop = Stop::listen().context("cannot listen to signals")?;
    let folder = tempfile::tempdir().context("cannot make a folder for keys")?;
    let mut house = House::build(&debug_binary("mvt-server"), folder.path(), &stop)?;
    say(
        "two servers",
        "A owns the store of clients; B follows it. They share a key file, a ring of ticket keys and A's feed.",
    );
    println!("  A at {}, B at {}", house.first.address, house.second.address);

    let program = debug_binary("examples/by_hand");
    let mut guest = Guest::start(&program, &house, "client.key", &stop)?;
    login(&guest);
    renewal(&mut guest, &stop)?;
    let old = crash(&mut house, &mut guest, &stop)?;
    elsewhere(&mut house, &mut guest, &old, &stop)?;
    recovery(&mut house, &mut guest, &program, &stop)?;
    revocation(&mut house, &mut guest, &program, &stop)?;
    println!("\nevery step showed what it said");
    Ok(())
}

fn say(title: &str, text: &str) {
    println!("\n{title}\n  {text}");
}

fn login(guest: &Guest) {
    say("login", "Noise IK, one round trip: the client has proved its static key, the server its own.");
    println!("  {}", guest.state());
}

fn renewal(guest: &mut Guest, stop: &Stop) -> anyhow::Result<()> {
    say(
        "renewal",
        &format!(
            "Requests for {RENEWAL_TIME:?}; a key serves {RENEW_AFTER_MS} ms here. The server offers the next one under the old."
        ),
    );
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < RENEWAL_TIME {
        guest.request(&format!("request-{count}"), stop)?;
        count += 1;
        thread::sleep(PAUSE);
    }
    let (generation, logins) = (guest.number("generation")?, guest.number("logins")?);
    println!("  {count} requests, all answered; {generation} renewals, {logins} login: {}", guest.state());
    ensure!(generation >= 2, "the key was renewed {generation} times");
    ensure!(logins == 1, "the client logged in {logins} times");
    Ok(())
}

fn crash(house: &mut House, guest: &mut Guest, stop: &Stop) -> anyhow::Result<String> {
    say(
        "the server loses every key",
        "A is killed (SIGKILL) and started again on its files. Keys are never written to a disk.",
    );
    let before = guest.word("key")?;
    house.restart_first(stop)?;
    guest.request("after-the-crash", stop)?;
    println!("  the client resumed with its ticket: {}", guest.state());
    ensure!(guest.word("key")? != before, "the session has another key");
    ensure!(guest.number("resumes")? == 1 && guest.number("logins")? == 1, "resumed, not logged in");
    guest.word("key")
}

fn elsewhere(house: &mut House, guest: &mut Guest, before: &str, stop: &Stop) -> anyhow::Result<()> {
    say(
        "resume on another server",
        "A is killed for good. B never saw this client; the ticket tells it enough.",
    );
    house.first.stop();
    guest.request("at-b", stop)?;
    println!("  {}", guest.state());
    ensure!(guest.word("key")? != before, "the session has another key");
    ensure!(guest.number("resumes")? == 2 && guest.number("logins")? == 1, "resumed, not logged in");
    house.restart_first(stop)
}

fn recovery(house: &mut House, guest: &mut Guest, program: &Path, stop: &Stop) -> anyhow::Result<()> {
    say(
        "recovery",
        "The client's key file is gone. With the kit of its enrolment it puts a new key in its place, in one call.",
    );
    house.lose_client_key()?;
    let new_public = house.make_new_key()?;
    println!("  {}", guest.say(&format!("recover {} {}", house.path("kit"), house.path("new.key")), stop)?);
    ensure!(guest.answer().starts_with("recovered "), "not recovered: {}", guest.answer());
    guest.request("with-the-new-key", stop)?;
    let shown = house.command(&["show", "alice"])?;
    ensure!(shown.contains(&new_public), "the store has another key: {shown}");
    println!("  the store has the new key: {shown}");
    let at_first = Guest::start_at(program, house, "lost.key", &[house.first.address], stop);
    ensure!(at_first.is_err(), "the lost key still logs in at A");
    ensure!(is_refused_everywhere(house, program, "lost.key", stop)?, "the lost key still logs in at B");
    println!("  the old key, found again, logs in no more");
    Ok(())
}

fn revocation(house: &mut House, guest: &mut Guest, program: &Path, stop: &Stop) -> anyhow::Result<()> {
    say(
        "revocation",
        "`mvt-server revoke alice` on A. When it returns, her sessions on A have ended; B hears of it by the feed.",
    );
    println!("  {}", house.command(&["revoke", "alice"])?);
    let said = guest.say("request too-late", stop)?.to_owned();
    println!("  her next request: {said}");
    ensure!(said.starts_with("error="), "it was executed");
    let again = guest.say("recover kit new.key", stop)?.to_owned();
    println!("  her kit: {again}");
    ensure!(again.starts_with("error="), "a recovery brought her back");
    ensure!(is_refused_everywhere(house, program, "new.key", stop)?, "B still lets her in");
    println!("  and B does not let her in either");
    Ok(())
}

/// Whether neither server lets a key in, once the second has heard of what changed.
fn is_refused_everywhere(house: &House, program: &Path, key: &str, stop: &Stop) -> anyhow::Result<bool> {
    let refused =
        stop.wait_for(house::FEED_PATIENCE, || Ok(Guest::start(program, house, key, stop).err().map(drop)))?;
    Ok(refused.is_some())
}
