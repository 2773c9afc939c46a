//! Snapshots that were replaced: they are taken apart on the thread that made them, never on one that has just read them.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Former snapshots of one kind that may still be read. To free one of a million clients takes tenths of a second, and a reader that is
/// the last to let go of it, a shard say, would do that.
#[derive(Debug)]
pub(super) struct Retired<T>(Vec<Arc<T>>);

impl<T> Default for Retired<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Retired<T> {
    /// Puts `next` in the place of what stands in `place`, and keeps that.
    pub(super) fn replace(&mut self, place: &ArcSwap<T>, next: T) {
        self.0.push(place.swap(Arc::new(next)));
        self.free();
    }

    /// Frees those nobody reads: nobody can begin to, so a count of one stays one.
    pub(super) fn free(&mut self) {
        self.0.retain(|former| Arc::strong_count(former) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_never_the_last_to_let_go() {
        let (place, mut retired) = (ArcSwap::from_pointee(1), Retired::default());
        let former = Arc::downgrade(&place.load_full());
        let read = place.load();
        retired.replace(&place, 2);
        assert_eq!((**read, **place.load()), (1, 2));
        drop(read);
        assert_eq!(former.strong_count(), 1, "it is kept, though nobody reads it");
        retired.free();
        assert_eq!(former.strong_count(), 0);
        retired.replace(&place, 3);
        assert!(retired.0.is_empty(), "what nobody read goes at once");
    }
}
