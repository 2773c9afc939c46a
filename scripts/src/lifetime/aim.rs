//! An aim, with what was measured for it.

use serde_json::{Value, json};

use crate::compare::ratio::median;

/// On which side of the bound a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    AtMost,
    AtLeast,
}

/// What the measurement says of an aim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Met,
    Missed,
    /// Too little of it can be relied on: see the reasons.
    Void,
}

impl Verdict {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Void => "VOID",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) side: Side,
    pub(super) bound: f64,
    /// One for each round, or each sample.
    pub(super) samples: Vec<f64>,
    /// What of the samples is judged, 0 to 1: the median or another quantile.
    pub(super) quantile: f64,
    /// Between which two the median lies, if the aim is judged by that: met or missed only where all of it is. `Some(None)`: unknown.
    pub(super) interval: Option<Option<(f64, f64)>>,
    /// Samples that were not taken, because one of their runs says nothing of the server: why.
    pub(super) voids: Vec<String>,
    /// Why the samples as a whole say nothing.
    pub(super) doubts: Vec<String>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
}

impl Aim {
    /// Judged by its median.
    pub(super) fn new(name: &'static str, unit: &'static str, side: Side, bound: f64) -> Self {
        Self {
            name,
            unit,
            side,
            bound,
            samples: Vec::new(),
            quantile: 0.5,
            interval: None,
            voids: Vec::new(),
            doubts: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A sample, or why it was not taken.
    pub(super) fn take(&mut self, sample: Result<f64, String>) {
        match sample {
            Ok(sample) => self.samples.push(sample),
            Err(why) => self.voids.push(why),
        }
    }

    /// What is judged; `None` when nothing was measured.
    pub(super) fn figure(&self) -> Option<f64> {
        if self.quantile == 0.5 { median(&self.samples) } else { quantile(&self.samples, self.quantile) }
    }

    /// Nothing measured is an aim missed; where more samples are void than are not, or the whole is in doubt, nobody knows.
    pub(super) fn verdict(&self) -> Verdict {
        if !self.doubts.is_empty() || self.voids.len() > self.samples.len() {
            return Verdict::Void;
        }
        match self.interval {
            Some(Some((low, high))) if (low <= self.bound) == (high <= self.bound) => {}
            Some(_) => return Verdict::Void,
            None => {}
        }
        let is_met = self.figure().is_some_and(|figure| match self.side {
            Side::AtMost => figure <= self.bound,
            Side::AtLeast => figure >= self.bound,
        });
        if is_met { Verdict::Met } else { Verdict::Missed }
    }

    pub(super) fn is_met(&self) -> bool {
        self.verdict() == Verdict::Met
    }

    /// Between which two the middle half of the samples lies.
    pub(super) fn quartiles(&self) -> Option<(f64, f64)> {
        Some((quantile(&self.samples, 0.25)?, quantile(&self.samples, 0.75)?))
    }

    /// The least and the greatest sample.
    pub(super) fn spread(&self) -> Option<(f64, f64)> {
        let least = self.samples.iter().copied().reduce(f64::min)?;
        Some((least, self.samples.iter().copied().reduce(f64::max)?))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "aim": self.name,
            "unit": self.unit,
            "bound": { match self.side { Side::AtMost => "at_most", Side::AtLeast => "at_least" }: self.bound },
            "quantile": self.quantile,
            "figure": self.figure(),
            "least": self.spread().map(|(least, _)| least),
            "quartiles": self.quartiles().map(|(low, high)| [low, high]),
            "interval_95": self.interval.flatten().map(|(low, high)| [low, high]),
            "greatest": self.spread().map(|(_, greatest)| greatest),
            "samples": self.samples,
            "void_samples": self.voids,
            "void_because": self.doubts,
            "verdict": self.verdict().name().to_lowercase(),
            "is_met": self.is_met(),
            "notes": self.notes,
        })
    }
}

/// The sample below or at which this share of all is (nearest rank).
pub(super) fn quantile(samples: &[f64], share: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim(side: Side, bound: f64, samples: &[f64]) -> Aim {
        Aim { samples: samples.to_vec(), ..Aim::new("a", "x", side, bound) }
    }

    #[test]
    fn an_aim_is_met_on_its_side_of_the_bound_and_never_by_nothing() {
        for (side, samples, is_met) in [
            (Side::AtMost, &[1.0, 1.2, 9.0][..], true),
            (Side::AtMost, &[1.0, 1.3, 9.0], false),
            (Side::AtLeast, &[0.1, 1.2, 1.3], true),
            (Side::AtLeast, &[0.1, 1.1, 9.0], false),
            (Side::AtMost, &[], false),
            (Side::AtLeast, &[], false),
        ] {
            assert_eq!(aim(side, 1.2, samples).is_met(), is_met, "{side:?} {samples:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_neither_met_nor_missed() {
        for (samples, voids, doubts, verdict) in [
            (&[1.0, 1.1][..], 2, 0, Verdict::Met),
            (&[1.0, 1.1], 3, 0, Verdict::Void),
            (&[1.3, 1.4], 2, 0, Verdict::Missed),
            (&[1.0, 1.1], 0, 1, Verdict::Void),
            (&[], 1, 0, Verdict::Void),
        ] {
            let mut aim = aim(Side::AtMost, 1.2, samples);
            (0..voids).for_each(|_| aim.take(Err("late".into())));
            aim.doubts.extend((0..doubts).map(|_| "noise".to_owned()));
            assert_eq!(aim.verdict(), verdict, "{samples:?} {voids} {doubts}");
            assert_eq!(aim.is_met(), verdict == Verdict::Met);
        }
    }

    #[test]
    fn a_quantile_is_a_sample_of_the_nearest_rank() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&samples, 0.99), Some(99.0));
        assert_eq!(quantile(&samples[..50], 0.99), Some(100.0));
        assert_eq!(quantile(&samples[..1], 0.99), Some(100.0));
        assert_eq!(quantile(&[], 0.99), None);
    }
}
