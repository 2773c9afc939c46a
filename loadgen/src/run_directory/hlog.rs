//! `latency.hlog`: one histogram for each slot of the run, as HdrHistogram's log tools read it.

use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry},
};

use crate::{histogram::Latencies, timeline::Timeline};

/// The column of largest values is in ms, as the tools expect; histograms are in ns.
const MAX_DIVISOR: f64 = 1e6;

/// The log of `timeline`, whose first slot began at `started_unix_s`.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn render(timeline: &Timeline, started_unix_s: f64) -> String {
    let mut out = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let started = UNIX_EPOCH + Duration::from_secs_f64(started_unix_s.max(0.0));
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[logged by mvt-loadgen; values in ns]")
        .with_start_time(started)
        .with_base_time(started)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut out, &mut serializer)
        .expect("writing to memory does not fail");
    let slot = Duration::from_nanos(timeline.slot_ns());
    for (index, part) in (0u32..).zip(timeline.slots()) {
        log.write_histogram(part.latencies.histogram(), slot * index, slot, None)
            .expect("writing to memory does not fail");
    }
    String::from_utf8(out).expect("a log is ASCII")
}

/// The histograms of a log that [`render`] wrote.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<Latencies>> {
    let mut slots = Vec::new();
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        if let LogEntry::Interval(interval) = entry.ok()? {
            slots.push(Latencies::from_base64(interval.encoded_histogram())?);
        }
    }
    Some(slots)
}
