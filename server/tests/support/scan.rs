//! What stands in the memory of a process: every byte it can write, by /proc/PID/mem.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    ops::Range,
    os::unix::fs::FileExt,
};

use aho_corasick::AhoCorasick;

/// Bytes looked for, by name.
pub type Needles = Vec<(String, Vec<u8>)>;

/// Where each needle was found: its name, and the names of the mappings, with how often.
pub fn scan(process_id: u32, needles: &Needles) -> BTreeMap<String, BTreeMap<String, usize>> {
    let maps = fs::read_to_string(format!("/proc/{process_id}/maps")).expect("a process of ours");
    let memory = File::open(format!("/proc/{process_id}/mem")).expect("a process we may read");
    let pages = File::open(format!("/proc/{process_id}/pagemap")).expect("a process we may read");
    // All at once, and fast in a build of any kind: a look that takes longer than a key lives says nothing.
    let search = AhoCorasick::new(needles.iter().map(|(_, needle)| needle)).expect("a few hundred needles");
    let mut found: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().expect("a range"), words.next().expect("an access"));
        if !access.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').expect("two ends");
        let number = |text| u64::from_str_radix(text, 16).expect("hex");
        let (from, to) = (number(from), number(to));
        let name = words.nth(3).unwrap_or("anonymous").to_owned();
        for run in present(&pages, from, to) {
            let mut bytes = vec![0; (run.end - run.start) as usize];
            let Ok(read) = memory.read_at(&mut bytes, run.start) else { continue };
            for hit in search.find_overlapping_iter(&bytes[..read]) {
                let places = found.entry(needles[hit.pattern()].0.clone()).or_default();
                *places.entry(name.clone()).or_default() += 1;
            }
        }
    }
    found
}

/// Pages of a mapping that hold anything, in runs.
fn present(pages: &File, from: u64, to: u64) -> Vec<Range<u64>> {
    const PAGE_BYTES: u64 = 4096;
    let mut entries = vec![0; ((to - from) / PAGE_BYTES * 8) as usize];
    pages.read_exact_at(&mut entries, from / PAGE_BYTES * 8).expect("a page map");
    let mut runs: Vec<Range<u64>> = Vec::new();
    for (index, entry) in entries.as_chunks::<8>().0.iter().enumerate() {
        // Bit 63: in memory; bit 62: swapped.
        if u64::from_ne_bytes(*entry) >> 62 == 0 {
            continue;
        }
        let start = from + index as u64 * PAGE_BYTES;
        match runs.last_mut() {
            Some(run) if run.end == start => run.end += PAGE_BYTES,
            _ => runs.push(start..start + PAGE_BYTES),
        }
    }
    runs
}
