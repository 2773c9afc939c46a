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

/// Nanoseconds with three digits in the unit that fits: `("123", "µs")`.
#[must_use]
pub fn scaled(ns: u64) -> (String, &'static str) {
    let (unit, name) = match ns {
        0..1_000 => (1.0, "ns"),
        1_000..1_000_000 => (1e3, "µs"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = ns as f64 / unit;
    let decimals = if name == "ns" || value >= 99.95 { 0 } else { 1 + usize::from(value < 9.995) };
    (format!("{value:.decimals$}"), name)
}

/// An instant as a date and a time in UTC: `2026-01-31 09:05 UTC`.
#[must_use]
pub fn utc(unix_s: f64) -> String {
    let seconds = unix_s.max(0.0) as u64;
    let (mut days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let leap = |year: u64| {
        u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
    };
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02} {:02}:{:02} UTC", month + 1, days + 1, minutes / 60, minutes % 60)
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
    fn a_time_keeps_three_digits() {
        let all = [0, 999, 1_500, 123_456, 45_600_000, 2_000_000_000].map(scaled);
        let shown: Vec<_> = all.iter().map(|(value, unit)| format!("{value} {unit}")).collect();
        assert_eq!(shown, ["0 ns", "999 ns", "1.50 µs", "123 µs", "45.6 ms", "2.00 s"]);
    }

    #[test]
    fn instants_read_as_dates() {
        for (unix_s, text) in [
            (0.0, "1970-01-01 00:00 UTC"),
            (951_827_696.0, "2000-02-29 12:34 UTC"),
            (1_798_761_599.0, "2026-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc(unix_s), text);
        }
    }

    #[test]
    fn bounds_are_in_their_unit() {
        assert_eq!(
            [500, 50_000, 2_000_000, 10_000_000_000].map(round_bound),
            ["500 ns", "50 µs", "2 ms", "10 s"]
        );
    }
}
