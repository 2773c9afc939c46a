//! What floods of logins, as many as one core can send, leave to sessions that are established.
//!
//! Two cores have four parties: the server, the flood, the load of established requests, and an honest client that logs in. The
//! server has one core with all its threads, so nothing of its work is done at others' expense; the three others share the
//! other one, where the flood gets all that the load leaves. Neither core halts. The control is the same with a flood that burns its core and sends
//! nothing, so that what is judged is the harm to the server and not to the load beside it.
//!
//! What is left of the shard is the part of the time it wants to run in which it does, less what it spends beyond the control,
//! which has the same requests: all of that, be it on login frames, or on requests that got dearer. The flood has the part of its
//! core that the load and the honest client leave; what it would do with a whole one, if harm grows with it, is said beside the figure,
//! and who had the rest. That no
//! established request fails, how many are verified, and how soon an honest client from another address is let in, is judged as
//! well.

use std::{net::SocketAddr, thread, time::Duration};

use base64ct::{Base64, Encoding};

use super::{
    aim::{Aim, Side, quantile},
    awake::keep_awake,
    bench::Bench,
    flood::{Ammunition, Flood, Sent},
    flood_kind::{Kind, Row},
    house::{House, counted},
    load::{Load, Seen, WARMUP},
    newcomer::{self, Attempts, Newcomer},
    usage::{Share, Usage},
    visitor::random,
};
use crate::{compare::ratio::median, reference::x25519::KeyPair};

/// One for each connection, so that all are there when the flood begins.
const SESSIONS: u32 = 8;
/// Of the server's core: where others had more of it, what the shard waited for says little of the server.
const OTHERS_MAX: f64 = 0.1;
/// CASES D-04, ms: how soon a new valid login is done.
const LOGIN_MS: f64 = 50.0;

/// One run.
struct Run {
    seen: Seen,
    shard: Share,
    pool: Share,
    sent: Sent,
    /// What neither the server had of its core nor nobody.
    others: f64,
    /// The load's part of the flood's core, and the honest client's.
    load_share: f64,
    newcomer_share: f64,
    /// Of the honest client, ms.
    logins: Vec<f64>,
    log: String,
}

/// The stage of all runs.
struct Stage<'a> {
    bench: &'a Bench<'a>,
    house: House,
    attempts: Attempts,
    ammunition: Ammunition,
}

impl<'a> Stage<'a> {
    fn build(bench: &'a Bench<'a>) -> anyhow::Result<Self> {
        let house = House::build(bench)?;
        let newcomer = KeyPair::new(random()?);
        house.run(&["enroll", "newcomer", &Base64::encode_string(&newcomer.public)])?;
        let ammunition = Ammunition::new(&house.public_bytes()?)?;
        let attempts = newcomer::attempts(house.public_bytes()?, newcomer)?;
        Ok(Self { bench, house, attempts, ammunition })
    }

