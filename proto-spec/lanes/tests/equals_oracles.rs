//! Every path gives what ring and RustCrypto give, for every length, batch size and mix.

mod oracle;

use mvt_lanes::{Engine, HmacKey, Job, mac};
use oracle::{Bytes, engines, keys, ring, rustcrypto};

fn run(engine: Engine, jobs: &[Job<'_>]) -> Vec<[u8; 32]> {
    let mut out = vec![[0; 32]; jobs.len()];
    engine.mac(jobs, &mut out);
    out
}

#[test]
fn mac_equals_both_oracles_for_every_length_to_300() {
    for engine in engines() {
        let mut bytes = Bytes::new(1);
        let (raw, keys) = keys(&mut bytes, 17);
        for length in 0..=300 {
            let messages: Vec<Vec<u8>> = (0..17).map(|_| bytes.vec(length)).collect();
            let jobs: Vec<Job<'_>> = keys
                .iter()
                .zip(&messages)
                .enumerate()
                .map(|(lane, (key, message))| {
                    let (head, tail) = message.split_at(length * lane / 17);
                    let (middle, tail) = tail.split_at(tail.len() / 2);
                    Job { key, parts: [head, middle, tail] }
                })
                .collect();
            let got = run(engine, &jobs);
            for lane in 0..17 {
                let context = format!("{} length {length} lane {lane}", engine.path());
                assert_eq!(got[lane], ring(&raw[lane], &messages[lane]), "ring: {context}");
                assert_eq!(got[lane], rustcrypto(&raw[lane], &messages[lane]), "RustCrypto: {context}");
            }
        }
    }
}

#[test]
fn mac_equals_oracle_for_every_batch_size_of_mixed_lengths() {
    for engine in engines() {
        for count in 0..=40 {
            for longest in [55, 56, 120, 300, 2200] {
                let mut bytes = Bytes::new(count as u64 * 7919 + longest as u64);
                let (raw, keys) = keys(&mut bytes, count);
                let messages: Vec<Vec<u8>> = (0..count)
                    .map(|_| {
                        let length = bytes.below(longest + 1);
                        bytes.vec(length)
                    })
                    .collect();
                let jobs: Vec<Job<'_>> =
                    keys.iter().zip(&messages).map(|(key, message)| Job::new(key, message)).collect();
                let got = run(engine, &jobs);
                for lane in 0..count {
                    let context = format!("{} count {count} longest {longest} lane {lane}", engine.path());
                    assert_eq!(got[lane], ring(&raw[lane], &messages[lane]), "ring: {context}");
                    assert_eq!(got[lane], mac(&keys[lane], &messages[lane]), "one by one: {context}");
                }
            }
        }
    }
}

#[test]
fn mac_keeps_caller_order_across_windows_of_mixed_lengths() {
    for engine in engines() {
        let mut bytes = Bytes::new(3);
        let (raw, keys) = keys(&mut bytes, 700);
        let message = bytes.vec(5000);
        // Mostly short, some medium, a few very long: every branch of the plan.
        let lengths: Vec<usize> = (0..700)
            .map(|index| match index % 50 {
                0 => bytes.below(5000),
                1..6 => bytes.below(400),
                _ => bytes.below(56),
            })
            .collect();
        let jobs: Vec<Job<'_>> = keys
            .iter()
            .zip(&lengths)
            .map(|(key, &length)| Job::joined(key, &message[..length], &[]))
            .collect();
        for (index, got) in run(engine, &jobs).into_iter().enumerate() {
            assert_eq!(got, ring(&raw[index], &message[..lengths[index]]), "{} job {index}", engine.path());
        }
    }
}

fn derive_at<const N: usize>(engine: Engine, count: usize) {
    let mut bytes = Bytes::new((count * 64 + N) as u64);
    let (raw, keys) = keys(&mut bytes, count);
    let inputs: Vec<[u8; N]> = (0..count).map(|_| bytes.array()).collect();
    let refs: Vec<&HmacKey> = keys.iter().collect();
    let mut raw_out = vec![[0; 32]; count];
    let mut out: Vec<HmacKey> = (0..count).map(|_| HmacKey::blank()).collect();
    engine.derive_bytes(&refs, &inputs, &mut raw_out);
    engine.derive(&refs, &inputs, &mut out);
    for lane in 0..count {
        let context = format!("{} count {count} input {N} lane {lane}", engine.path());
        let expected = ring(&raw[lane], &inputs[lane]);
        assert_eq!(raw_out[lane], expected, "bytes: {context}");
        assert_eq!(mac(&out[lane], b"probe"), rustcrypto(&expected, b"probe"), "key: {context}");
    }
}

#[test]
fn derive_equals_oracle_for_every_batch_size() {
    for engine in engines() {
        for count in 0..=40 {
            derive_at::<0>(engine, count);
            derive_at::<9>(engine, count);
            derive_at::<31>(engine, count);
            derive_at::<55>(engine, count);
        }
    }
}

#[test]
fn detect_chooses_a_path_that_can_be_forced() {
    let engine = Engine::detect();
    assert!(Engine::forced(engine.path()).is_some());
    eprintln!("detected: {}", engine.path());
}

/// A harness that cannot fail proves nothing: one lane under a neighbour's key must be caught.
#[test]
fn canary_permuted_keys_do_not_pass() {
    for engine in engines() {
        for count in [2, 3, 8, 16, 33] {
            let mut bytes = Bytes::new(count as u64);
            let (raw, keys) = keys(&mut bytes, count);
            let jobs: Vec<Job<'_>> =
                (0..count).map(|lane| Job::new(&keys[(lane + 1) % count], b"the same message")).collect();
            for (lane, got) in run(engine, &jobs).into_iter().enumerate() {
                assert_ne!(got, ring(&raw[lane], b"the same message"), "{} lane {lane}", engine.path());
                assert_eq!(got, ring(&raw[(lane + 1) % count], b"the same message"));
            }
        }
    }
}
