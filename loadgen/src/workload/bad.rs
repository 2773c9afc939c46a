//! Frames a server has to refuse, sent beside the requests.

use std::{fmt, str::FromStr};

/// A kind of bad frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The bytes of a request once more: ERR REPLAY (SPEC §8.2).
    Replay,
    /// A request with a flipped bit in its tag: a LOST that nobody can verify (§9.1).
    Forged,
    /// A request of a time that is too far ahead: ERR STALE (§6.3).
    Stale,
}

impl Bad {
    /// Every kind with its name.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Replay, "replay"), (Self::Forged, "forged"), (Self::Stale, "stale")];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Bad frames per request, by [`Bad::ALL`], 0 to 1 each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BadShares([f64; Bad::ALL.len()]);

impl BadShares {
    /// Of one kind.
    #[must_use]
    pub const fn of(&self, bad: Bad) -> f64 {
        self.0[bad as usize]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == [0.0; Bad::ALL.len()]
    }
}

impl fmt::Display for BadShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shares = Bad::ALL.iter().zip(self.0).filter(|(_, share)| *share > 0.0);
        let mut one = |f: &mut fmt::Formatter<'_>, comma: &str| match shares.next() {
            Some(((_, name), share)) => write!(f, "{comma}{name}={}%", percent(share)).map(|()| true),
            None => Ok(false),
        };
        if !one(f, "")? {
            return f.write_str("none");
        }
        while one(f, ",")? {}
        Ok(())
    }
}

impl FromStr for BadShares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = Self::default();
        for part in text.split(',') {
            let pair = part.split_once('=').and_then(|(name, share)| {
                let kind = Bad::ALL.iter().position(|(_, known)| *known == name.trim())?;
                Some((kind, share_of_percent(share.trim())?))
            });
            let (kind, share) = pair.ok_or_else(|| {
                "expected shares of replay, forged, stale, like replay=1%,forged=0.5%".to_owned()
            })?;
            shares.0[kind] = share;
        }
        Ok(shares)
    }
}

/// `share` in percent, to a millionth: it is not to be printed as 0.7000000000000001.
#[must_use]
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

/// Reads `0.5%` as 0.005; at most `100%`.
#[must_use]
pub fn share_of_percent(text: &str) -> Option<f64> {
    let percent = text.strip_suffix('%')?.parse::<f64>().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_written_alike() {
        let shares: BadShares = "replay=1%, stale=0.7%".parse().expect("shares");
        assert_eq!((shares.of(Bad::Replay), shares.of(Bad::Forged)), (0.01, 0.0));
        assert_eq!(shares.to_string(), "replay=1%,stale=0.7%");
        assert_eq!(shares.to_string().parse(), Ok(shares));
        assert_eq!(BadShares::default().to_string(), "none");
        assert!(BadShares::default().is_none() && !shares.is_none());
        for (index, (bad, name)) in Bad::ALL.into_iter().enumerate() {
            assert_eq!((bad as usize, bad.name()), (index, name));
        }
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "replay", "replay=1", "replay=101%", "replay=-1%", "late=1%", "replay=1%,"] {
            assert!(text.parse::<BadShares>().is_err(), "{text}");
        }
    }
}
