//! Whether runs may be compared: the same machine, the same load, and none of them void.

use super::Side;
use crate::report::Report;

/// What differs, or forbids a comparison, in words; empty when runs are alike.
#[must_use]
pub fn obstacles(sides: &[Side]) -> Vec<String> {
    let mut found = Vec::new();
    let runs = || sides.iter().flat_map(|side| &side.repeats);
    for run in runs() {
        if let Some(reason) = &run.report.void {
            found.push(format!("{} is void: {reason}", run.name));
        }
        if run.slots.is_empty() {
            found.push(format!("{} has no measured interval", run.name));
        }
    }
    let Some(first) = runs().next() else { return found };
    for run in runs().skip(1) {
        for ((what, one), (_, other)) in traits(&first.report).into_iter().zip(traits(&run.report)) {
            if one != other {
                found.push(format!("{what}: `{one}` in {}, `{other}` in {}", first.name, run.name));
            }
        }
    }
    found
}

/// What must be the same. The commit and the labels may differ: they are what is compared.
fn traits(report: &Report) -> [(&'static str, String); 20] {
    let (machine, work) = (&report.environment, &report.workload);
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    [
        ("CPU", or_unknown(&machine.cpu_model)),
        ("CPU flags", machine.cpu_flags.join(" ")),
        ("cores", machine.cores.to_string()),
        ("governor", or_unknown(&machine.governor)),
        ("kernel", machine.kernel.clone()),
        ("clock", or_unknown(&machine.clock_source)),
        ("kernel settings", format!("{:?}", machine.sysctls)),
        ("generator build", machine.generator_build.clone()),
        ("generator moves bytes by", machine.generator_io.clone()),
        ("generator pinned to", format!("{:?}", machine.pinned_to)),
        ("loopback", machine.loopback.to_string()),
        ("one machine", machine.co_located.to_string()),
        ("connections", work.connections.to_string()),
        ("in flight", work.in_flight.to_string()),
        ("threads", work.threads.to_string()),
        ("payload bytes", format!("{} {}", work.payload_bytes, work.payload)),
        ("suite", work.suite.clone()),
        ("sessions, bad frames and churn", work.extras().join(", ")),
        ("loop", work.schedule.clone()),
        ("offered", format!("{:?} per second, {:?}", work.rate_per_s, work.arrivals)),
    ]
}
