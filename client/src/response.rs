//! What a server answers to a request.

/// A verified response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The service's status.
    pub status: u16,
    /// The service's payload.
    pub payload: Vec<u8>,
}
