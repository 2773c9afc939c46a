//! Values of arguments: one parser for each kind.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use mvt_proto::{Suite, constants::KEY_BYTES, keyfile};

use crate::arrivals::Process;

/// The longest measured interval.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// The highest rate of an open loop, per second.
pub const RATE_MAX: f64 = 1e9;

/// A static public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

pub(super) fn count(min: u64, max: u64) -> RangedU64ValueParser {
    clap::value_parser!(u64).range(min..=max)
}

pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let port =
        text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(text.to_owned()),
        _ => Err("expected HOST:PORT, like 127.0.0.1:7440".into()),
    }
}

pub(super) fn public_key(text: &str) -> Result<PublicKey, String> {
    let key = keyfile::key_from_text(text);
    key.map(PublicKey).ok_or_else(|| "expected the base64 of 32 bytes, 44 characters".into())
}

/// The kernel's default mask has 1024 CPUs.
pub(super) fn cpu(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|cpu| *cpu < 1024).ok_or_else(|| "expected the number of a CPU".into())
}

pub(super) fn suite(text: &str) -> Result<Suite, String> {
    Suite::from_name(text).ok_or_else(|| "expected gcm256 or hs256".into())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = warmup(text)?;
    if duration.is_zero() { Err("expected more than 0".into()) } else { Ok(duration) }
}

pub(super) fn warmup(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a unit of ms, s, m or h".into()),
    };
    let number: f64 = number.parse().map_err(|_| "expected a number with ms, s, m or h".to_owned())?;
    let duration = Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())?;
    if duration > DURATION_MAX { Err("expected at most 24 hours".into()) } else { Ok(duration) }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix(['k', 'K', 'm', 'M']) {
        Some(number) => (number, if text.ends_with(['k', 'K']) { 1e3 } else { 1e6 }),
        None => (text, 1.0),
    };
    let rate = number.parse::<f64>().ok().map(|number| number * unit);
    rate.filter(|rate| (0.001..=RATE_MAX).contains(rate))
        .ok_or_else(|| "expected requests per second, like 500, 50k or 1.5M".into())
}

pub(super) fn process(text: &str) -> Result<Process, String> {
    let found = Process::ALL.into_iter().find(|(_, name)| *name == text);
    found.map(|(process, _)| process).ok_or_else(|| "expected constant or poisson".into())
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "expected KEY=VALUE".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_may_have_a_unit() {
        assert_eq!(["500", "50k", "1.5M"].map(rate), [Ok(500.0), Ok(50_000.0), Ok(1_500_000.0)]);
        for bad in ["", "k", "0", "-1", "nan", "1e10", "5 k"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
