//! Bytes on one long-lived stream, in order.

use std::io;

use quinn_proto::{ReadError, StreamId, WriteError};

use super::QuicLink;
use crate::io::inbox::Inbox;

impl QuicLink {
    /// Reads until there is nothing more; true at the end of the stream.
    pub(super) fn read_stream(&mut self, inbox: &mut Inbox) -> bool {
        self.stream.is_some_and(|stream| self.read(stream, |bytes| inbox.take(bytes)))
    }

    /// Reads `stream` until there is nothing more; true at its end.
    pub(super) fn read(&mut self, stream: StreamId, mut each: impl FnMut(&[u8])) -> bool {
        let mut receive = self.quic.recv_stream(stream);
        let Ok(mut chunks) = receive.read(true) else { return false };
        let is_over = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => each(&chunk.bytes),
                Ok(None) | Err(ReadError::Reset(_)) => break true,
                Err(ReadError::Blocked) => break false,
            }
        };
        // Whether it made something to send: every turn asks anyway.
        let _ = chunks.finalize();
        is_over
    }

    /// Writes what the stream takes now.
    pub(super) fn write_stream(&mut self, outbox: &[u8], written: &mut usize) -> io::Result<()> {
        let Some(stream) = self.stream else { return Ok(()) };
        while *written < outbox.len() {
            match self.quic.send_stream(stream).write(&outbox[*written..]) {
                Ok(count) => *written += count,
                Err(WriteError::Blocked) => break,
                Err(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        Ok(())
    }
}
