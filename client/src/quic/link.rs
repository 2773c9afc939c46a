//! A connection as the engine uses it: frames by the stream, frames in datagrams.

use bytes::{Bytes, BytesMut};
use mvt_proto::{
    Role,
    framer::{Cut, cut},
};
use quinn::ConnectionError;

use crate::{LoginError, quic::dial::Dialed};

/// Bytes asked of the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) dialed: Dialed,
    /// Of the stream: received and not yet cut.
    received: BytesMut,
    /// Room for datagrams when none waits to be sent.
    room_bytes_max: usize,
}

impl Link {
    pub(super) fn new(dialed: Dialed) -> Self {
        let room_bytes_max = dialed.connection.datagram_send_buffer_space();
        Self { dialed, received: BytesMut::new(), room_bytes_max }
    }

    /// Whether datagrams wait to be sent: the path takes no more at present.
    pub(super) fn is_congested(&self) -> bool {
        self.dialed.connection.datagram_send_buffer_space() < self.room_bytes_max
    }

    /// Why a login got no answer: its server refused it by closing (SPEC §10.3.3), or the connection broke.
    pub(super) fn why_ended(&self) -> LoginError {
        match self.dialed.connection.close_reason() {
            None | Some(ConnectionError::ApplicationClosed(_)) => LoginError::Refused,
            Some(error) => LoginError::Io(std::io::Error::from(error).kind()),
        }
    }

    pub(super) async fn send_by_stream(&mut self, bytes: &[u8]) -> Result<(), quinn::WriteError> {
        self.dialed.send.write_all(bytes).await
    }

    /// Sends whole frames in as few datagrams as hold them (SPEC §17.2.5); those that no datagram holds go by the stream.
    pub(super) async fn send_by_datagrams(&mut self, frames: &[Bytes]) -> Result<(), ConnectionError> {
        let bytes_max = self.dialed.connection.max_datagram_size().unwrap_or(0);
        let mut packed = BytesMut::new();
        for frame in frames {
            if frame.len() > bytes_max {
                self.dialed.send.write_all(frame).await.map_err(|_| ConnectionError::LocallyClosed)?;
                continue;
            }
            if packed.len() + frame.len() > bytes_max {
                self.send_datagram(packed.split().freeze()).await?;
            }
            packed.extend_from_slice(frame);
        }
        if packed.is_empty() { Ok(()) } else { self.send_datagram(packed.freeze()).await }
    }

    async fn send_datagram(&mut self, datagram: Bytes) -> Result<(), ConnectionError> {
        match self.dialed.connection.send_datagram_wait(datagram).await {
            // Too large all of a sudden: the path has shrunk. It is as if it were lost.
            Ok(()) | Err(quinn::SendDatagramError::TooLarge) => Ok(()),
            Err(quinn::SendDatagramError::ConnectionLost(error)) => Err(error),
            Err(_) => Err(ConnectionError::LocallyClosed),
        }
    }

    /// The next frame of the stream; `None` at its end, or when it is none. Safe to be dropped before it is ready.
    pub(super) async fn next_stream_frame(&mut self) -> Option<BytesMut> {
        loop {
            if let Cut::Frame(length) = cut(&self.received, Role::Client).ok()? {
                return Some(self.received.split_to(length));
            }
            let chunk = self.dialed.receive.read_chunk(READ_BYTES, true).await.ok()??;
            self.received.extend_from_slice(&chunk.bytes);
        }
    }

    /// The next of the two ways that has something: frames behind each other. `None` when the connection is over.
    pub(super) async fn next_frames(&mut self) -> Option<BytesMut> {
        let connection = self.dialed.connection.clone();
        tokio::select! {
            datagram = connection.read_datagram() => datagram.ok().map(BytesMut::from),
            frame = self.next_stream_frame() => frame,
        }
    }
}
