//! How long the payload of each request is.

use std::{fmt, str::FromStr};

use mvt_proto::constants::PAYLOAD_BYTES_MAX;
use rand_distr::{Distribution as _, LogNormal, Uniform, weighted::WeightedAliasIndex};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A distribution of payload sizes, in bytes, none above 16384.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    text: String,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Fixed(usize),
    Uniform {
        least: usize,
        most: usize,
    },
    /// Of the payload itself, not of its logarithm.
    Lognormal {
        mean: f64,
        sigma: f64,
        most: usize,
    },
    /// Sizes with weights.
    Mix(Vec<(usize, f64)>),
}

/// Why a text is no distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected bytes up to 16384: a number, uniform:16..256, lognormal:MEAN,SIGMA,MAX (SIGMA of the logarithm) or \
     mix:20=90,1024=10"
)]
pub struct PayloadError;

impl Payload {
    /// Always `bytes`.
    #[must_use]
    pub fn fixed(bytes: usize) -> Self {
        Self { text: bytes.to_string(), shape: Shape::Fixed(bytes.min(PAYLOAD_BYTES_MAX)) }
    }

    /// The longest.
    #[must_use]
    pub fn most(&self) -> usize {
        match &self.shape {
            Shape::Fixed(most) | Shape::Uniform { most, .. } | Shape::Lognormal { most, .. } => *most,
            Shape::Mix(sizes) => sizes.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0),
        }
    }

    /// The average; of a log-normal one before it is cut at its longest.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.shape {
            Shape::Fixed(bytes) => *bytes as f64,
            Shape::Uniform { least, most } => (least + most) as f64 / 2.0,
            Shape::Lognormal { mean, .. } => *mean,
            Shape::Mix(sizes) => {
                let whole: f64 = sizes.iter().map(|(_, weight)| weight).sum();
                sizes.iter().map(|(bytes, weight)| *bytes as f64 * weight).sum::<f64>() / whole
            }
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Payload {
    type Err = PayloadError;

    fn from_str(text: &str) -> Result<Self, PayloadError> {
        let shape = match text.split_once(':') {
            None => size(text).map(Shape::Fixed),
            Some(("uniform", range)) => range.split_once("..").and_then(|(least, most)| {
                let (least, most) = (size(least)?, size(most)?);
                (least <= most).then_some(Shape::Uniform { least, most })
            }),
            Some(("lognormal", parts)) => lognormal(parts),
            Some(("mix", parts)) => parts.split(',').map(weighted).collect::<Option<_>>().map(Shape::Mix),
            Some(_) => None,
        };
        let payload = Self { text: text.to_owned(), shape: shape.ok_or(PayloadError)? };
        // What cannot be drawn from is no distribution either.
        Sizes::new(&payload).map(|_| payload)
    }
}

fn size(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)
}

fn weighted(text: &str) -> Option<(usize, f64)> {
    let (bytes, weight) = text.split_once('=')?;
    Some((
        size(bytes)?,
        weight.trim().parse().ok().filter(|weight: &f64| weight.is_finite() && *weight > 0.0)?,
    ))
}

fn lognormal(text: &str) -> Option<Shape> {
    let mut parts = text.split(',');
    let mut next = || parts.next()?.trim().parse::<f64>().ok().filter(|part| part.is_finite());
    let (mean, sigma) = (next()?, next()?);
    let most = size(parts.next()?)?;
    (mean >= 1.0 && sigma > 0.0 && parts.next().is_none()).then_some(Shape::Lognormal { mean, sigma, most })
}

/// Draws sizes.
#[derive(Debug, Clone)]
pub enum Sizes {
    /// Always the same.
    Fixed(usize),
    /// Evenly.
    Uniform(Uniform<usize>),
    /// Cut at the second.
    Lognormal(LogNormal<f64>, usize),
    /// The index of one of the sizes.
    Mix(WeightedAliasIndex<f64>, Vec<usize>),
}

impl Sizes {
    /// Of `payload`.
    ///
    /// # Errors
    /// When its numbers make no distribution.
    pub fn new(payload: &Payload) -> Result<Self, PayloadError> {
        Ok(match &payload.shape {
            Shape::Fixed(bytes) => Self::Fixed(*bytes),
            Shape::Uniform { least, most } => {
                Self::Uniform(Uniform::new_inclusive(*least, *most).map_err(|_| PayloadError)?)
            }
            // The mean of a log-normal variable is e^(mu + sigma^2 / 2).
            Shape::Lognormal { mean, sigma, most } => Self::Lognormal(
                LogNormal::new(mean.ln() - sigma * sigma / 2.0, *sigma).map_err(|_| PayloadError)?,
                *most,
            ),
            Shape::Mix(sizes) => {
                let weights = sizes.iter().map(|(_, weight)| *weight).collect();
                let index = WeightedAliasIndex::new(weights).map_err(|_| PayloadError)?;
                Self::Mix(index, sizes.iter().map(|(bytes, _)| *bytes).collect())
            }
        })
    }

    /// The next size.
    #[inline]
    pub fn draw(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        match self {
            Self::Fixed(bytes) => *bytes,
            Self::Uniform(sizes) => sizes.sample(random),
            Self::Lognormal(sizes, most) => (sizes.sample(random).round() as usize).min(*most),
            Self::Mix(index, sizes) => sizes[index.sample(random)],
        }
    }

    /// Whether all are alike, and nothing is drawn.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng as _;

    fn drawn(text: &str) -> Vec<usize> {
        let payload: Payload = text.parse().expect(text);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let sizes = Sizes::new(&payload).expect(text);
        (0..100_000).map(|_| sizes.draw(&mut random)).collect()
    }

    #[test]
    fn sizes_are_drawn_as_asked_and_stay_within_bounds() {
        for (text, least, most) in [
            ("20", 20, 20),
            ("uniform:16..256", 16, 256),
            ("lognormal:200,0.8,4096", 0, 4096),
            ("mix:20=90,1024=10", 20, 1024),
        ] {
            let payload: Payload = text.parse().expect(text);
            assert_eq!((payload.most(), payload.to_string()), (most, text.to_owned()));
            let all = drawn(text);
            assert!(all.iter().all(|size| (least..=most).contains(size)), "{text}");
            let mean = all.iter().sum::<usize>() as f64 / all.len() as f64;
            assert!((mean / payload.mean() - 1.0).abs() < 0.02, "{text}: {mean} of {}", payload.mean());
        }
        let long = drawn("mix:20=90,1024=10").into_iter().filter(|size| *size == 1024).count();
        assert!(long.abs_diff(10_000) < 500, "{long}");
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        for text in [
            "",
            "x",
            "16385",
            "uniform:5",
            "uniform:9..8",
            "uniform:0..16385",
            "lognormal:200,0.8",
            "lognormal:0,1,10",
            "lognormal:200,-1,10",
            "lognormal:200,1,10,4",
            "mix:",
            "mix:20",
            "mix:20=0",
            "mix:20=NaN",
            "zipf:3",
        ] {
            assert_eq!(text.parse::<Payload>(), Err(PayloadError), "{text}");
        }
    }
}
