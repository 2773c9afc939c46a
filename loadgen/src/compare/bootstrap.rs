//! Bootstrap intervals: both sides are drawn again many times, repeats first and then the slots of each, and the
//! middle 95 % of the differences are kept.

use std::collections::BTreeMap;

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::Side;
use crate::run_directory::Run;

/// Draws.
const DRAW_COUNT: usize = 2_000;
/// What is left out at each end.
const TAIL: f64 = 0.025;

/// Where a difference lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

/// The intervals of all figures.
pub(super) struct Differences {
    /// One for each percentile; `None` when a draw did not have it.
    pub(super) percentiles: Vec<Option<Interval>>,
    /// Of the verified requests per second.
    pub(super) rate: Option<Interval>,
}

/// A slot as drawing needs it: places in the list of all values, with counts.
struct Slot {
    counts: Vec<(usize, u64)>,
    answered: u64,
}

/// One run: its slots, and the part of its requests that is slower than every sample.
struct Drawn {
    slots: Vec<Slot>,
    slot_s: f64,
    beyond_share: f64,
}

pub(super) struct Resampler<'a> {
    /// Every value that occurs, ascending.
    values: Vec<u64>,
    sides: [Vec<Drawn>; 2],
    percentiles: &'a [f64],
    random: Xoshiro256PlusPlus,
}

impl<'a> Resampler<'a> {
    pub(super) fn new(baseline: &Side, other: &Side, percentiles: &'a [f64], seed: u64) -> Self {
        let runs = || baseline.repeats.iter().chain(&other.repeats);
        let recorded = runs().flat_map(|run| run.slots.iter()).flat_map(|slot| slot.recorded());
        let mut places: BTreeMap<u64, usize> = recorded.map(|(value, _)| (value, 0)).collect();
        places.values_mut().enumerate().for_each(|(index, place)| *place = index);
        let drawn = |side: &Side| side.repeats.iter().map(|run| Drawn::new(run, &places)).collect();
        Self {
            sides: [drawn(baseline), drawn(other)],
            values: places.into_keys().collect(),
            percentiles,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// Draws both sides again and again.
    pub(super) fn differences(mut self) -> Differences {
        let mut percentiles = vec![Vec::with_capacity(DRAW_COUNT); self.percentiles.len()];
        let mut rates = Vec::with_capacity(DRAW_COUNT);
        for _ in 0..DRAW_COUNT {
            let (baseline, other) = (self.draw(0), self.draw(1));
            for (index, list) in percentiles.iter_mut().enumerate() {
                list.extend(baseline.0[index].zip(other.0[index]).map(|(baseline, other)| other - baseline));
            }
            rates.push(other.1 - baseline.1);
        }
        Differences {
            percentiles: percentiles.into_iter().map(|list| interval(list, DRAW_COUNT)).collect(),
            rate: interval(rates, DRAW_COUNT),
        }
    }

    /// Percentiles and rate of one draw of a side.
    fn draw(&mut self, side: usize) -> (Vec<Option<f64>>, f64) {
        let repeats = &self.sides[side];
        let mut counts = vec![0u64; self.values.len()];
        let (mut beyond, mut answered, mut seconds) = (0.0, 0, 0.0);
        for _ in 0..repeats.len() {
            let run = &repeats[pick(&mut self.random, repeats.len())];
            let mut samples = 0;
            for _ in 0..run.slots.len() {
                let slot = &run.slots[pick(&mut self.random, run.slots.len())];
                for (place, count) in &slot.counts {
                    counts[*place] += count;
                    samples += count;
                }
                answered += slot.answered;
                seconds += run.slot_s;
            }
            beyond += samples as f64 * run.beyond_share;
        }
        let total = counts.iter().sum::<u64>() as f64 + beyond;
        let percentiles = self.percentiles.iter().map(|percent| self.at(&counts, percent / 100.0 * total));
        (percentiles.collect(), answered as f64 / seconds.max(f64::MIN_POSITIVE))
    }

    /// The value at which `rank` samples are reached; `None` when there are not so many.
    fn at(&self, counts: &[u64], rank: f64) -> Option<f64> {
        let mut reached = 0;
        let place = counts.iter().position(|count| {
            reached += count;
            reached > 0 && reached as f64 >= rank
        })?;
        Some(self.values[place] as f64)
    }
}

impl Drawn {
    fn new(run: &Run, places: &BTreeMap<u64, usize>) -> Self {
        let report = &run.report;
        let answered = report.over_time.slots.iter().map(|slot| slot.answered);
        let slots = run.slots.iter().zip(answered).map(|(latencies, answered)| Slot {
            counts: latencies.recorded().map(|(value, count)| (places[&value], count)).collect(),
            answered,
        });
        let mut slots: Vec<Slot> = slots.collect();
        let slot_s = report.over_time.slot_s;
        // A slot that the end of the run cut would be a slow one.
        if slots.len() > 1 && slots.len() as f64 * slot_s > report.duration_s + 1e-6 {
            slots.pop();
        }
        let beyond_share = report.latency_ns.beyond as f64 / report.latency_ns.count.max(1) as f64;
        Self { slots, slot_s, beyond_share }
    }
}

/// One of `0..count`; the bias of a remainder of 64 bits does not matter here.
fn pick(random: &mut Xoshiro256PlusPlus, count: usize) -> usize {
    (random.next_u64() % count as u64) as usize
}

fn interval(mut differences: Vec<f64>, draws: usize) -> Option<Interval> {
    if differences.len() < draws {
        return None;
    }
    differences.sort_unstable_by(f64::total_cmp);
    let last = (differences.len() - 1) as f64;
    let at = |share: f64| differences[(share * last).round() as usize];
    Some(Interval { low: at(TAIL), high: at(1.0 - TAIL) })
}
