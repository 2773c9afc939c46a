//! What arrives from the server: answers, offers, tickets.

use bytes::BytesMut;
use mvt_proto::{
    Header, Kind, Role, constants::LENGTH_FIELD_BYTES, frame::control::Control, reject::ErrReason,
    session::Answer,
};
use tokio::time::Instant;

use crate::{
    Error, Response, Unknown, clock,
    quic::{engine::Engine, flight::Wanted},
};

impl Engine {
    /// Takes what arrived, one frame after the other.
    pub(super) fn take(&mut self, mut frames: BytesMut) {
        self.heard_at = Instant::now();
        while let Some(length) = frames.first_chunk::<LENGTH_FIELD_BYTES>() {
            let length = LENGTH_FIELD_BYTES + usize::from(u16::from_be_bytes(*length));
            if length > frames.len() {
                break;
            }
            let mut frame = frames.split_to(length);
            // What is no frame answers nothing: the request goes on waiting (SPEC §7.1.2).
            let Ok(header) = Header::parse(&frame, Role::Client) else { continue };
            if header.kind == Kind::Ctl {
                match Control::from_op(header.op) {
                    Ok(Control::Offer) => self.offer = Some(frame),
                    _ => self.control(&header, &mut frame),
                }
            } else if header.kind == Kind::Verdicts {
                self.take_verdicts(&header, &frame);
            } else if self.take_answer(&header, &mut frame) {
                self.is_proven = false;
                return self.lose(Unknown::KeyLost);
            }
        }
    }

    /// True when the server has lost the key.
    fn take_answer(&mut self, header: &Header, frame: &mut [u8]) -> bool {
        let Some(pending) = self.flight.get(header.generation, header.counter) else { return false };
        let Ok(answer) = self.bond.session.open_answer(pending, header, frame, clock::now_ms()) else {
            return false;
        };
        // A LOST proves nothing, nor does PENDING (SPEC §13.4.4).
        if !matches!(answer, Answer::Lost | Answer::Ended | Answer::Refused(ErrReason::Pending)) {
            self.bond.note_answer();
            self.is_proven = true;
        }
        let result = match answer {
            // A SHARE travels with its request: where one is, so is the other.
            Answer::Lost => return true,
            Answer::Ended => Err(Error::OutcomeUnknown(Unknown::KeyLost)),
            Answer::Response { status, payload } => Ok(Response { status, payload: payload.to_vec() }),
            Answer::Refused(ErrReason::Replay) => {
                // SPEC §17.2.7: an earlier copy stands.
                if !self.flight.note_replay((header.generation, header.counter), self.rtt()) {
                    return false;
                }
                Err(Error::OutcomeUnknown(Unknown::Replayed))
            }
            Answer::Refused(reason) => Err(Error::Refused(reason)),
        };
        let Some(wanted) = self.flight.take((header.generation, header.counter)) else { return false };
        if result == Err(Error::Refused(ErrReason::Stale)) && !wanted.again {
            // The clock is corrected by now (SPEC §6.4): once more, under a new counter.
            self.stale.push(Wanted { again: true, ..wanted });
        } else {
            let _ = wanted.answer.send(result);
        }
        false
    }

    /// Takes one answer to several requests (SPEC §7.4), as a whole or not at all.
    fn take_verdicts(&mut self, header: &Header, frame: &[u8]) {
        let opened = {
            let find = |counter| self.flight.get(header.generation, counter);
            self.bond.session.open_verdicts(header, frame, find)
        };
        let Ok(verdicts) = opened else { return };
        self.bond.note_answer();
        self.is_proven = true;
        for (counter, status) in verdicts {
            if let Some(wanted) = self.flight.take((header.generation, counter)) {
                let _ = wanted.answer.send(Ok(Response { status, payload: Vec::new() }));
            }
        }
    }

    /// Takes the OFFER, if there is one and nothing is on its way. What it asks for goes out with the next request (SPEC §11.2.6).
    pub(super) fn renew(&mut self) {
        if !self.flight.is_empty() {
            return;
        }
        let Some(mut offer) = self.offer.take() else { return };
        if let Ok(header) = Header::parse(&offer, Role::Client) {
            self.control(&header, &mut offer);
        }
    }

    /// A ticket, or an OFFER to be taken; one that does not open changes nothing (SPEC §11.1.1).
    fn control(&mut self, header: &Header, frame: &mut [u8]) {
        // The reply stays in the session until an answer has proved that it arrived.
        if let Err(cause) = self.bond.control(header, frame, &mut Vec::new()) {
            self.is_proven = false;
            self.lose(cause);
        }
    }
}
