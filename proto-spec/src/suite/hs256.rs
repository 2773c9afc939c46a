//! HS256: HMAC-SHA256 truncated to 128 bits over header, payload and what the frame is bound to (SPEC §4).

use alloc::vec::Vec;
use core::ops::Range;

use mvt_lanes::{Engine, HmacKey, Job, MAC_BYTES, mac_parts};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::{
    constants::TAG_BYTES,
    header::Flags,
    slot::REQUEST_KEY_INPUT_BYTES,
    suite::{Tag, tag_of},
};

/// Lanes whose jobs are set up at a time, where there are few and where there are many.
const FEW: usize = 8;
const MANY: usize = 128;

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
        let mut at = 0;
        while at < count {
            let left = count - at;
            at += match left {
                0..=FEW => self.open_some::<FEW>(engine, at, left, &request),
                _ => self.open_some::<MANY>(engine, at, left.min(MANY), &request),
            };
        }
    }

    fn open_some<'a, const N: usize>(
        &mut self,
        engine: Engine,
        at: usize,
        count: usize,
        request: impl Fn(usize) -> (&'a HmacKey, [u8; REQUEST_KEY_INPUT_BYTES], &'a [u8]),
    ) -> usize {
        let mut slot_keys = [request(at).0; N];
        let mut inputs = [[0; REQUEST_KEY_INPUT_BYTES]; N];
        let mut messages: [[&[u8]; 1]; N] = [[&[]]; N];
        let mut tags = [Tag::default(); N];
        for lane in 0..count {
            let (slot_key, input, frame) = request(at + lane);
            slot_keys[lane] = slot_key;
            inputs[lane] = input;
            messages[lane] = [&frame[..frame.len() - TAG_BYTES]];
            tags[lane] = tag_of(frame);
        }
        let (keys, holds) = (&mut self.keys[at..at + count], &mut self.holds[at..at + count]);
        engine.verify_derived(
            &slot_keys[..count],
            &inputs[..count],
            &messages[..count],
            &tags[..count],
            keys,
            holds,
        );
        for (held, [message]) in holds.iter_mut().zip(&messages) {
            // §4.2: the sealed flag of the other suite is a bad tag.
            *held &= !Flags(message[3]).sealed();
        }
        count
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
        let mut at = 0;
        while at < count {
            let left = count - at;
            at += match left {
                0..=FEW => self.seal_some::<FEW>(engine, at, left, bytes, &answer),
                _ => self.seal_some::<MANY>(engine, at, left.min(MANY), bytes, &answer),
            };
        }
    }

    fn seal_some<'a, const N: usize>(
        &self,
        engine: Engine,
        at: usize,
        count: usize,
        bytes: &mut [u8],
        answer: impl Fn(usize) -> (usize, Range<usize>, &'a [u8]),
    ) -> usize {
        let mut macs = [[0; MAC_BYTES]; N];
        {
            let mut jobs = [Job::new(&self.keys[0], &[]); N];
            for (lane, job) in jobs[..count].iter_mut().enumerate() {
                let (place, span, request_tags) = answer(at + lane);
                let signed = &bytes[span.start..span.end - TAG_BYTES];
                *job = Job::joined(&self.keys[place], signed, request_tags);
            }
            engine.mac(&jobs[..count], &mut macs[..count]);
        }
        for (lane, mac) in macs[..count].iter().enumerate() {
            let (_, span, _) = answer(at + lane);
            bytes[span.end - TAG_BYTES..span.end].copy_from_slice(&mac[..TAG_BYTES]);
        }
        count
    }

    /// Wipes every key.
    pub(crate) fn wipe(&mut self) {
        self.keys[..self.used].iter_mut().for_each(HmacKey::zeroize);
        self.used = 0;
    }
}