    /// A server of its own, so that none has to do with what the one before left behind.
    fn run(&self, kind: Kind) -> anyhow::Result<Run> {
        let Self { bench, house, .. } = self;
        let mut node = house.start_on(bench, Some(bench.server_core), "flooded", "")?;
        let awake = keep_awake(bench.server_core, house.folder())?;
        // What the load does not need of its core is the flood's.
        let load = Load::start_with(bench, house, &node, SESSIONS, bench.arguments.seconds, &["--doze"])?;
        // The load's logins come first: what is judged is what becomes of sessions that are there.
        thread::sleep(WARMUP / 2);
        let target: SocketAddr = node.address;
        let flood = Flood::start(kind, target, self.ammunition.clone(), bench.load_core);
        let newcomer = Newcomer::start(target, self.attempts.clone(), bench.load_core);
        thread::sleep(WARMUP / 2 + Duration::from_millis(200));
        let usage = |threads| Usage::of(node.process.id(), threads);
        let (shard, pool) = (usage("mvt-shard")?, usage("mvt-login")?);
        let generator = || Usage::of(load.id(), "");
        let of_core = || anyhow::Ok([Usage::of(node.process.id(), "")?, Usage::of(awake.id(), "")?]);
        let (before, core_before) = (generator()?, of_core()?);
        thread::sleep(Duration::from_secs(bench.arguments.seconds.into()) - Duration::from_millis(500));
        let (shard, pool) = (usage("mvt-shard")?.since(&shard), usage("mvt-login")?.since(&pool));
        let load_share = generator()?.since(&before).on_core;
        let known: f64 = of_core()?.iter().zip(&core_before).map(|(now, then)| now.since(then).on_core).sum();
        let others = (1.0 - known).max(0.0);
        let newcomer = newcomer.stop()?;
        let seen = load.finish(bench)?;
        let sent = flood.stop()?;
        let logins = newcomer.taken.iter().map(|taken| 1e3 * taken.as_secs_f64()).collect();
        let newcomer_share = newcomer.core_share;
        let log = node.stop(house, bench)?;
        Ok(Run { seen, shard, pool, sent, others, load_share, newcomer_share, logins, log })
    }
}

/// What `run` leaves of the shard, and what it would if the flood had had all of its core and not `run.sent.core_share` of it.
fn left(run: &Run, calm: &Run) -> (f64, f64) {
    let spent = (run.shard.on_core - calm.shard.on_core).max(0.0);
    let rest = (run.shard.granted() / calm.shard.granted()).min(1.0) * (1.0 - spent);
    (rest, (1.0 - (1.0 - rest) / run.sent.core_share.clamp(0.01, 1.0)).max(0.0))
}

fn say(bench: &Bench<'_>, name: &str, run: &Run, calm: &Run) {
    bench.say(&format!(
        "flood, {name}: {:.2} left ({:.2} for a whole core); {:.0} frames/s and {:.0} connections/s by {:.2} of a core; shard ran {:.1} %, waited {:.1} % \
         (calm {:.1} %, {:.1} %), pool {:.1} %; {} of {} requests failed, p99 {:.0} us (calm {:.0}); \
         {} honest logins, median {:.1} ms, p99 {:.1} ms; others had {:.1} % of the core",
        left(run, calm).0,
        left(run, calm).1,
        run.sent.frames_per_s,
        run.sent.connections_per_s,
        run.sent.core_share,
        100.0 * run.shard.on_core,
        100.0 * run.shard.waited,
        100.0 * calm.shard.on_core,
        100.0 * calm.shard.waited,
        100.0 * run.pool.on_core,
        run.seen.failed,
        run.seen.verified + run.seen.failed,
        run.seen.p99_us,
        calm.seen.p99_us,
        run.logins.len(),
        quantile(&run.logins, 0.5).unwrap_or(f64::NAN),
        quantile(&run.logins, 0.99).unwrap_or(f64::NAN),
        100.0 * run.others,
    ));
}

/// What is said of a kind beside its figures.
fn notes(runs: &[Run]) -> Vec<String> {
    let middle =
        |of: &dyn Fn(&Run) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    let total = |names: &[&str]| -> u64 {
        runs.iter().flat_map(|run| names.iter().map(|name| counted(&run.log, name))).sum()
    };
    vec![
        format!(
            "of the flood's core the flood had {:.2}, the load {:.2}, the honest client {:.2}; {:.2} idle, {:.2} the host's; softirqs {:.2}, \
             most of them within those",
            middle(&|run| run.sent.core_share),
            middle(&|run| run.load_share),
            middle(&|run| run.newcomer_share),
            middle(&|run| run.sent.core.idle),
            middle(&|run| run.sent.core.stolen),
            middle(&|run| run.sent.core.softirq),
        ),
        format!(
            "{:.0} frames/s and {:.0} connections/s by {:.2} of a core; the shard ran {:.1} % of the time, waited {:.1} %; the \
             login threads ran {:.1} %, others {:.1} %",
            middle(&|run| run.sent.frames_per_s),
            middle(&|run| run.sent.connections_per_s),
            middle(&|run| run.sent.core_share),
            middle(&|run| 100.0 * run.shard.on_core),
            middle(&|run| 100.0 * run.shard.waited),
            middle(&|run| 100.0 * run.pool.on_core),
            middle(&|run| 100.0 * run.others),
        ),
        format!(
            "{} HELLOs were worked on in vain, {} had a bad mac1, {} were asked for a cookie, {} told to wait, {} connections taken \
             in, {} refused or cut off",
            total(&["unknown_client", "noise"]),
            total(&["mac1"]),
            total(&["cookies_asked"]),
            total(&["busy"]),
            total(&["connections_opened"]),
            total(&["connections_refused", "logins_cut_off"]),
        ),
    ]
}

