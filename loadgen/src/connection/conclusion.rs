//! What the answers to a session's requests mean: opened together, concluded one by one in the order received.

use arrayvec::ArrayVec;
use mvt_proto::{
    Header, Kind, Reject, Role,
    constants::VERDICTS_MAX,
    framer::{self, Cut},
    reject::ErrReason,
    session::{Answer, ClientSession, Received},
};

use super::{
    Arrival,
    established::{Established, SOME},
    outgoing::{Sent, Twice},
};
use crate::{
    tally::{Refusal, Tally},
    trouble::Trouble,
    workload::Bad,
};

/// What one answer said.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// Its tag did not hold, or it was no answer to this request.
    Invalid,
    Response,
    Refused(Refusal),
    /// The server has not the newest key: its SHARE may have been lost.
    Unready,
}

impl Said {
    const fn of(answer: &Result<Answer<'_>, Reject>) -> Self {
        match answer {
            Err(_) => Self::Invalid,
            Ok(Answer::Response { .. }) => Self::Response,
            Ok(Answer::Refused(reason)) => Self::Refused(Refusal::Err(*reason)),
            Ok(Answer::Lost | Answer::Ended) => Self::Refused(Refusal::Lost),
        }
    }
}

/// One answer, concluded from what was sent.
struct Heard {
    generation: u16,
    counter: u64,
    kind: Kind,
    said: Said,
}

impl Heard {
    const fn is_response(&self) -> bool {
        matches!(self.said, Said::Response)
    }
}

/// Answers in a row that came at one instant to requests written at one instant: counted as one.
#[derive(Default)]
struct Run {
    count: u64,
    from_ns: u64,
    measured: bool,
}

impl Run {
    #[inline]
    fn add(&mut self, sent: &Sent, arrival: Arrival, tally: &mut Tally) {
        let (from_ns, measured) = (sent.from_ns.get(), sent.measured);
        if (from_ns, measured) != (self.from_ns, self.measured) {
            self.end(arrival, tally);
            *self = Self { count: 0, from_ns, measured };
        }
        self.count += 1;
    }

    fn end(&self, arrival: Arrival, tally: &mut Tally) {
        if self.count > 0 {
            tally.conclude(self.count, self.measured, self.from_ns, arrival.at_ns, arrival.phase);
        }
    }
}

impl Established {
    /// Opens the answers at the front of `bytes` that are of this session, up to [`SOME`] of them: how many bytes they were.
    /// The first frame is whole, well formed and of this session.
    pub(super) fn accept(&mut self, bytes: &mut [u8], arrival: Arrival, tally: &mut Tally) -> usize {
        if bytes[2] & 0x0f == Kind::Verdicts as u8 {
            return self.accept_joint(bytes, arrival, tally);
        }
        let Self { session, outstanding, engine, repeats, .. } = self;
        let mut received: ArrayVec<Received<'_>, SOME> = ArrayVec::new();
        let mut heard: ArrayVec<Heard, SOME> = ArrayVec::new();
        let (mut rest, mut used, mut strays) = (bytes, 0, 0);
        while !received.is_full() {
            // What is wrong here is found by the caller when it comes first.
            let Ok(Cut::Frame(length)) = framer::cut(rest, Role::Client) else { break };
            let Ok(header) = Header::parse_here(&rest[..length], Role::Client) else { break };
            let is_answer = matches!(header.kind, Kind::Resp | Kind::Err | Kind::Lost);
            if header.key_id != session.key_id() || !is_answer {
                break;
            }
            let (frame, after) = std::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            used += length;
            match outstanding.get(header.generation, header.counter) {
                Some((pending, _)) => {
                    let Header { generation, counter, kind, .. } = header;
                    heard.push(Heard { generation, counter, kind, said: Said::Invalid });
                    received.push(Received { pending, header, frame });
                }
                None => strays += 1,
            }
        }
        let may_lack_its_share = repeats.is_some() && !session.share().is_empty();
        session.open_answers(*engine, &mut received, arrival.boot_ms, |index, answer| {
            heard[index].said = match answer {
                Ok(Answer::Lost) if may_lack_its_share => Said::Unready,
                answer => Said::of(&answer),
            };
        });
        drop(received);
        (0..strays).for_each(|_| self.meet_stray(tally));
        self.conclude_all(&heard, arrival, tally);
        used
    }

    /// The same for VERDICTS, several at once: every verdict of one or none (SPEC §7.4.2).
    fn accept_joint(&mut self, bytes: &[u8], arrival: Arrival, tally: &mut Tally) -> usize {
        let Self { session, outstanding, engine, .. } = self;
        let mut received: ArrayVec<(Header, &[u8]), { ClientSession::VERDICTS_TOGETHER_MAX }> =
            ArrayVec::new();
        let mut rest = bytes;
        while !received.is_full() {
            // What is wrong here is found by the caller when it comes first.
            let Ok(Cut::Frame(length)) = framer::cut(rest, Role::Client) else { break };
            let (frame, after) = rest.split_at(length);
            let Ok(header) = Header::parse(frame, Role::Client) else { break };
            if header.key_id != session.key_id() || header.kind != Kind::Verdicts {
                break;
            }
            received.push((header, frame));
            rest = after;
        }
        let mut opened: ArrayVec<_, { ClientSession::VERDICTS_TOGETHER_MAX }> = ArrayVec::new();
        session.open_verdicts_together(*engine, outstanding, &received, |result| opened.push(result));
        let mut used = 0;
        for ((header, frame), result) in received.iter().zip(opened) {
            used += frame.len();
            match result {
                Ok(verdicts) => {
                    let counters = verdicts.map(|(counter, _)| counter);
                    self.conclude_responses(header.generation, counters, arrival, tally);
                }
                Err(_) => tally.failed_verifications += 1,
            }
        }
        used
    }

