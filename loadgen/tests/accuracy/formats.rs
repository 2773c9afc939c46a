//! The files of HdrHistogram, read back by a reader written from their descriptions and not by the library that wrote
//! them.

use std::io::Read as _;

use base64ct::{Base64, Encoding as _};
use mvt_loadgen::{
    histogram::Latencies,
    phase::Phases,
    run_directory::{hgrm, hlog},
    timeline::Timeline,
};

const SECOND: u64 = 1_000_000_000;

/// Value ranges and counts of one encoded histogram: `lowest ..= highest` of each bucket that is not empty.
fn decode(text: &str) -> Vec<(u64, u64, u64)> {
    let bytes = Base64::decode_vec(text).expect("base64");
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    assert_eq!(word(&bytes, 0), 0x1c84_9314, "compressed, V2");
    assert_eq!(word(&bytes, 4) as usize, bytes.len() - 8);
    let mut payload = Vec::new();
    flate2::read::ZlibDecoder::new(&bytes[8..]).read_to_end(&mut payload).expect("zlib");
    assert_eq!(word(&payload, 0), 0x1c84_9313, "V2");
    let (counts_bytes, digits) = (word(&payload, 4) as usize, word(&payload, 12));
    assert_eq!((counts_bytes, digits), (payload.len() - 40, 3));
    assert_eq!(u64::from_be_bytes(payload[16..24].try_into().expect("8 bytes")), 1, "lowest value");
    let mut buckets = Vec::new();
    let (mut at, mut index) = (40, 0);
    while at < payload.len() {
        let value = zig_zag(&payload, &mut at);
        if value < 0 {
            index += value.unsigned_abs();
            continue;
        }
        if value > 0 {
            let (lowest, size) = range_of(index);
            buckets.push((lowest, lowest + size - 1, value.unsigned_abs()));
        }
        index += 1;
    }
    buckets
}

/// LEB128 of at most nine bytes, the ninth whole; then zig-zag.
fn zig_zag(bytes: &[u8], at: &mut usize) -> i64 {
    let mut value = 0u64;
    for index in 0..9 {
        let byte = u64::from(bytes[*at]);
        *at += 1;
        if index == 8 {
            value |= byte << 56;
            break;
        }
        value |= (byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            break;
        }
    }
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Three digits need 2048 sub-buckets; every further bucket has half of them, twice as wide.
fn range_of(index: u64) -> (u64, u64) {
    if index < 2_048 {
        return (index, 1);
    }
    let shift = index / 1_024 - 1;
    ((1_024 + index % 1_024) << shift, 1 << shift)
}

/// Values over seven decades.
fn samples(count: u64) -> Vec<u64> {
    let steps = (0..count).scan(7u64, |state, _| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 33) % 10u64.pow(1 + (*state >> 60) as u32 % 9) + 1)
    });
    steps.collect()
}

#[test]
fn a_histogram_log_holds_every_sample_of_every_slot() {
    let phases =
        Phases { begin_ns: 0, measure_from_ns: 0, measure_until_ns: SECOND, drain_until_ns: 2 * SECOND };
    let mut timeline = Timeline::new(&phases);
    let samples = samples(10_000);
    for (index, ns) in samples.iter().enumerate() {
        let at_ns = index as u64 % 10 * SECOND / 10;
        timeline.at(at_ns).expect("inside").latencies.record(*ns);
    }
    let log = hlog::render(&timeline, 1_700_000_000.5);
    assert!(log.contains("#[StartTime: 1700000000.500 (seconds since epoch)]"), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 10);
    for (slot, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[..2], [format!("{:.3}", slot as f64 / 10.0).as_str(), "0.100"]);
        let mut own: Vec<u64> = samples.iter().skip(slot).step_by(10).copied().collect();
        own.sort_unstable();
        let longest_ms = *own.last().expect("samples") as f64 / 1e6;
        let written: f64 = fields[2].parse().expect("a number");
        assert!((written - longest_ms).abs() <= longest_ms / 1_000.0 + 0.001, "{written} {longest_ms}");
        let mut taken = 0;
        for (lowest, highest, count) in decode(fields[3]) {
            let until = taken + count as usize;
            assert!(
                own[taken..until].iter().all(|ns| (lowest..=highest).contains(ns)),
                "{lowest}..={highest}"
            );
            assert!(highest - lowest <= lowest / 1_000, "three digits: {lowest}..={highest}");
            taken = until;
        }
        assert_eq!(taken, own.len(), "no sample is missing");
    }
    let read = hlog::parse(&log).expect("our own reader");
    assert_eq!(read.iter().map(Latencies::count).sum::<u64>(), 10_000);
}

#[test]
fn a_percentile_distribution_names_the_order_statistics() {
    let mut sorted = samples(20_000);
    let mut latencies = Latencies::default();
    sorted.iter().for_each(|ns| latencies.record(*ns));
    sorted.sort_unstable();
    let text = hgrm::render(&latencies);
    let mut lines = text.lines();
    assert_eq!(
        lines.next().expect("a heading").split_whitespace().collect::<Vec<_>>(),
        ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    );
    let mut rows = 0;
    for line in lines.filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let fields: Vec<f64> =
            line.split_whitespace().map(|field| field.parse().expect("a number")).collect();
        let (value_us, quantile, total) = (fields[0], fields[1], fields[2] as usize);
        let exact_us = sorted[total - 1] as f64 / 1e3;
        assert!((value_us - exact_us).abs() <= exact_us / 1_000.0 + 0.001, "{line}: {exact_us}");
        assert!(total as f64 >= quantile * 20_000.0 - 1.0, "{line}");
        match fields.get(3) {
            Some(inverse) => assert!((inverse - 1.0 / (1.0 - quantile)).abs() < 0.01 * inverse, "{line}"),
            None => assert_eq!(total, 20_000, "only the last row has no inverse"),
        }
        rows += 1;
    }
    assert!(rows > 40, "{rows}");
    assert!(text.contains("Total count    =        20000]"), "{text}");
}
