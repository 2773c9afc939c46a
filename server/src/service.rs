//! What is done with a verified request.

use mvt_proto::constants::PAYLOAD_BYTES_MAX;

/// Executes verified requests. One instance per shard; called once for each accepted counter.
pub trait Service: Send {
    /// Writes the answer's payload, at most 16384 bytes, into `answer` (empty at the call) and returns its status.
    fn execute(&mut self, op: u16, payload: &[u8], answer: &mut Vec<u8>) -> u16;
}

/// The services that come with the server, by their name in `service.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// The answer is the verdict: status 0, no payload.
    Verdict,
    /// The answer carries the request's op as status and its payload.
    Echo,
}

impl ServiceKind {
    /// A service of this kind for one shard.
    #[must_use]
    pub fn build(self) -> Box<dyn Service> {
        match self {
            Self::Verdict => Box::new(Verdict),
            Self::Echo => Box::new(Echo),
        }
    }
}

struct Verdict;

impl Service for Verdict {
    fn execute(&mut self, _op: u16, _payload: &[u8], _answer: &mut Vec<u8>) -> u16 {
        0
    }
}

struct Echo;

impl Service for Echo {
    fn execute(&mut self, op: u16, payload: &[u8], answer: &mut Vec<u8>) -> u16 {
        debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX);
        answer.extend_from_slice(payload);
        op
    }
}
