//! A known-answer check of an engine before it is trusted.

use core::array;

use subtle::ConstantTimeEq;

use crate::{Engine, HmacKey, Job, one};

/// A full group of the widest path.
const LANES: usize = 16;

/// Whether every lane of `engine` agrees with the portable single lane, over one and over several blocks.
///
/// Microseconds, and only where an engine is chosen: a fault of an instruction set, an emulator or a
/// compiler must not become a server that rejects every frame.
pub(crate) fn holds(engine: Engine) -> bool {
    let message: [u8; 200] = array::from_fn(|at| at as u8);
    let keys: [HmacKey; LANES] = array::from_fn(|lane| HmacKey::new(&message[lane..2 * lane + 8]));
    let mut derived = [const { HmacKey::blank() }; LANES];
    let inputs: [[u8; 9]; LANES] = array::from_fn(|lane| array::from_fn(|at| message[lane * 9 + at]));
    engine.derive(&keys.each_ref(), &inputs, &mut derived);
    // Each lane a different key; three more bytes a lane, so that block counts differ too.
    let jobs: [Job<'_>; LANES] = array::from_fn(|lane| Job::new(&derived[lane], &message[..40 + 3 * lane]));
    let mut macs = [[0; 32]; LANES];
    engine.mac(&jobs, &mut macs);
    (0..LANES).all(|lane| {
        let request = HmacKey::new(&one::mac(&keys[lane], &inputs[lane]));
        let expected = one::mac(&request, &message[..40 + 3 * lane]);
        bool::from(expected.ct_eq(&macs[lane]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Path;

    #[test]
    fn every_path_of_this_cpu_passes() {
        for engine in Path::ALL.into_iter().filter_map(Engine::forced) {
            assert!(holds(engine), "{}", engine.path());
        }
    }
}
