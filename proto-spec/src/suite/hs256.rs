//! HS256: HMAC-SHA256 truncated to 128 bits over header, payload and what the frame is bound to (SPEC §4).

use alloc::vec::Vec;
use core::ops::Range;

use mvt_lanes::{Claim, Engine, HmacKey, Job, MAC_BYTES, mac_parts};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{constants::TAG_BYTES, header::Flags, slot::REQUEST_KEY_INPUT_BYTES};

/// Frames set up at a time.
const SOME: usize = 32;

pub(super) fn seal(key: &HmacKey, frame: &mut [u8], bound_to: &[u8]) {
    let (signed, tag) = frame.split_at_mut(frame.len() - TAG_BYTES);
    tag.copy_from_slice(&mac_parts(key, &[signed, bound_to])[..TAG_BYTES]);
}

pub(super) fn open(key: &HmacKey, frame: &[u8], bound_to: &[u8]) -> bool {
    let (signed, tag) = frame.split_at(frame.len() - TAG_BYTES);
    mac_parts(key, &[signed, bound_to])[..TAG_BYTES].ct_eq(tag).into()
}

/// Request keys of many frames, each in its lane, and whether its tag held.
#[derive(Debug)]
pub(crate) struct Lanes {
    keys: Vec<HmacKey>,
    holds: Vec<bool>,
    used: usize,
}

impl Lanes {
    pub(crate) fn new(most: usize) -> Self {
        Self { keys: (0..most).map(|_| HmacKey::blank()).collect(), holds: alloc::vec![false; most], used: 0 }
    }

    /// Derives the keys of `count` requests and checks their tags; `request` gives slot key, key input and frame.
    pub(crate) fn open<'a>(
        &mut self,
        engine: Engine,
        count: usize,
        request: impl Fn(usize) -> (&'a HmacKey, [u8; REQUEST_KEY_INPUT_BYTES], &'a [u8]),
    ) {
        self.used = count;
        let claim = |lane| {
            let (base_key, input, frame) = request(lane);
            let (message, tag) = frame.split_last_chunk().expect("a frame ends with its tag");
            Claim { base_key, input, message, tag }
        };
        let places = self.keys[..count].chunks_mut(SOME).zip(self.holds[..count].chunks_mut(SOME));
        for (first, (keys, holds)) in (0..count).step_by(SOME).zip(places) {
            let mut claims = [claim(first); SOME];
            for (lane, place) in claims.iter_mut().enumerate().take(keys.len()).skip(1) {
                *place = claim(first + lane);
            }
            let claims = &claims[..keys.len()];
            engine.verify_derived(claims, keys, holds);
            for (holds, claim) in holds.iter_mut().zip(claims) {
                // §4.2: the sealed flag of the other suite is a bad tag.
                *holds &= !Flags(claim.message[3]).sealed();
            }
        }
    }

    /// Whether the tag of a lane held.
    #[inline]
    pub(crate) fn held(&self, lane: usize) -> bool {
        self.holds[lane]
    }

    /// Seals `count` answers in `bytes`; `answer` gives the lane of the key, where the answer is, and the tags of
    /// the requests it is bound to.
    pub(crate) fn seal<'a>(
        &self,
        engine: Engine,
        count: usize,
        bytes: &mut [u8],
        answer: impl Fn(usize) -> (usize, Range<usize>, &'a [u8]),
    ) {
        for first in (0..count).step_by(SOME) {
            let some = SOME.min(count - first);
            let mut macs = [[0; MAC_BYTES]; SOME];
            {
                let mut jobs = [Job::new(&self.keys[0], &[]); SOME];
                for (lane, job) in jobs[..some].iter_mut().enumerate() {
                    let (place, span, request_tags) = answer(first + lane);
                    let signed = &bytes[span.start..span.end - TAG_BYTES];
                    *job = Job::joined(&self.keys[place], signed, request_tags);
                }
                engine.mac(&jobs[..some], &mut macs[..some]);
            }
            for (lane, mac) in macs[..some].iter().enumerate() {
                let (_, span, _) = answer(first + lane);
                bytes[span.end - TAG_BYTES..span.end].copy_from_slice(&mac[..TAG_BYTES]);
            }
        }
    }

    /// Wipes every key.
    pub(crate) fn wipe(&mut self) {
        self.keys[..self.used].iter_mut().for_each(HmacKey::zeroize);
        self.used = 0;
    }
}
