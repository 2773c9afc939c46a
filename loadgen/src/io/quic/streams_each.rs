//! A stream for each request, as a peer of comparisons has it. All requests are alike, so an answer is given to the oldest
//! request that waits, whichever it is of: the average latency is right, a percentile nearly so.

use std::{collections::HashMap, io};

use quinn_proto::{Dir, StreamId};

use super::QuicLink;
use crate::{io::inbox::Inbox, trouble::Trouble};

/// Streams whose answers are on their way.
#[derive(Debug, Default)]
pub(super) struct Answers {
    readable: Vec<StreamId>,
    /// What came of answers that are not whole.
    parts: HashMap<StreamId, Vec<u8>>,
}

impl Answers {
    pub(super) fn note(&mut self, stream: StreamId) {
        self.readable.push(stream);
    }
}

impl QuicLink {
    /// Takes the answers that are whole: each as long as its request, to the end of its stream.
    pub(super) fn read_answers(&mut self, request_bytes: usize, inbox: &mut Inbox) -> io::Result<bool> {
        let mut readable = std::mem::take(&mut self.answers.readable);
        for stream in readable.drain(..) {
            let mut answer = self.answers.parts.remove(&stream).unwrap_or_default();
            if !self.read(stream, |bytes| answer.extend_from_slice(bytes)) {
                // Nothing of a stream that was named twice and has ended.
                if !answer.is_empty() {
                    self.answers.parts.insert(stream, answer);
                }
            } else if answer.len() == request_bytes {
                inbox.take(&answer);
            } else {
                return Err(Trouble::Malformed.into());
            }
        }
        self.answers.readable = readable;
        Ok(false)
    }

    /// Opens streams as long as the server allows more.
    pub(super) fn write_requests(
        &mut self,
        request_bytes: usize,
        outbox: &[u8],
        written: &mut usize,
    ) -> io::Result<()> {
        while *written < outbox.len() {
            let Some(stream) = self.quic.streams().open(Dir::Bi) else { break };
            let request = &outbox[*written..*written + request_bytes];
            let mut send = self.quic.send_stream(stream);
            // So little always fits into the window of a new stream.
            if send.write(request).ok() != Some(request_bytes) || send.finish().is_err() {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            *written += request_bytes;
        }
        Ok(())
    }
}
