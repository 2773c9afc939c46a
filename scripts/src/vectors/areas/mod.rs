//! Every vector, area by area.

use super::vector::Vector;

pub(super) fn all() -> Vec<Vector> {
    vec![]
}
