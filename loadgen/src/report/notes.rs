//! What a reader has to know to understand the numbers, one sentence each: the same in every format.

use crate::{
    report::{Report, units},
    schedule::Schedule,
    verdict::{BUSY_SHARE_MAX, SHARE_ALLOWED},
};

/// The sentences, the gravest first.
#[must_use]
pub fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    trouble(report, &mut notes);
    notes.push(Schedule::meaning(&report.workload.schedule).to_owned());
    let machine = &report.environment;
    if machine.co_located {
        let how = if machine.loopback { "loopback" } else { "one machine" };
        notes.push(format!("{how}, generator and server share this machine: they compete for its cores"));
    }
    if machine.generator_build == "debug" {
        notes.push("debug build of the generator: not a measurement".to_owned());
    }
    notes
}

fn trouble(report: &Report, notes: &mut Vec<String>) {
    if let Some(reason) = &report.void {
        notes.push(format!("VOID, this run says nothing about the server: {reason}"));
    }
    if report.interrupted {
        notes.push("interrupted: the run was stopped before its end".to_owned());
    }
    let beyond = report.latency_ns.beyond;
    if beyond > 0 {
        notes.push(format!(
            "{} requests were never answered or never sent: percentiles count them as slower than every other",
            units::grouped(beyond)
        ));
    }
    if report.latency_ns.lacks_samples() {
        notes.push(
            "too few samples: a percentile that fewer than ten of them are above is not shown".to_owned(),
        );
    }
    let offered = report.offered() as f64;
    if report.held_back as f64 > offered * SHARE_ALLOWED {
        notes.push(format!(
            "{} of {} requests waited for a free slot before they were sent: the server did not keep up, or \
             --in-flight is too small; their wait is in the latency",
            units::grouped(report.held_back),
            units::grouped(report.offered())
        ));
    }
    if report.workload.schedule == "closed" && report.generator_busy_share >= BUSY_SHARE_MAX {
        notes.push(format!(
            "the generator was busy {:.1} % of the time: the rate may be its own limit, not the server's",
            report.generator_busy_share * 100.0
        ));
    }
}
