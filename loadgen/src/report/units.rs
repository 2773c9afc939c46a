//! Numbers as people read them.

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds in µs, one decimal, grouped: `1,234.5 µs`.
#[must_use]
pub fn microseconds(ns: u64) -> String {
    let tenths = ns.saturating_add(50) / 100;
    format!("{}.{} µs", grouped(tenths / 10), tenths % 10)
}

/// A round bound of a bucket: `50 µs`, `2 ms`.
#[must_use]
pub fn round_bound(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ns >= *unit).unwrap_or((1, "ns"));
    format!("{} {name}", ns / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nanoseconds_read_as_microseconds() {
        assert_eq!(microseconds(0), "0.0 µs");
        assert_eq!(microseconds(1_949), "1.9 µs");
        assert_eq!(microseconds(1_950), "2.0 µs");
        assert_eq!(microseconds(12_345_678), "12,345.7 µs");
    }

    #[test]
    fn bounds_are_in_their_unit() {
        assert_eq!(
            [500, 50_000, 2_000_000, 10_000_000_000].map(round_bound),
            ["500 ns", "50 µs", "2 ms", "10 s"]
        );
    }
}
