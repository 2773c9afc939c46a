//! Answers of a line, or of a line that counts the bytes of a value after it.

use super::exchange::{Cut, Exchange, first_line, unfinished, wrong};

/// What a first line announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing more.
    Line,
    /// A value of so many bytes and the end of its line.
    Value(usize),
}

/// A look-up of one key that holds one value.
#[derive(Debug)]
pub struct Lookup {
    name: &'static str,
    request: Vec<u8>,
    right: Vec<u8>,
    /// `None` for a line that is not of the protocol.
    form: fn(&[u8]) -> Option<Form>,
}

impl Lookup {
    pub(super) fn new(
        name: &'static str,
        request: String,
        right: String,
        form: fn(&[u8]) -> Option<Form>,
    ) -> Self {
        Self { name, request: request.into_bytes(), right: right.into_bytes(), form }
    }
}

impl Exchange for Lookup {
    fn name(&self) -> &'static str {
        self.name
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        if bytes.starts_with(&self.right) {
            return Cut::Right(self.right.len());
        }
        let Some((line, after)) = first_line(bytes) else { return unfinished(bytes) };
        match (self.form)(line) {
            Some(Form::Line) => wrong(bytes, after),
            Some(Form::Value(length)) => wrong(bytes, after.saturating_add(length).saturating_add(2)),
            None => Cut::Malformed,
        }
    }
}
