//! Inputs of a case, read by name.

use crate::{
    hex::decode,
    reference::{frame::Role, suite::Suite},
};
use serde_json::{Map, Value};

/// The inputs of a case do not fit its operation.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// There is no such operation.
    #[error("unknown operation")]
    UnknownOperation,
    /// The case is not an object.
    #[error("a case is an object")]
    NotAnObject,
    /// A field is missing, or not of its type or size.
    #[error("field {0:?} is missing or malformed")]
    Field(&'static str),
}

/// The fields of a case.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a>(&'a Map<String, Value>);

impl<'a> Inputs<'a> {
    /// The fields of an object.
    pub fn new(value: &'a Value) -> Result<Self, InputError> {
        value.as_object().map(Self).ok_or(InputError::NotAnObject)
    }

    /// Text.
    pub fn text(&self, name: &'static str) -> Result<&'a str, InputError> {
        self.0.get(name).and_then(Value::as_str).ok_or(InputError::Field(name))
    }

    /// A number that fits `T`.
    pub fn number<T: TryFrom<u64>>(&self, name: &'static str) -> Result<T, InputError> {
        let number = self.0.get(name).and_then(Value::as_u64).ok_or(InputError::Field(name))?;
        T::try_from(number).map_err(|_| InputError::Field(name))
    }

    /// Bytes.
    pub fn bytes(&self, name: &'static str) -> Result<Vec<u8>, InputError> {
        decode(self.text(name)?).ok_or(InputError::Field(name))
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&self, name: &'static str) -> Result<[u8; N], InputError> {
        self.bytes(name)?.try_into().map_err(|_| InputError::Field(name))
    }

    /// A key id: eight bytes of hex, since JSON numbers are not wide enough.
    pub fn key_id(&self, name: &'static str) -> Result<u64, InputError> {
        Ok(u64::from_be_bytes(self.array(name)?))
    }

    /// An object inside.
    pub fn object(&self, name: &'static str) -> Result<Inputs<'a>, InputError> {
        Inputs::new(self.0.get(name).ok_or(InputError::Field(name))?)
    }

    fn list(&self, name: &'static str) -> Result<&'a Vec<Value>, InputError> {
        self.0.get(name).and_then(Value::as_array).ok_or(InputError::Field(name))
    }

    /// A list of bytes.
    pub fn bytes_list(&self, name: &'static str) -> Result<Vec<Vec<u8>>, InputError> {
        let bytes = |value: &Value| decode(value.as_str()?);
        self.list(name)?.iter().map(|value| bytes(value).ok_or(InputError::Field(name))).collect()
    }

    /// A list of numbers that fit `T`.
    pub fn numbers<T: TryFrom<u64>>(&self, name: &'static str) -> Result<Vec<T>, InputError> {
        let number = |value: &Value| T::try_from(value.as_u64()?).ok();
        self.list(name)?.iter().map(|value| number(value).ok_or(InputError::Field(name))).collect()
    }

    /// A list of objects.
    pub fn objects(&self, name: &'static str) -> Result<Vec<Inputs<'a>>, InputError> {
        self.list(name)?.iter().map(Inputs::new).collect()
    }

    /// The receiver's role.
    pub fn role(&self) -> Result<Role, InputError> {
        match self.text("role")? {
            "server" => Ok(Role::Server),
            "client" => Ok(Role::Client),
            _ => Err(InputError::Field("role")),
        }
    }

    /// A suite by its number.
    pub fn suite(&self) -> Result<Suite, InputError> {
        Suite::of(self.number("suite")?).ok_or(InputError::Field("suite"))
    }
}
