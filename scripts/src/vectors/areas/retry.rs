//! To be written.

use crate::vectors::vector::Vector;

pub(super) fn vectors() -> Vec<Vector> {
    vec![]
}
