//! The charts of a report: which lines over which axes.

use plotters::prelude::RGBColor;

use super::chart::{Axis, Line, draw};
use crate::{
    histogram::Latencies,
    report::{OverTime, Report, SlotReport, units},
};

/// Lines of the page, told apart by people who see colours differently.
pub const BLUE: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);
/// As above.
pub const ORANGE: RGBColor = RGBColor(0xd9, 0x7a, 0x06);
/// As above.
pub const RED: RGBColor = RGBColor(0xc2, 0x2f, 0x3d);
/// As above.
pub const GREEN: RGBColor = RGBColor(0x15, 0x80, 0x5c);
/// As above.
pub const VIOLET: RGBColor = RGBColor(0x7a, 0x4f, 0xc0);
/// As above.
pub const GREY: RGBColor = RGBColor(0x8a, 0x93, 0x9e);

/// Points of a percentile curve, at most.
const CURVE_POINT_COUNT: u32 = 240;
const TIME_TICKS: usize = 11;
const VALUE_TICKS: usize = 7;

/// A distribution to draw.
pub struct Curve<'a> {
    /// Its samples.
    pub latencies: &'a Latencies,
    /// Requests slower than all samples.
    pub beyond: u64,
    /// Its colour.
    pub color: RGBColor,
}

/// A bound at a percentile: the quantile, ns, its colour.
pub type Bound = (f64, f64, RGBColor);

/// Latency over percentiles; each further decade of requests has the same width.
#[must_use]
pub fn percentiles(curves: &[Curve<'_>], bounds: &[Bound]) -> String {
    let most = curves.iter().map(|curve| curve.latencies.count() + curve.beyond).max().unwrap_or(0);
    let nines = (most.max(100) as f64).log10();
    let mut lines: Vec<Line> = curves.iter().map(|curve| percentile_line(curve, nines)).collect();
    for (quantile, bound_ns, color) in bounds {
        let x = nines_of(*quantile).min(nines);
        lines.push(Line {
            color: *color,
            points: vec![(0.0, bound_ns.log10()), (x, bound_ns.log10())],
            dashed: true,
            dot: true,
        });
    }
    let decades = (0..=nines.floor() as u32).map(f64::from);
    let ticks = std::iter::once(nines_of(0.5)).chain(decades).collect();
    let x = Axis { from: 0.0, until: nines, ticks, label: percent_label };
    draw(&x, &values_axis(&lines), &lines)
}

/// Median, p99 and longest latency of each slot.
#[must_use]
pub fn latency(over_time: &OverTime) -> String {
    let lines = [
        line(over_time, RED, |slot| slot.max.map(log_ns)),
        line(over_time, ORANGE, |slot| slot.p99.map(log_ns)),
        line(over_time, BLUE, |slot| slot.p50.map(log_ns)),
    ];
    draw(&time_axis(over_time), &values_axis(&lines), &lines)
}

/// Answers per second in each slot, and the rate that was offered.
#[must_use]
pub fn throughput(report: &Report) -> String {
    let over_time = &report.over_time;
    let slot_s = over_time.slot_s;
    let mut lines = vec![whole_slots(report, BLUE, |slot| slot.answered as f64 / slot_s)];
    if let Some(rate_per_s) = report.workload.rate_per_s {
        let points = vec![(0.0, rate_per_s), (span_s(over_time), rate_per_s)];
        lines.push(Line { color: GREY, points, dashed: true, dot: false });
    }
    draw(&time_axis(over_time), &rates_axis(&lines), &lines)
}

/// Refusals per second in each slot.
#[must_use]
pub fn rejects(report: &Report) -> String {
    let slot_s = report.over_time.slot_s;
    let lines = [whole_slots(report, RED, |slot| slot.rejected as f64 / slot_s)];
    draw(&time_axis(&report.over_time), &rates_axis(&lines), &lines)
}

/// The largest schedule slip of each slot.
#[must_use]
pub fn slip(over_time: &OverTime) -> String {
    let lines = [line(over_time, VIOLET, |slot| (slot.sent > 0).then(|| log_ns(slot.slip_max)))];
    draw(&time_axis(over_time), &values_axis(&lines), &lines)
}

fn percentile_line(curve: &Curve<'_>, nines: f64) -> Line {
    let steps = (0..=CURVE_POINT_COUNT).map(|step| f64::from(step) * nines / f64::from(CURVE_POINT_COUNT));
    let point = |x: f64| {
        let ns = curve.latencies.quantile(1.0 - 10f64.powf(-x), curve.beyond)?;
        Some((x, log_ns(ns)))
    };
    Line { color: curve.color, points: steps.filter_map(point).collect(), dashed: false, dot: false }
}

fn line(over_time: &OverTime, color: RGBColor, y: impl Fn(&SlotReport) -> Option<f64>) -> Line {
    let middle = |slot: &SlotReport| slot.at_s + over_time.slot_s / 2.0;
    let points = over_time.slots.iter().filter_map(|slot| Some((middle(slot), y(slot)?))).collect();
    Line { color, points, dashed: false, dot: false }
}

/// Rates leave out a last slot that the end of the run cut.
fn whole_slots(report: &Report, color: RGBColor, y: impl Fn(&SlotReport) -> f64) -> Line {
    let over_time = &report.over_time;
    line(over_time, color, |slot| (slot.at_s + over_time.slot_s <= report.duration_s + 1e-6).then(|| y(slot)))
}

fn span_s(over_time: &OverTime) -> f64 {
    over_time.slots.last().map_or(1.0, |last| last.at_s + over_time.slot_s)
}

fn time_axis(over_time: &OverTime) -> Axis {
    Axis::linear(span_s(over_time), TIME_TICKS, |seconds| format!("{} s", (seconds * 100.0).round() / 100.0))
}

/// The y axis of lines whose values are logarithms of ns.
fn values_axis(lines: &[Line]) -> Axis {
    let values = || lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return Axis::logarithmic(1e3, 1e6, time_label);
    }
    Axis::logarithmic(10f64.powf(low) / 1.3, 10f64.powf(high) * 1.3, time_label)
}

fn rates_axis(lines: &[Line]) -> Axis {
    let high = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y)).fold(0.0, f64::max);
    Axis::linear(high * 1.12, VALUE_TICKS, |rate| format!("{}/s", units::grouped(rate.round() as u64)))
}

fn log_ns(ns: u64) -> f64 {
    (ns.max(1) as f64).log10()
}

/// 0.99 is 2 nines.
fn nines_of(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-12).log10()
}

fn percent_label(nines: f64) -> String {
    if nines <= 1.0 {
        return format!("{:.0} %", (1.0 - 10f64.powf(-nines)) * 100.0);
    }
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{:.decimals$} %", 100.0 - 10f64.powf(2.0 - nines))
}

/// A power of ten of ns as people say it.
fn time_label(log_ns: f64) -> String {
    let ns = 10f64.powf(log_ns);
    let (value, unit) = match ns {
        ..999.5 => (ns, "ns"),
        ..999_500.0 => (ns / 1e3, "µs"),
        ..999_500_000.0 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    format!("{value:.0} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_read_as_percentiles_and_times() {
        assert_eq!(
            [0.0, 1.0, 2.0, 3.0, 5.0].map(percent_label),
            ["0 %", "90 %", "99 %", "99.9 %", "99.999 %"]
        );
        assert_eq!(percent_label(nines_of(0.5)), "50 %");
        assert_eq!(
            [2e2, 5e4, 1e6, 2e9].map(|ns: f64| time_label(ns.log10())),
            ["200 ns", "50 µs", "1 ms", "2 s"]
        );
    }
}
