//! The engine: batches in, results out in the caller's order.

use core::array;

use subtle::ConstantTimeEq;

use crate::{Claim, HmacKey, Job, MAC_BYTES, Path, TAG_BYTES, dispatch, plan, rung::Ladder, self_check};

/// Longest input of [`Engine::derive`]: what fits one block with its padding.
pub const DERIVE_INPUT_BYTES_MAX: usize = 55;

/// A batch engine on one [`Path`]. Make it once; it is small, `Copy` and has no state.
///
/// Every method takes slices of equal length and panics if they differ: that is a bug of the caller,
/// never something a peer can cause.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    path: Path,
    ladder: Ladder,
}

impl Engine {
    /// The fastest path of this CPU: SHA-NI, then AVX-512, then AVX2, then portable.
    ///
    /// Each candidate first answers a known question in every lane and is passed over if it errs; that takes
    /// microseconds, so call this at start-up, not for each batch.
    #[must_use]
    pub fn detect() -> Self {
        let trusted = |path| Self::forced(path).filter(|&engine| self_check::holds(engine));
        dispatch::PREFERENCE.into_iter().find_map(trusted).expect("the portable path agrees with itself")
    }

    /// The engine on `path`, or `None` if this CPU or its operating system lacks it.
    ///
    /// A wide path still hands groups that would leave most lanes idle to a narrower one.
    #[must_use]
    pub fn forced(path: Path) -> Option<Self> {
        dispatch::ladder(path).map(|ladder| Self { path, ladder })
    }

    /// The path in use.
    #[must_use]
    pub const fn path(self) -> Path {
        self.path
    }

    /// HMAC-SHA256 of every job: `out[i]` for `jobs[i]`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn mac(self, jobs: &[Job<'_>], out: &mut [[u8; MAC_BYTES]]) {
        assert_eq!(jobs.len(), out.len(), "one output for each job");
        plan::mac(self.ladder, jobs.len(), |index| jobs[index], |index, mac| out[index] = *mac);
    }

    /// HMAC-SHA256 of one short input under each key, raw: for keys of other algorithms.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn derive_bytes<const N: usize>(
        self,
        keys: &[&HmacKey],
        inputs: &[[u8; N]],
        out: &mut [[u8; MAC_BYTES]],
    ) {
        assert_eq!((keys.len(), inputs.len()), (out.len(), out.len()), "one key and input for each output");
        let job_at = |index: usize| Job::new(keys[index], &inputs[index]);
        plan::mac(self.ladder, out.len(), job_at, |index, mac| out[index] = *mac);
    }

    /// HMAC-SHA256 of one short input under each key, each output made the key of a new HMAC.
    ///
    /// Four compressions a lane. The 32-byte outputs in between never reach the caller.
    ///
    /// # Panics
    /// If the lengths differ. Does not compile for `N` over [`DERIVE_INPUT_BYTES_MAX`].
    pub fn derive<const N: usize>(self, keys: &[&HmacKey], inputs: &[[u8; N]], out: &mut [HmacKey]) {
        const { assert!(N <= DERIVE_INPUT_BYTES_MAX, "the input of a derivation is one block") };
        assert_eq!((keys.len(), inputs.len()), (out.len(), out.len()), "one key and input for each output");
        plan::derive(self.ladder, |index| (keys[index], &inputs[index]), out);
    }

    /// Checks a 128-bit truncated tag of every job: `out[i]` says whether `tags[i]` holds for `jobs[i]`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn verify(self, jobs: &[Job<'_>], tags: &[[u8; TAG_BYTES]], out: &mut [bool]) {
        assert_eq!((jobs.len(), tags.len()), (out.len(), out.len()), "one job and tag for each output");
        let sink = |index: usize, mac: &[u8; MAC_BYTES]| out[index] = tag_holds(mac, &tags[index]);
        plan::mac(self.ladder, jobs.len(), |index| jobs[index], sink);
    }

    /// Derives a key for each message and checks the message's tag under it; the keys stay for the answer.
    ///
    /// `out_keys[i]` is what [`Engine::derive`] makes of the base key and the input of `claims[i]`; `out_ok[i]` says whether its
    /// tag holds for its message under that. Six compressions for a message of at most 55 bytes. It is `derive` then
    /// `verify` without a place for jobs that borrow the new keys, not a fused kernel: a derived key goes to memory for the
    /// answer anyway, and reading it back is a few loads beside six compressions.
    ///
    /// # Panics
    /// If the lengths differ. Does not compile for `N` over [`DERIVE_INPUT_BYTES_MAX`].
    pub fn verify_derived<const N: usize>(
        self,
        claims: &[Claim<'_, N>],
        out_keys: &mut [HmacKey],
        out_ok: &mut [bool],
    ) {
        const { assert!(N <= DERIVE_INPUT_BYTES_MAX, "the input of a derivation is one block") };
        let count = claims.len();
        assert_eq!((out_keys.len(), out_ok.len()), (count, count), "one key and one verdict for each claim");
        plan::derive(self.ladder, |index| (claims[index].base_key, &claims[index].input), out_keys);
        let job_at = |index: usize| Job::new(&out_keys[index], claims[index].message);
        let sink = |index: usize, mac: &[u8; MAC_BYTES]| out_ok[index] = tag_holds(mac, claims[index].tag);
        plan::mac(self.ladder, count, job_at, sink);
    }
}

/// Constant-time comparison of a truncated tag.
#[inline(always)]
fn tag_holds(mac: &[u8; MAC_BYTES], tag: &[u8; TAG_BYTES]) -> bool {
    let word = |bytes: &[u8], at: usize| u64::from_ne_bytes(array::from_fn(|byte| bytes[at + byte]));
    let differences = (word(mac, 0) ^ word(tag, 0)) | (word(mac, 8) ^ word(tag, 8));
    differences.ct_eq(&0).into()
}
