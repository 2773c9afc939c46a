//! AES-256-GCM under a key that serves one exchange: open a request of 20 bytes, seal an answer without payload.
//!
//! `cargo bench -p mvt-benches --bench gcm` prints ns an exchange in CPU time of the thread: RustCrypto, which the core uses,
//! beside ring, and the parts of the former. Rows are visited in turn; medians, with the fastest round.

use std::hint::black_box;

use aes_gcm::{
    AesGcm, KeyInit,
    aead::{AeadInOut, consts::U12},
    aes::{Aes256Enc, cipher::BlockCipherEncrypt},
};
use ghash::{GHash, universal_hash::UniversalHash};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const CALLS: usize = 4096;
const ROUNDS: usize = 41;
const REQUEST_AAD: [u8; 28] = [1; 28];
const ANSWER_AAD: [u8; 44] = [2; 44];
const PAYLOAD: [u8; 20] = *b"twenty payload bytes";
const NONCE: [u8; 12] = [3; 12];

type Cipher = AesGcm<Aes256Enc, U12>;

/// A different key each time, as a request has.
fn key(number: usize) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn rustcrypto(number: usize) {
    let cipher = Cipher::new(&key(number).into());
    let mut payload = black_box(PAYLOAD);
    // Sealing costs what opening costs, and its tag is always right.
    let tag = cipher.encrypt_inout_detached(&NONCE.into(), &REQUEST_AAD, payload.as_mut_slice().into());
    black_box(tag.expect("sealed"));
    let tag = cipher.encrypt_inout_detached(&NONCE.into(), &ANSWER_AAD, [].as_mut_slice().into());
    black_box(tag.expect("sealed"));
}

fn ring(number: usize) {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key(number)).expect("32 bytes"));
    let nonce = || Nonce::assume_unique_for_key(NONCE);
    let mut payload = black_box(PAYLOAD);
    let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(REQUEST_AAD), &mut payload);
    let _ = black_box(tag.expect("sealed"));
    let none: &mut [u8] = &mut [];
    let tag = key.seal_in_place_separate_tag(nonce(), Aad::from(ANSWER_AAD), none);
    let _ = black_box(tag.expect("sealed"));
}

fn whole_cipher_made_and_wiped(number: usize) {
    black_box(Cipher::new(&key(number).into()));
}

fn ring_key_made(number: usize) {
    black_box(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key(number)).expect("32 bytes")));
}

fn aes_key_made_and_wiped(number: usize) {
    black_box(Aes256Enc::new(&key(number).into()));
}

fn ghash_key_made_and_wiped(number: usize) {
    let mut half = [0; 16];
    half.copy_from_slice(&key(number)[..16]);
    black_box(GHash::new(&half.into()));
}

fn ghash_of_five_blocks(hash: &GHash) {
    let mut hash = hash.clone();
    hash.update_padded(&REQUEST_AAD);
    hash.update_padded(&PAYLOAD);
    hash.update(&[[5; 16].into()]);
    black_box(hash.finalize());
}

fn four_blocks_of_aes(cipher: &Aes256Enc) {
    let mut blocks = [[1; 16].into(), [2; 16].into(), [3; 16].into(), [4; 16].into()];
    cipher.encrypt_blocks(&mut blocks);
    black_box(blocks);
}

fn zeroize_of_240_bytes(number: usize) {
    let mut bytes = black_box([number as u8; 240]);
    zeroize::Zeroize::zeroize(&mut bytes);
    black_box(&bytes);
}

/// Time this thread has spent on a core: other work on the machine is not counted.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn main() {
    let hash = GHash::new(&[9; 16].into());
    let cipher = Aes256Enc::new(&key(1).into());
    let rows: [(&str, &dyn Fn(usize)); 9] = [
        ("exchange, RustCrypto", &rustcrypto),
        ("exchange, ring (keys are not wiped)", &ring),
        ("  RustCrypto: cipher made and wiped", &whole_cipher_made_and_wiped),
        ("  ring: key made", &ring_key_made),
        ("    AES key schedule, wiped", &aes_key_made_and_wiped),
        ("    GHASH key, wiped", &ghash_key_made_and_wiped),
        ("    GHASH of five blocks, state copied and wiped", &|_| ghash_of_five_blocks(&hash)),
        ("    AES of four blocks", &|_| four_blocks_of_aes(&cipher)),
        ("    zeroize of 240 bytes", &zeroize_of_240_bytes),
    ];
    let mut samples = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for ((_, row), samples) in rows.iter().zip(&mut samples) {
            let start = cpu_ns();
            (0..CALLS).for_each(row);
            samples.push((cpu_ns() - start) as f64 / CALLS as f64);
        }
    }
    let first = median(&mut samples[0].clone());
    for ((name, _), samples) in rows.iter().zip(&mut samples) {
        let median = median(samples);
        println!("{name:50} {median:7.1} ({:7.1}) ns, {:.2} of the first", samples[0], median / first);
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