/// A kind, with what was measured of it.
struct Measured {
    row: &'static Row,
    left: Aim,
    login: Aim,
    runs: Vec<Run>,
    by_a_whole_core: Vec<f64>,
}

impl Measured {
    fn of(row: &'static Row) -> Self {
        let mut login = Aim::new(row.login.unwrap_or(row.name), " ms", Side::AtMost, LOGIN_MS);
        login.quantile = 0.99;
        let left = Aim::new(row.left, "", Side::AtLeast, 0.9);
        Self { row, left, login, runs: Vec::new(), by_a_whole_core: Vec::new() }
    }
}

pub(super) fn measure(bench: &Bench<'_>) -> anyhow::Result<Vec<Aim>> {
    let mut failed = Aim::new("established requests that fail in a flood", "", Side::AtMost, 0.0);
    failed.quantile = 1.0;
    let mut verified =
        Aim::new("established requests verified in a flood, against without", "x", Side::AtLeast, 0.9);
    verified.notes.push(format!("open loop, {} requests/s", bench.arguments.rate));
    let stage = Stage::build(bench)?;
    let mut calms = Vec::new();
    let mut floods: Vec<Measured> = Kind::ALL.iter().map(Measured::of).collect();
    for _ in 0..bench.arguments.rounds {
        let calm = stage.run(Kind::Idle)?;
        say(bench, "none", &calm, &calm);
        for Measured { row, left: rest, login, runs, by_a_whole_core } in &mut floods {
            let run = stage.run(row.kind)?;
            say(bench, row.name, &run, &calm);
            let (as_sent, by_a_core) = left(&run, &calm);
            let others = run.others.max(calm.others);
            if others > OTHERS_MAX {
                rest.take(Err(format!("others had {:.0} % of the server's core", 100.0 * others)));
            } else {
                rest.take(Ok(as_sent));
                by_a_whole_core.push(by_a_core);
            }
            failed.samples.push(run.seen.failed as f64);
            verified.samples.push(run.seen.verified as f64 / calm.seen.verified as f64);
            login.samples.extend(&run.logins);
            runs.push(run);
        }
        calms.push(calm);
    }
    let calm: Vec<f64> = calms.iter().flat_map(|run| run.logins.iter().copied()).collect();
    let mut aims = Vec::new();
    for Measured { row, left: mut rest, mut login, runs, by_a_whole_core } in floods {
        rest.notes = notes(&runs);
        rest.notes.extend(median(&by_a_whole_core).map(|left| format!("with a whole core: {left:.3} left")));
        let of = |samples: &[f64], share| quantile(samples, share).unwrap_or(f64::NAN);
        let logins = format!(
            "honest logins: median {:.1} ms, p99 {:.1} ms; without a flood median {:.1} ms, p99 {:.1} ms",
            of(&login.samples, 0.5),
            of(&login.samples, 0.99),
            of(&calm, 0.5),
            of(&calm, 0.99)
        );
        match row.login {
            Some(_) => {
                login.notes.push(logins);
                aims.extend([rest, login]);
            }
            None => {
                rest.notes.push(logins);
                aims.push(rest);
            }
        }
    }
    aims.extend([verified, failed]);
    Ok(aims)
}
