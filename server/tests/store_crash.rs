//! A crash at any moment: of what was not synced any part may be missing, torn or out of order (S-01, S-02).

#[path = "support/medium.rs"]
mod medium;

use std::collections::BTreeMap;

use medium::{Medium, Step};
use mvt_server::store::{Store, Write};

const SECTOR_BYTES: usize = 512;

/// splitmix64: the same throws everywhere and always.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as usize % bound
    }
}

/// What every record said after each acknowledged change.
type Ledger = Vec<BTreeMap<String, Vec<u8>>>;

/// Two hundred changes of a few records, in sizes that split and join pages. The journal's length after each.
fn workload(medium: &Medium, random: &mut Dice) -> (Ledger, Vec<usize>) {
    let mut store = medium.open().unwrap();
    let (mut now, mut revisions) = (BTreeMap::new(), BTreeMap::new());
    let (mut ledger, mut ends) = (vec![now.clone()], vec![medium.0.lock().unwrap().journal.len()]);
    for _ in 0..200 {
        let mut writes = BTreeMap::new();
        for _ in 0..=random.below(3) {
            let key = format!("key-{}", random.below(40));
            let value = (random.below(4) > 0 || !now.contains_key(&key))
                .then(|| vec![random.below(256) as u8; random.below(3000)]);
            let expected = revisions.get(&key).copied();
            writes.insert(key.clone(), Write { key, value, expected });
        }
        let writes: Vec<_> = writes.into_values().collect();
        let revision = store.put(&writes, b"line").unwrap();
        for write in writes {
            match write.value {
                Some(value) => {
                    now.insert(write.key.clone(), value);
                    revisions.insert(write.key, revision);
                }
                None => {
                    now.remove(&write.key);
                    revisions.remove(&write.key);
                }
            }
        }
        ledger.push(now.clone());
        ends.push(medium.0.lock().unwrap().journal.len());
    }
    (ledger, ends)
}

/// The bytes a machine may find that lost power after `count` steps.
fn crashed(base: &[u8], journal: &[Step], count: usize, random: &mut Dice) -> Vec<u8> {
    let synced = journal[..count].iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |at| at + 1);
    let mut bytes = base.to_vec();
    journal[..synced].iter().for_each(|step| step.apply(&mut bytes));
    let mut loose: Vec<&Step> = journal[synced..count].iter().collect();
    // Growth is in the file system's journal: it comes before what needs it, or not at all.
    for at in (1..loose.len()).rev() {
        loose.swap(at, random.below(at + 1));
    }
    for step in loose {
        match step {
            Step::Write(at, data) => {
                for (sector, part) in data.chunks(SECTOR_BYTES).enumerate() {
                    if random.below(2) == 0 {
                        Step::Write(at + sector * SECTOR_BYTES, part.to_vec()).apply(&mut bytes);
                    }
                }
            }
            Step::Resize(_) if random.below(2) == 0 => step.apply(&mut bytes),
            Step::Resize(_) | Step::Sync => {}
        }
    }
    bytes
}

fn found(medium: &Medium) -> BTreeMap<String, Vec<u8>> {
    let mut store =
        medium.open().unwrap_or_else(|error| panic!("a crash leaves a store that opens: {error}"));
    store.load().unwrap().records.into_iter().map(|record| (record.key, record.value)).collect()
}

#[test]
fn what_was_acknowledged_is_there_and_the_rest_whole_or_not_at_all() {
    let mut random = Dice(42);
    let medium = Medium::with_store();
    let base = medium.0.lock().unwrap().bytes.clone();
    let (ledger, ends) = workload(&medium, &mut random);
    let journal = medium.0.lock().unwrap().journal.clone();
    let mut undone = 0;
    for crash in 0..600 {
        let count = ends[0] + random.below(journal.len() - ends[0] + 1);
        let acknowledged = ends.iter().rposition(|end| *end <= count).expect("the first is before");
        let after = Medium::with_bytes(crashed(&base, &journal, count, &mut random));
        // And once more while it recovers, twice.
        for _ in 0..2 {
            let before = after.0.lock().unwrap().bytes.clone();
            found(&after);
            let recovery = std::mem::take(&mut after.0.lock().unwrap().journal);
            let count = random.below(recovery.len() + 1);
            after.0.lock().unwrap().bytes = crashed(&before, &recovery, count, &mut random);
        }
        let found = found(&after);
        let is_next = ledger.get(acknowledged + 1).is_some_and(|next| *next == found);
        assert!(
            found == ledger[acknowledged] || is_next,
            "crash {crash} after step {count} of {}, {acknowledged} changes acknowledged",
            journal.len()
        );
        undone += usize::from(!is_next);
    }
    assert!(undone > 0, "some crash came before a change was whole");
}
