//! The highest rate whose run holds bounds: by bracketing, then by bisection, each probe a whole run.
//!
//! A void probe is no pass: what it says is about the generator. Whether it was void or missed a bound is told.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::{
    assertion::Assertion,
    report::Report,
    run::{self, Outcome, Plan},
    run_directory::percentiles::well_founded,
    schedule::Schedule,
    trouble::StartError,
};

/// Probes of a search, at most.
pub const PROBE_COUNT_MAX: usize = 24;
/// The search ends when the lowest rate that failed is this much above the highest that held.
pub const PRECISION: f64 = 1.03;
/// Rates grow and shrink by this until they bracket the bound.
const STRIDE: f64 = 2.0;
/// Lowest rate that is tried, per second.
const RATE_MIN: f64 = 10.0;

/// What became of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every bound held.
    Held,
    /// One did not, or the run was not clean.
    Missed,
    /// The generator did not keep up.
    Void,
}

/// One run at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Offered per second.
    pub rate_per_s: f64,
    /// What became of it.
    pub verdict: Verdict,
    /// Which bound was missed, or why it is void; empty when it held.
    pub why: String,
    /// Latency that 99 % do not exceed, ns; `None` of too few samples.
    pub p99: Option<u64>,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchReport {
    /// The bounds.
    pub slo: Vec<String>,
    /// The highest rate that held them, per second.
    pub rate_per_s: Option<f64>,
    /// Why it ended.
    pub stopped: String,
    /// In the order of the runs.
    pub probes: Vec<Probe>,
}

/// What to try next, from what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Bracket {
    held: Option<f64>,
    failed: Option<f64>,
}

impl Bracket {
    fn note(&mut self, rate: f64, verdict: Verdict) {
        match verdict {
            Verdict::Held => self.held = Some(self.held.map_or(rate, |held| held.max(rate))),
            _ => self.failed = Some(self.failed.map_or(rate, |failed| failed.min(rate))),
        }
    }

    /// The next rate, or why there is none.
    fn next(self, rate_max: f64) -> Result<f64, String> {
        match (self.held, self.failed) {
            (Some(held), Some(failed)) if failed <= held * PRECISION => Err(format!(
                "the next rate tried, {:.1} % above, did not hold",
                (failed / held - 1.0) * 100.0
            )),
            // Rates are compared as ratios, so the middle is the geometric one.
            (Some(held), Some(failed)) => Ok((held * failed).sqrt()),
            (Some(held), None) if held * STRIDE > rate_max => {
                Err("no higher rate can be asked for".to_owned())
            }
            (Some(held), None) => Ok(held * STRIDE),
            (None, Some(failed)) if failed / STRIDE < RATE_MIN => {
                Err("not even the lowest rate held".to_owned())
            }
            (None, Some(failed)) => Ok(failed / STRIDE),
            (None, None) => Err("nothing was tried".to_owned()),
        }
    }
}

/// The best run of a search and the search.
#[derive(Debug)]
pub struct Found {
    /// The run at the highest rate that held; the last one when none did.
    pub best: (Report, Outcome),
    /// All of them.
    pub search: SearchReport,
}

/// Searches from the rate of `plan` on. `tell` is told of each probe.
///
/// # Errors
/// When a run does not begin.
///
/// # Panics
/// When `plan` is no open loop.
pub fn search(
    plan: &mut Plan,
    slo: &[Assertion],
    stop: &AtomicBool,
    tell: impl Fn(&Probe),
) -> Result<Found, StartError> {
    let mut rate = plan.schedule.arrivals().expect("a search is of open loops").rate_per_s;
    let mut bracket = Bracket::default();
    let mut probes = Vec::new();
    let mut best: Option<(Report, Outcome, Verdict)> = None;
    let stopped = loop {
        if let Schedule::Open { arrivals, .. } = &mut plan.schedule {
            arrivals.rate_per_s = rate;
        }
        let outcome = run::run(plan, stop)?;
        let mut report = Report::new(plan, &outcome);
        report.assert(slo);
        let probe = judge(&report, &outcome, rate);
        tell(&probe);
        bracket.note(rate, probe.verdict);
        // Rates that held only grow.
        if probe.verdict == Verdict::Held
            || best.as_ref().is_none_or(|(.., verdict)| *verdict != Verdict::Held)
        {
            best = Some((report, outcome, probe.verdict));
        }
        probes.push(probe);
        if stop.load(Relaxed) {
            break "stopped by the user".to_owned();
        }
        if probes.len() >= PROBE_COUNT_MAX {
            break format!("{PROBE_COUNT_MAX} probes were made");
        }
        match bracket.next(crate::cli::RATE_MAX) {
            Ok(next) => rate = next,
            Err(why) => break why,
        }
    };
    let (mut report, outcome, _) = best.expect("a probe was made");
    let texts = slo.iter().map(ToString::to_string).collect();
    let search = SearchReport { slo: texts, rate_per_s: bracket.held, stopped, probes };
    report.search = Some(search.clone());
    Ok(Found { best: (report, outcome), search })
}

fn judge(report: &Report, outcome: &Outcome, rate_per_s: f64) -> Probe {
    let missed: Vec<String> = report
        .assertions
        .iter()
        .filter(|it| !it.held)
        .map(|it| format!("{}: found {}", it.assertion, it.found))
        .collect();
    let (verdict, why) = match &report.void {
        Some(reason) => (Verdict::Void, reason.clone()),
        None if !missed.is_empty() => (Verdict::Missed, missed.join(", ")),
        None if !outcome.is_clean() => (Verdict::Missed, "the run was not clean".to_owned()),
        // What the server was never given says nothing about this rate.
        None if outcome.interrupted => (Verdict::Missed, "interrupted".to_owned()),
        None => (Verdict::Held, String::new()),
    };
    let p99 = well_founded(&report.histogram.latencies, 99.0, report.latency_ns.beyond);
    Probe { rate_per_s, verdict, why, p99 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates tried against a server that holds up to `limit`, from `first` on.
    fn tried(first: f64, limit: f64) -> (Vec<f64>, Option<f64>, String) {
        let (mut bracket, mut rates, mut rate) = (Bracket::default(), Vec::new(), first);
        loop {
            rates.push(rate);
            bracket.note(rate, if rate <= limit { Verdict::Held } else { Verdict::Void });
            assert!(rates.len() <= PROBE_COUNT_MAX, "{rates:?}");
            match bracket.next(1e9) {
                Ok(next) => rate = next,
                Err(why) => return (rates, bracket.held, why),
            }
        }
    }

    #[test]
    fn a_search_ends_within_its_precision_of_the_limit() {
        for limit in [123_456.0, 1_000.0, 999.0, 80_000.0] {
            for first in [1_000.0, 1e6] {
                let (rates, held, why) = tried(first, limit);
                let held = held.expect("found");
                assert!(held <= limit && held * PRECISION >= limit, "{limit}: {rates:?}");
                assert!(why.contains("did not hold"), "{why}");
            }
        }
    }

    #[test]
    fn a_search_without_a_limit_or_without_a_chance_ends() {
        let (_, held, why) = tried(1_000.0, 1e12);
        assert!(held.is_some() && why.contains("no higher"), "{why}");
        let (_, held, why) = tried(1_000.0, 0.0);
        assert!(held.is_none() && why.contains("not even"), "{why}");
    }
}
