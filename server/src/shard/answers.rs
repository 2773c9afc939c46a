//! The answers of one piece of a turn, behind each other in the order given, until they are sealed.

use std::ops::Range;

use crate::shard::batch::Origin;

/// Bytes that go to one place.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) origin: Origin,
    pub(super) span: Range<usize>,
    pub(super) is_verified: bool,
    /// Nothing more comes for the forwarded frame it answers.
    pub(super) is_last: bool,
}

/// Answers not sent yet. Its memory is reused by every turn.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Vec<Run>,
}

impl Answers {
    /// Notes that what follows `start` goes to `origin`. Neighbours for one connection become one run; what was forwarded
    /// goes back one by one.
    pub(super) fn note(&mut self, origin: Origin, start: usize, is_verified: bool) {
        let end = self.bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.origin == origin && matches!(origin, Origin::Here(_)) => run.span.end = end,
            _ => self.runs.push(Run { origin, span: start..end, is_verified, is_last: false }),
        }
    }

    /// Whether what is appended next for `origin` continues the last run.
    #[inline]
    pub(super) fn continues(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::Here(_)) && self.runs.last().is_some_and(|run| run.origin == *origin)
    }

    /// What was appended last belongs to the last run too.
    pub(super) fn extend_last(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.span.end = self.bytes.len();
        }
    }

    /// All is said of the frame that came from `origin`: the shard it was forwarded by is told so, with what was said last.
    #[inline]
    pub(super) fn end_frame(&mut self, origin: &Origin) {
        if let Origin::Forwarded { .. } = origin
            && let Some(run) = self.runs.last_mut()
        {
            debug_assert!(run.origin == *origin && !run.is_last, "each is answered, if with nothing");
            run.is_last = true;
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
    }
}
