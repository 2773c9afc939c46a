//! A value of the configuration that is more than its type: within bounds, an address, a file.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};

/// An integer within bounds, as the type of the field.
pub(super) fn between<'de, D, T, const LOW: i64, const HIGH: i64>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let value = i64::deserialize(deserializer)?;
    let outside = || D::Error::custom(format_args!("{value} is not between {LOW} and {HIGH}"));
    if !(LOW..=HIGH).contains(&value) {
        return Err(outside());
    }
    T::try_from(value).map_err(|_| outside())
}

pub(super) fn address_or_off<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| D::Error::custom("neither an address with a port nor \"off\""))
}

pub(super) fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let bits: u16 = between::<_, _, 64, 8192>(deserializer)?;
    if bits.is_power_of_two() {
        Ok(bits)
    } else {
        Err(D::Error::custom(format_args!("{bits} is not a power of two")))
    }
}

/// A path that names something: an empty one would be the folder, and a socket without a name is everybody's.
pub(super) fn file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    match path.as_os_str().is_empty() {
        true => Err(D::Error::custom("empty, and the name of a file is meant")),
        false => Ok(path),
    }
}
