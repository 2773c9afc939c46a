//! Choosing an instruction set at run time.

use crate::{
    Path,
    portable::Portable,
    rung::{Ladder, Rung, Step},
};
#[cfg(target_arch = "x86_64")]
use crate::{avx2::Avx2, avx512::Avx512, shani::ShaNi};

/// Where SHA-NI exists a wide path is only ever forced, for tests and comparisons: a group of sixteen on AVX-512 costs what seventeen
/// lanes do there (Zen 4), one of eight on AVX2 what fifteen do. This keeps it busy when it is.
#[cfg(target_arch = "x86_64")]
const WIDE_LANES_MIN: u64 = 7;
/// Without SHA-NI a group of sixteen costs about as much as two software lanes.
#[cfg(target_arch = "x86_64")]
const AVX512_LANES_MIN_NO_SHA: u64 = 3;
/// As above for a group of eight.
#[cfg(target_arch = "x86_64")]
const AVX2_LANES_MIN_NO_SHA: u64 = 2;

const PORTABLE: Step = Step { rung: Rung::Portable(Portable), lanes_min: 0 };

/// The ladder of `path`, or `None` if this CPU lacks its instructions.
pub(crate) fn ladder(path: Path) -> Option<Ladder> {
    match path {
        Path::Portable => Some(Ladder::new(&[PORTABLE])),
        #[cfg(target_arch = "x86_64")]
        Path::ShaNi => ShaNi::new().map(|kernel| Ladder::new(&narrow(kernel))),
        #[cfg(target_arch = "x86_64")]
        Path::Avx2 => {
            let kernel = Rung::Avx2(Avx2::new()?);
            Some(below(kernel, AVX2_LANES_MIN_NO_SHA))
        }
        #[cfg(target_arch = "x86_64")]
        Path::Avx512 => {
            let kernel = Rung::Avx512(Avx512::new()?);
            Some(below(kernel, AVX512_LANES_MIN_NO_SHA))
        }
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    }
}

/// Fastest first, as measured: see the crate documentation.
pub(crate) const PREFERENCE: [Path; 4] = [Path::ShaNi, Path::Avx512, Path::Avx2, Path::Portable];

#[cfg(target_arch = "x86_64")]
const fn narrow(kernel: ShaNi) -> [Step; 2] {
    [Step { rung: Rung::ShaNi2(kernel), lanes_min: 2 }, Step { rung: Rung::ShaNi1(kernel), lanes_min: 0 }]
}

#[cfg(target_arch = "x86_64")]
fn below(rung: Rung, lanes_min_no_sha: u64) -> Ladder {
    match ShaNi::new() {
        Some(kernel) => {
            let [two, one] = narrow(kernel);
            Ladder::new(&[Step { rung, lanes_min: WIDE_LANES_MIN }, two, one])
        }
        None => Ladder::new(&[Step { rung, lanes_min: lanes_min_no_sha }, PORTABLE]),
    }
}
