//! Which session of a connection sends the next request.

use std::{fmt, str::FromStr};

use rand_distr::{Distribution as _, Uniform, Zipf};
use rand_xoshiro::Xoshiro256PlusPlus;

/// How often the sessions of a connection are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Popularity {
    /// Alike.
    Uniform,
    /// The n-th as often as n to the power of minus this.
    Zipf(f64),
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

impl FromStr for Popularity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "uniform" => Some(Self::Uniform),
            Some(("zipf", exponent)) => {
                exponent.parse().ok().filter(|it| (0.01..=10.0).contains(it)).map(Self::Zipf)
            }
            _ => None,
        }
        .ok_or_else(|| "expected uniform or zipf:EXPONENT, like zipf:1.1".to_owned())
    }
}

/// Draws sessions.
#[derive(Debug, Clone)]
pub enum Picker {
    /// There is one.
    Only,
    /// Alike.
    Uniform(Uniform<usize>),
    /// By rank.
    Zipf(Zipf<f64>),
}

impl Picker {
    /// Of `count` sessions, at least one.
    #[must_use]
    pub fn new(popularity: Popularity, count: usize) -> Self {
        match popularity {
            _ if count <= 1 => Self::Only,
            Popularity::Uniform => Uniform::new(0, count).map_or(Self::Only, Self::Uniform),
            Popularity::Zipf(exponent) => Zipf::new(count as f64, exponent).map_or(Self::Only, Self::Zipf),
        }
    }

    /// Whether there is one, and nothing is drawn.
    #[must_use]
    pub const fn is_only(&self) -> bool {
        matches!(self, Self::Only)
    }

    /// The next one, below the count.
    #[inline]
    pub fn pick(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        match self {
            Self::Only => 0,
            Self::Uniform(sessions) => sessions.sample(random),
            // Ranks begin at 1.
            Self::Zipf(ranks) => ranks.sample(random) as usize - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng as _;

    fn counts(popularity: Popularity, count: usize) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(8);
        let picker = Picker::new(popularity, count);
        let mut counts = vec![0.0; count];
        (0..200_000).for_each(|_| counts[picker.pick(&mut random)] += 1.0);
        counts
    }

    #[test]
    fn sessions_are_used_as_often_as_their_rank_says() {
        let zipf = counts("zipf:1.1".parse().expect("a popularity"), 50);
        for rank in [2usize, 5, 10] {
            let theory = (rank as f64).powf(-1.1);
            let found = zipf[rank - 1] / zipf[0];
            assert!((found / theory - 1.0).abs() < 0.05, "{rank}: {found} against {theory}");
        }
        let uniform = counts(Popularity::Uniform, 50);
        assert!(uniform.iter().all(|count| (count / 4_000.0 - 1.0).abs() < 0.1), "{uniform:?}");
        assert_eq!(counts(Popularity::Zipf(1.0), 1), [200_000.0]);
    }

    #[test]
    fn what_is_no_popularity_is_refused() {
        for text in ["", "zipf", "zipf:", "zipf:0", "zipf:x", "pareto:1"] {
            assert!(text.parse::<Popularity>().is_err(), "{text}");
        }
    }
}