    /// Concludes answers in the order received.
    fn conclude_all(&mut self, heard: &[Heard], arrival: Arrival, tally: &mut Tally) {
        for alike in heard.chunk_by(|one, next| {
            one.is_response() && next.is_response() && one.generation == next.generation
        }) {
            if alike[0].is_response() {
                let counters = alike.iter().map(|heard| heard.counter);
                self.conclude_responses(alike[0].generation, counters, arrival, tally);
            } else {
                alike.iter().for_each(|heard| self.conclude_special(heard, arrival, tally));
            }
        }
    }

    /// Concludes RESPs that verified.
    #[inline]
    fn conclude_responses(
        &mut self,
        generation: u16,
        counters: impl Iterator<Item = u64>,
        arrival: Arrival,
        tally: &mut Tally,
    ) {
        // Where copies are kept, this one's is to be forgotten.
        let may_be_plain = self.repeats.is_none();
        let mut run = Run::default();
        let mut special: ArrayVec<u64, VERDICTS_MAX> = ArrayVec::new();
        self.outstanding.remove_each(
            generation,
            counters,
            |sent| may_be_plain && sent.is_plain(),
            |counter, removed| match removed {
                Some(sent) => run.add(&sent, arrival, tally),
                None => special.push(counter),
            },
        );
        run.end(arrival, tally);
        for counter in special {
            let heard = Heard { generation, counter, kind: Kind::Resp, said: Said::Response };
            self.conclude_special(&heard, arrival, tally);
        }
    }

    /// The same for what is not the answer to a request sent once.
    #[cold]
    fn conclude_special(&mut self, heard: &Heard, arrival: Arrival, tally: &mut Tally) {
        let Some((_, sent)) = self.outstanding.get(heard.generation, heard.counter) else {
            // Answered by a frame before this one.
            self.meet_stray(tally);
            return;
        };
        let name = (heard.generation, heard.counter);
        if let Some(bad) = sent.bad {
            if self.conclude_bad(bad, heard, tally) {
                self.outstanding.remove(heard.generation, heard.counter);
            }
            return;
        }
        if matches!(heard.said, Said::Invalid) {
            // The request goes on waiting for an answer that verifies (SPEC §7.1.2).
            tally.failed_verifications += 1;
            return;
        }
        // Comes again with its SHARE (SPEC §11.2.6).
        if matches!(heard.said, Said::Unready) {
            return;
        }
        if let (Some(repeats), Said::Refused(Refusal::Err(ErrReason::Replay))) =
            (&mut self.repeats, heard.said)
        {
            repeats.note_replayed(name, arrival.at_ns);
            return;
        }
        let twice = sent.twice.get();
        if let Some(twice) = twice
            && is_of_the_copy(twice, heard.said)
        {
            conclude_copy(heard.said, tally);
            let twice = Twice { one_refused: true, ..twice };
            sent.twice.set(Some(twice));
            if twice.one_answered {
                self.outstanding.remove(heard.generation, heard.counter);
            }
            return;
        }
        let (from_ns, measured) = (sent.from_ns.get(), sent.measured);
        match heard.said {
            Said::Refused(refusal) => {
                self.spent |= ends_the_session(refusal);
                if measured {
                    tally.refuse(refusal, from_ns);
                }
            }
            _ => tally.conclude(1, measured, from_ns, arrival.at_ns, arrival.phase),
        }
        match twice {
            Some(twice) if !twice.one_refused => {
                if let Some((_, sent)) = self.outstanding.get(heard.generation, heard.counter) {
                    sent.twice.set(Some(Twice { one_answered: true, ..twice }));
                }
            }
            _ => self.forget(name),
        }
    }

    /// Judges the answer to a bad frame of its own; whether it waits no more.
    fn conclude_bad(&mut self, bad: Bad, heard: &Heard, tally: &mut Tally) -> bool {
        let is_lost = matches!(heard.said, Said::Refused(Refusal::Lost));
        // The server holds no key at all: everything of this session is refused so.
        self.spent |= is_lost;
        match (bad, heard.kind, heard.said) {
            // Only the holder of the key could tell; we know that the tag was wrong (§9.1).
            (Bad::Forged, Kind::Lost, _)
            | (Bad::Stale, _, Said::Refused(Refusal::Lost | Refusal::Err(ErrReason::Stale))) => {
                tally.refuse_bad(bad);
            }
            // An answer to a forged frame is bound to the forged tag, so it need not verify here.
            (Bad::Forged, Kind::Resp, _) | (_, _, Said::Response) => tally.accept_bad(bad),
            (Bad::Stale, _, Said::Invalid) => {
                tally.failed_verifications += 1;
                return false;
            }
            _ => tally.meet(Trouble::RefusedOtherwise),
        }
        true
    }
}

/// Whether this is the answer to the second copy: one of both is to be executed, the other one refused.
fn is_of_the_copy(twice: Twice, said: Said) -> bool {
    let is_replay = matches!(said, Said::Refused(Refusal::Err(ErrReason::Replay)));
    !twice.one_refused && (is_replay || twice.one_answered)
}

fn conclude_copy(said: Said, tally: &mut Tally) {
    match said {
        Said::Response => tally.accept_bad(Bad::Replay),
        Said::Refused(Refusal::Lost | Refusal::Err(ErrReason::Replay)) => tally.refuse_bad(Bad::Replay),
        _ => tally.meet(Trouble::RefusedOtherwise),
    }
}

/// Whether no request of the session can succeed after this refusal.
const fn ends_the_session(refusal: Refusal) -> bool {
    use ErrReason::{Expired, Limit, Revoked};
    matches!(refusal, Refusal::Lost | Refusal::Err(Limit | Expired | Revoked))
}
