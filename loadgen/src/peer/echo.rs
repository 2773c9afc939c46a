//! Bytes that come back as they were sent: the cost of the transport alone.

use super::exchange::{Cut, Exchange};

/// Bytes of a request: about those of a request that is verified.
pub const ECHO_BYTES: usize = 64;

/// A pattern that must come back.
#[derive(Debug)]
pub struct Echo {
    pattern: [u8; ECHO_BYTES],
}

impl Default for Echo {
    fn default() -> Self {
        Self { pattern: std::array::from_fn(|index| index as u8) }
    }
}

impl Exchange for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn request(&self) -> &[u8] {
        &self.pattern
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        match bytes.get(..ECHO_BYTES) {
            None => Cut::Partial,
            Some(front) if front == self.pattern => Cut::Right(ECHO_BYTES),
            Some(_) => Cut::Wrong(ECHO_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::checks::cuts_alike_at_every_split;

    #[test]
    fn answers_are_cut_alike_at_every_split() {
        let echo = Echo::default();
        let same = echo.request().to_vec();
        let mut other = same.clone();
        other[ECHO_BYTES - 1] ^= 1;
        cuts_alike_at_every_split(&echo, &[(&same, true), (&other, false), (&same, true)]);
    }
}
