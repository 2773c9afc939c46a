//! A request of a peer's protocol, and the framing of its answers.

/// Longest answer, bytes: a longer one is malformed.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// What the front of the read bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The right answer, of this many bytes.
    Right(usize),
    /// A whole answer, but not the right one: a miss, an error, another value.
    Wrong(usize),
    /// More bytes are needed.
    Partial,
    /// Not of the protocol, or longer than [`ANSWER_BYTES_MAX`].
    Malformed,
}

/// The one exchange a run repeats.
pub trait Exchange: std::fmt::Debug + Send + Sync {
    /// The name in reports.
    fn name(&self) -> &'static str;

    /// The request, the same each time.
    fn request(&self) -> &[u8];

    /// What the front of `bytes` is.
    fn cut(&self, bytes: &[u8]) -> Cut;
}

/// The first line of `bytes` without its CRLF, and how many bytes it takes with it.
#[must_use]
pub fn first_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.windows(2).take(ANSWER_BYTES_MAX).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], end + 2))
}

/// A decimal number without a sign.
#[must_use]
pub fn decimal(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// [`Cut::Wrong`] for a whole answer of `length` bytes, [`Cut::Partial`] for less of it.
#[must_use]
pub const fn wrong(bytes: &[u8], length: usize) -> Cut {
    if length > ANSWER_BYTES_MAX {
        Cut::Malformed
    } else if bytes.len() < length {
        Cut::Partial
    } else {
        Cut::Wrong(length)
    }
}

/// [`Cut::Partial`], unless an answer would have ended before so many bytes.
#[must_use]
pub const fn unfinished(bytes: &[u8]) -> Cut {
    if bytes.len() > ANSWER_BYTES_MAX { Cut::Malformed } else { Cut::Partial }
}

/// What the tests of every protocol check.
#[cfg(test)]
pub(super) mod checks {
    use super::*;

    /// Cuts `stream` as a connection does.
    fn cuts_of(exchange: &dyn Exchange, bytes: &mut Vec<u8>) -> Vec<Cut> {
        let mut cuts = Vec::new();
        loop {
            let cut = exchange.cut(bytes);
            match cut {
                Cut::Right(length) | Cut::Wrong(length) => drop(bytes.drain(..length)),
                Cut::Partial => return cuts,
                Cut::Malformed => panic!("malformed: {:?}", String::from_utf8_lossy(bytes)),
            }
            cuts.push(cut);
        }
    }

    /// `answers`, each with whether it is right, give the same cuts however the stream is split in two, and byte by
    /// byte.
    pub(in crate::peer) fn cuts_alike_at_every_split(exchange: &dyn Exchange, answers: &[(&[u8], bool)]) {
        let of = |(bytes, right): &(&[u8], bool)| {
            if *right { Cut::Right(bytes.len()) } else { Cut::Wrong(bytes.len()) }
        };
        let expected: Vec<Cut> = answers.iter().map(of).collect();
        let stream: Vec<u8> = answers.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        for at in 0..=stream.len() {
            let mut inbox = stream[..at].to_vec();
            let mut cuts = cuts_of(exchange, &mut inbox);
            inbox.extend_from_slice(&stream[at..]);
            cuts.extend(cuts_of(exchange, &mut inbox));
            assert_eq!((cuts, inbox.len()), (expected.clone(), 0), "split at {at}");
        }
        let (mut inbox, mut cuts) = (Vec::new(), Vec::new());
        for byte in stream {
            inbox.push(byte);
            cuts.extend(cuts_of(exchange, &mut inbox));
        }
        assert_eq!(cuts, expected, "byte by byte");
    }
}
