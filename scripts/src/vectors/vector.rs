//! One vector: a property, an operation, cases.

use super::run::{InputError, run};
use serde_json::{Value, json};

/// Why vectors could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VectorError {
    /// The inputs of a case do not fit its operation.
    #[error("{name}, case {case}: {source}")]
    Input {
        /// The vector.
        name: &'static str,
        /// Which case, from 0.
        case: usize,
        /// What is wrong.
        source: InputError,
    },
    /// The reference does not say what the property says.
    #[error("{name}, case {case}: expected {expected}, the reference gives {given}")]
    Disagrees {
        /// The vector.
        name: &'static str,
        /// Which case, from 0.
        case: usize,
        /// What the property says.
        expected: String,
        /// What the reference gives.
        given: String,
    },
    /// Two vectors of one name.
    #[error("{0} is there twice")]
    Twice(&'static str),
}

#[derive(Debug)]
enum Must {
    Be(Value),
    BeOk,
}

#[derive(Debug)]
struct Case {
    comment: String,
    inputs: Value,
    must: Must,
}

/// A file of `proto-spec/vectors`.
#[derive(Debug)]
pub struct Vector {
    /// The file's name without `.json`: area, underscore, property.
    pub name: &'static str,
    spec: &'static str,
    op: &'static str,
    property: &'static str,
    cases: Vec<Case>,
}

impl Vector {
    /// A vector without cases.
    pub fn new(name: &'static str, spec: &'static str, op: &'static str, property: &'static str) -> Self {
        Self { name, spec, op, property, cases: Vec::new() }
    }

    /// A case that succeeds; the reference says with what.
    pub fn ok(self, comment: impl Into<String>, inputs: Value) -> Self {
        self.push(comment.into(), inputs, Must::BeOk)
    }

    /// A case refused for `reason`.
    pub fn reject(self, comment: impl Into<String>, inputs: Value, reason: &str) -> Self {
        self.gives(comment, inputs, json!({ "reject": reason }))
    }

    /// A case with exactly this outcome.
    pub fn gives(self, comment: impl Into<String>, inputs: Value, expect: Value) -> Self {
        self.push(comment.into(), inputs, Must::Be(expect))
    }

    fn push(mut self, comment: String, inputs: Value, must: Must) -> Self {
        self.cases.push(Case { comment, inputs, must });
        self
    }

    /// The text of the file: every case run on the reference, every outcome as the property says.
    pub fn render(&self) -> Result<String, VectorError> {
        let (area, _) = self.name.split_once('_').unwrap_or((self.name, ""));
        let mut cases = Vec::new();
        for (case, Case { comment, inputs, must }) in self.cases.iter().enumerate() {
            let given = run(self.op, inputs).map_err(|source| VectorError::Input {
                name: self.name,
                case,
                source,
            })?;
            let agrees = match must {
                Must::Be(expected) => *expected == given,
                Must::BeOk => given.get("ok").is_some(),
            };
            if !agrees {
                let expected = if let Must::Be(value) = must { value.to_string() } else { "ok".to_owned() };
                let given = given.to_string();
                return Err(VectorError::Disagrees { name: self.name, case, expected, given });
            }
            let mut row = serde_json::Map::new();
            if !comment.is_empty() {
                row.insert("comment".to_owned(), json!(comment));
            }
            row.extend(inputs.as_object().cloned().unwrap_or_default());
            row.insert("expect".to_owned(), given);
            cases.push(Value::Object(row));
        }
        let file = json!({
            "property": self.property,
            "spec": self.spec,
            "area": area,
            "op": self.op,
            "cases": cases,
        });
        Ok(format!("{file:#}\n"))
    }
}
