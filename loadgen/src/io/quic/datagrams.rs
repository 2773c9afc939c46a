//! Whole frames in datagrams, as many as fit into each (SPEC §17.2.5).

use std::io;

use mvt_proto::{
    Kind, Role,
    framer::{Cut, cut},
};
use quinn_proto::SendDatagramError;

use super::{DATAGRAM_SEND_BYTES, QuicLink};
use crate::{io::inbox::Inbox, trouble::Trouble};

impl QuicLink {
    /// Takes what came in datagrams, then whole frames of the stream; true at the end of the stream.
    pub(super) fn read_datagrams(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        while let Some(datagram) = self.quic.datagrams().recv() {
            // Of anything else the next datagram would be read as the rest of a frame.
            if whole_bytes(&datagram) != datagram.len() {
                return Err(Trouble::Malformed.into());
            }
            inbox.take(&datagram);
        }
        let Some(stream) = self.stream else { return Ok(false) };
        let mut rest = std::mem::take(&mut self.rest);
        let is_over = self.read(stream, |bytes| rest.extend_from_slice(bytes));
        let whole = whole_bytes(&rest);
        inbox.take(&rest[..whole]);
        rest.drain(..whole);
        self.rest = rest;
        Ok(is_over)
    }

    /// Packs what the path takes now. Logins go by the stream, which loses nothing, and so do frames that no datagram holds.
    pub(super) fn write_datagrams(&mut self, outbox: &[u8], written: &mut usize) -> io::Result<()> {
        let bytes_max = self.quic.datagrams().max_size().unwrap_or(0);
        while *written < outbox.len() {
            let frames = &outbox[*written..];
            let packed = packed_bytes(frames, bytes_max);
            if packed == 0 {
                let end = *written + first_bytes(frames);
                self.write_stream(&outbox[..end], written)?;
                if *written < end {
                    break;
                }
                continue;
            }
            self.arena.extend_from_slice(&frames[..packed]);
            match self.quic.datagrams().send(self.arena.split().freeze(), false) {
                Ok(()) => *written += packed,
                Err(SendDatagramError::Blocked(_)) => break,
                // Too large all of a sudden, the path has shrunk: packed anew at the next turn.
                Err(SendDatagramError::TooLarge) => break,
                Err(_) => return Err(Trouble::Unreachable.into()),
            }
        }
        Ok(())
    }

    /// Whether no datagram waits for the path.
    pub(super) fn are_datagrams_sent(&mut self) -> bool {
        self.quic.datagrams().send_buffer_space() >= DATAGRAM_SEND_BYTES - EMPTY_BYTES
    }
}

/// What an empty buffer of datagrams counts as used, at most.
const EMPTY_BYTES: usize = 64;

/// Bytes of the first frame, which we sealed ourselves.
fn first_bytes(frames: &[u8]) -> usize {
    match frames.first_chunk() {
        Some(length) => (2 + usize::from(u16::from_be_bytes(*length))).min(frames.len()),
        None => frames.len(),
    }
}

/// Bytes of as many frames at the front as may go together in one datagram; 0 when the first has to go by the stream.
fn packed_bytes(frames: &[u8], bytes_max: usize) -> usize {
    let mut end = 0;
    while end < frames.len() {
        let next = end + first_bytes(&frames[end..]);
        let is_login = frames.get(end + 2).is_some_and(|byte| byte & 0x0f == Kind::Hello as u8);
        if is_login || next > bytes_max {
            break;
        }
        end = next;
    }
    end
}

/// Bytes of the whole frames of a server at the front.
fn whole_bytes(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Ok(Cut::Frame(length)) = cut(&bytes[whole..], Role::Client) {
        whole += length;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, length: usize) -> Vec<u8> {
        let mut frame = vec![0; length];
        frame[..2].copy_from_slice(&(length as u16 - 2).to_be_bytes());
        frame[2] = 0x10 | kind as u8;
        frame
    }

    #[test]
    fn frames_are_packed_whole_and_logins_go_by_the_stream() {
        let (request, login) = (frame(Kind::Req, 64), frame(Kind::Hello, 512));
        let frames = [&request[..], &request, &request, &login, &request].concat();
        assert_eq!(packed_bytes(&frames, 1172), 192, "up to the login");
        assert_eq!(packed_bytes(&frames, 191), 128);
        assert_eq!(packed_bytes(&frames, 63), 0, "no datagram holds it");
        assert_eq!((packed_bytes(&frames[192..], 1172), first_bytes(&frames[192..])), (0, 512));
    }

    #[test]
    fn only_whole_frames_of_a_server_are_taken() {
        let answers = [frame(Kind::Resp, 44), frame(Kind::Verdicts, 60)].concat();
        assert_eq!(whole_bytes(&answers), 104);
        assert_eq!(whole_bytes(&answers[..103]), 44);
        assert_eq!(whole_bytes(&frame(Kind::Req, 64)), 0, "a server sends no requests");
    }
}
