//! A tag holds only for its own key and message; a single wrong bit is seen in every lane.

mod oracle;

use mvt_lanes::{Claim, HmacKey, Job, mac_parts};
use oracle::{Bytes, engines, keys, ring};

fn truncated(mac: [u8; 32]) -> [u8; 16] {
    *mac.first_chunk().unwrap()
}

#[test]
fn verify_accepts_true_tags_and_rejects_each_flipped_bit() {
    for engine in engines() {
        for count in [1, 2, 3, 5, 8, 13, 16, 37] {
            let mut bytes = Bytes::new(count as u64);
            let (raw, keys) = keys(&mut bytes, count);
            let messages: Vec<[u8; 48]> = (0..count).map(|_| bytes.array()).collect();
            let jobs: Vec<Job<'_>> = keys.iter().zip(&messages).map(|(k, m)| Job::new(k, m)).collect();
            let tags: Vec<[u8; 16]> = raw.iter().zip(&messages).map(|(k, m)| truncated(ring(k, m))).collect();
            let mut ok = vec![false; count];
            engine.verify(&jobs, &tags, &mut ok);
            assert!(ok.iter().all(|&ok| ok), "{} count {count}", engine.path());
            for bit in 0..128 {
                // A different bit in every second lane; the others stay true.
                let mut wrong = tags.clone();
                for (lane, tag) in wrong.iter_mut().enumerate().skip(bit % 2).step_by(2) {
                    let bit = (bit + lane * 5) % 128;
                    tag[bit / 8] ^= 1 << (bit % 8);
                }
                engine.verify(&jobs, &wrong, &mut ok);
                for (lane, &ok) in ok.iter().enumerate() {
                    assert_eq!(ok, lane % 2 != bit % 2, "{} bit {bit} lane {lane}", engine.path());
                }
            }
        }
    }
}

#[test]
fn verify_of_mixed_lengths_answers_in_caller_order() {
    for engine in engines() {
        for seed in 0..30 {
            let mut bytes = Bytes::new(seed);
            let count = 1 + bytes.below(200);
            let (_, keys) = keys(&mut bytes, count);
            let message = bytes.vec(400);
            let binding: [u8; 16] = bytes.array();
            let mut jobs = Vec::new();
            for key in &keys {
                let length = bytes.below(400);
                jobs.push(Job::joined(key, &message[..length], &binding));
            }
            let expected: Vec<bool> = (0..count).map(|_| bytes.below(2) == 0).collect();
            let tag = |job: &Job<'_>, &holds: &bool| {
                let mut tag = truncated(mac_parts(job.key, &job.parts));
                tag[15] ^= u8::from(!holds);
                tag
            };
            let tags: Vec<[u8; 16]> =
                jobs.iter().zip(&expected).map(|(job, holds)| tag(job, holds)).collect();
            let mut ok = vec![false; count];
            engine.verify(&jobs, &tags, &mut ok);
            assert_eq!(ok, expected, "{} seed {seed}", engine.path());
        }
    }
}

#[test]
fn verify_derived_equals_derive_then_verify_and_leaves_the_keys() {
    for engine in engines() {
        for count in 0..=40 {
            for longest in [48, 200] {
                let mut bytes = Bytes::new(count as u64 + longest);
                let (raw, keys) = keys(&mut bytes, count);
                let inputs: Vec<[u8; 9]> = (0..count).map(|_| bytes.array()).collect();
                let messages: Vec<Vec<u8>> = (0..count)
                    .map(|_| {
                        let length = bytes.below(longest as usize + 1);
                        bytes.vec(length)
                    })
                    .collect();
                let request: Vec<[u8; 32]> = (0..count).map(|lane| ring(&raw[lane], &inputs[lane])).collect();
                let mut tags: Vec<[u8; 16]> =
                    (0..count).map(|lane| truncated(ring(&request[lane], &messages[lane]))).collect();
                tags.iter_mut().skip(1).step_by(3).for_each(|tag| tag[0] ^= 0x10);
                let claim = |lane: usize| Claim {
                    base_key: &keys[lane],
                    input: inputs[lane],
                    message: &messages[lane],
                    tag: &tags[lane],
                };
                let claims: Vec<Claim<'_, 9>> = (0..count).map(claim).collect();
                let mut out_keys: Vec<HmacKey> = (0..count).map(|_| HmacKey::blank()).collect();
                let mut ok = vec![false; count];
                engine.verify_derived(&claims, &mut out_keys, &mut ok);
                for lane in 0..count {
                    let context = format!("{} count {count} lane {lane}", engine.path());
                    assert_eq!(ok[lane], lane % 3 != 1, "{context}");
                    assert_eq!(
                        mac_parts(&out_keys[lane], &[b"answer"]),
                        ring(&request[lane], b"answer"),
                        "{context}"
                    );
                }
            }
        }
    }
}
