//! Payloads with a layout of their own, one file per kind (SPEC §10, §11, §14).

pub mod control;
pub mod grant;
pub mod hello;
pub mod retry;

/// Takes fields off the front of a payload; what is left over cannot be forgotten, `end` asks for it.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], crate::Reject> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(crate::Reject::Field)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `bytes` bytes (at most 8) as an unsigned integer.
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64, crate::Reject> {
        Ok(self.take(bytes)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(crate) const fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn end(self) -> Result<(), crate::Reject> {
        if self.0.is_empty() { Ok(()) } else { Err(crate::Reject::Field) }
    }
}
