//! How requests are answered.

use std::{fmt, str::FromStr};

/// One by one, or together where the server can (SPEC §7.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answers {
    /// An answer for each request.
    Each,
    /// Requests ask to be answered together; the server joins neighbours without a payload in the answer.
    #[default]
    Joint,
}

const NAMES: [(Answers, &str); 2] = [(Answers::Each, "each"), (Answers::Joint, "joint")];

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(answers, _)| answers == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for Answers {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(answers, _)| *answers).ok_or("expected each or joint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written_and_others_refused() {
        for (answers, name) in NAMES {
            assert_eq!((name.parse(), answers.to_string()), (Ok(answers), name.to_owned()));
        }
        assert!("both".parse::<Answers>().is_err());
    }
}
