//! The line on the terminal while a run goes on. Silent when stderr is no terminal.

use std::{
    io::IsTerminal,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{histogram::Latencies, report::units, tally::Tally};

/// A worker shows its latencies this often, ns.
const PUBLISH_NS: u64 = 500_000_000;
/// The line is drawn anew this often.
pub const REDRAW: Duration = Duration::from_millis(200);

/// What one worker shows while it runs, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Live {
    verified: AtomicU64,
    failures: AtomicU64,
    /// When latencies are copied next; `None` when nobody looks.
    latencies: Option<Mutex<Latencies>>,
    publish_at_ns: AtomicU64,
}

impl Live {
    /// With latencies only when somebody looks: the copy costs some microseconds.
    #[must_use]
    pub fn new(watched: bool) -> Self {
        Self { latencies: watched.then(Mutex::default), ..Self::default() }
    }

    /// Shows the state of `tally`.
    pub fn publish(&self, tally: &Tally, now_ns: u64) {
        let Some(latencies) = &self.latencies else { return };
        self.verified.store(tally.verified, Relaxed);
        self.failures.store(tally.error_count() + tally.failed_verifications, Relaxed);
        if now_ns >= self.publish_at_ns.load(Relaxed)
            && let Ok(mut shown) = latencies.try_lock()
        {
            shown.copy_from(&tally.latencies);
            self.publish_at_ns.store(now_ns + PUBLISH_NS, Relaxed);
        }
    }
}

/// The progress line.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    verified_before: u64,
    drawn_at_ns: u64,
}

impl Progress {
    /// A line, unless `quiet` or stderr is no terminal.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = shown.then(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {msg}").expect("a constant template");
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar, verified_before: 0, drawn_at_ns: 0 }
    }

    /// Whether anybody sees it.
    #[must_use]
    pub const fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// Draws the line: `elapsed_ns` since the measured interval began, negative in the warm-up.
    pub fn draw(&mut self, lives: &[Live], elapsed_ns: i64) {
        let Some(bar) = &self.bar else { return };
        if elapsed_ns < 0 {
            bar.set_message("warming up");
            bar.tick();
            return;
        }
        let elapsed_ns = elapsed_ns.cast_unsigned();
        let sum = |of: fn(&Live) -> &AtomicU64| lives.iter().map(|live| of(live).load(Relaxed)).sum::<u64>();
        let verified = sum(|live| &live.verified);
        let seconds = elapsed_ns.saturating_sub(self.drawn_at_ns).max(1) as f64 / 1e9;
        let rate = verified.saturating_sub(self.verified_before) as f64 / seconds;
        let mut merged = Latencies::default();
        for latencies in lives.iter().filter_map(|live| live.latencies.as_ref()) {
            merged.merge(&latencies.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let summary = merged.summary();
        let latency = |value: Option<u64>| value.map_or_else(|| "-".into(), units::microseconds);
        bar.set_message(format!(
            "{:5.1} s   {} verified/s   p50 {}   p99 {}   p99.9 {}   errors {}",
            elapsed_ns as f64 / 1e9,
            units::grouped(rate as u64),
            latency(summary.p50),
            latency(summary.p99),
            latency(summary.p999),
            units::grouped(sum(|live| &live.failures)),
        ));
        bar.tick();
        (self.verified_before, self.drawn_at_ns) = (verified, elapsed_ns);
    }

    /// Removes the line.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
