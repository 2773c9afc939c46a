//! `cargo x tour`: the life of a key, on real processes, told step by step and checked.

mod guest;
mod house;

use std::path::Path;

use anyhow::{Context, ensure};

use crate::{
    stop::Stop,
    workspace::{release_binary, run_cargo},
};
use guest::Guest;
use house::House;

/// Requests of the step in which keys are renewed.
const REQUEST_COUNT: u32 = 500;
/// A key serves this many requests before it is renewed, on these servers.
pub(crate) const RENEW_AFTER: u32 = 50;

/// Walks through all steps; the first one that does not show what it says ends the tour.
///
/// # Errors
/// That step's.
pub fn run() -> anyhow::Result<()> {
    eprintln!("building the server and the example client (release) ...");
    run_cargo(&["build", "--release", "--quiet", "--package", "mvt-server"])?;
    run_cargo(&["build", "--release", "--quiet", "--package", "mvt-client", "--example", "by_hand"])?;
    let stop = Stop::listen().context("cannot listen to signals")?;
    let folder = tempfile::tempdir().context("cannot make a folder for keys")?;
    let mut house = House::build(&release_binary("mvt-server"), folder.path(), &stop)?;
    say(
        "two servers",
        "A owns the store of clients; B follows it. They share a key file, a ring of ticket keys and A's feed.",
    );
    println!("  A at {}, B at {}", house.first.address, house.second.address);

    let program = release_binary("examples/by_hand");
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
            "{REQUEST_COUNT} requests; a key serves {RENEW_AFTER} here. The server offers the next one under the old."
        ),
    );
    for number in 0..REQUEST_COUNT {
        guest.request(&format!("request-{number}"), stop)?;
    }
    let (generation, logins) = (guest.number("generation")?, guest.number("logins")?);
    println!("  all answered; {generation} renewals, {logins} login: {}", guest.state());
    ensure!(
        generation >= u64::from(REQUEST_COUNT / RENEW_AFTER / 2),
        "the key was renewed {generation} times"
    );
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
    let refused = Guest::start(program, house, "lost.key", stop);
    ensure!(refused.is_err(), "the lost key still logs in");
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
    let barred = stop.wait_for(house::FEED_PATIENCE, || {
        Ok(Guest::start_at(program, house, "new.key", &[house.second.address], stop).err().map(drop))
    })?;
    ensure!(barred.is_some(), "B still lets her in");
    println!("  and B does not let her in either");
    Ok(())
}
