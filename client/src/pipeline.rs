//! Requests on their way: sealed, sent, and each given its result.

use std::{collections::VecDeque, thread, time::Duration, time::Instant};

use mvt_proto::{
    Header, Kind,
    constants::{FRAME_BYTES_MIN, PAYLOAD_BYTES_MAX},
    reject::ErrReason,
    session::{Answer, Outstanding},
};

use crate::{
    Error, Request, Response, Unknown, bond::Bond, clock, connection::Connection, connection::Ended,
};

/// Requests on their way at one time, at most.
const IN_FLIGHT_COUNT_MAX: usize = 64;
/// Bytes of requests on their way at one time, at most: what a socket takes without being read at the other end, so
/// that the client never waits to write while the server waits to be read.
const IN_FLIGHT_BYTES_MAX: usize = 64 * 1024;
/// Frames of one call that answer nothing, at most, before the connection is given up.
const STRAY_COUNT_MAX: u32 = 64;
/// How long a request waits that was answered PENDING, before it is asked again under a new counter (SPEC 7.3).
pub(crate) const PENDING_PAUSE: Duration = Duration::from_millis(20);

impl From<Ended> for Unknown {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => Self::TimedOut,
            Ended::Closed => Self::Closed,
            Ended::Io(kind) => Self::Io(kind),
            Ended::Protocol(reject) => Self::Protocol(reject),
        }
    }
}

/// A request on its way: its place in the pipeline.
#[derive(Debug, Clone, Copy)]
struct Sent {
    place: usize,
    frame_bytes: usize,
    /// It was refused as STALE once already.
    again: bool,
}

/// One pipeline on its way. A place is in `queue`, in `outstanding`, or has its result.
pub(crate) struct Run<'a> {
    requests: &'a [Request<'a>],
    results: Vec<Option<Result<Response, Error>>>,
    /// Places not sent yet, and whether they were refused as STALE once.
    queue: VecDeque<(usize, bool)>,
    outstanding: Outstanding<Sent>,
    in_flight_bytes: usize,
    stray_count: u32,
}

impl<'a> Run<'a> {
    pub(crate) fn new(requests: &'a [Request<'a>]) -> Self {
        Self {
            requests,
            results: vec![None; requests.len()],
            queue: (0..requests.len()).map(|place| (place, false)).collect(),
            outstanding: Outstanding::default(),
            in_flight_bytes: 0,
            stray_count: 0,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.queue.is_empty() || !self.outstanding.is_empty()
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.outstanding.is_empty()
    }

    pub(crate) fn into_results(self) -> Vec<Result<Response, Error>> {
        self.results.into_iter().map(|result| result.expect("every request ends")).collect()
    }

    /// Seals what may be on its way; stops where a replacement of the session is due, which waits for the answers first.
    pub(crate) fn fill(&mut self, bond: &mut Bond, replace_not_before_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((place, again)) = self.queue.front().copied() {
            let request = &self.requests[place];
            if request.payload.len() > PAYLOAD_BYTES_MAX {
                self.queue.pop_front();
                self.results[place] = Some(Err(Error::PayloadTooLong));
                continue;
            }
            let now_ms = clock::now_ms();
            let frame_bytes = FRAME_BYTES_MIN + request.payload.len();
            let full = self.outstanding.len() >= IN_FLIGHT_COUNT_MAX
                || self.in_flight_bytes + frame_bytes > IN_FLIGHT_BYTES_MAX;
            let replacement = bond.session.replacement_is_due(now_ms) && now_ms >= replace_not_before_ms;
            if !self.outstanding.is_empty() && (full || replacement) {
                break;
            }
            // Exhausted only with answers on their way: with none, the session was replaced just before.
            let sealed = bond.session.seal_request(request.op, request.payload, now_ms, &mut out);
            let Ok(pending) = sealed else { break };
            self.queue.pop_front();
            self.in_flight_bytes += frame_bytes;
            self.outstanding.push(&pending, Sent { place, frame_bytes, again });
        }
        out
    }

    /// Waits for one frame: an answer to requests on their way, or a CTL, whose reply is sent at once; true when it was an answer.
    pub(crate) fn collect(
        &mut self,
        connection: &mut Connection,
        bond: &mut Bond,
        deadline: Instant,
    ) -> Result<bool, Unknown> {
        let (header, frame) = connection.receive(deadline)?;
        let mut reply = Vec::new();
        if bond.control(&header, frame, &mut reply)? {
            return Ok(connection.send(&reply, deadline).map(|()| false)?);
        }
        if header.kind == Kind::Verdicts {
            return self.collect_verdicts(bond, &header, frame);
        }
        let waiting = self.outstanding.get(header.generation, header.counter);
        let answer = waiting.and_then(|(pending, sent)| {
            let answer = bond.session.open_answer(pending, &header, frame, clock::now_ms()).ok()?;
            Some((*sent, answer))
        });
        let Some((sent, answer)) = answer else { return self.note_stray() };
        let result = match answer {
            Answer::Lost => return Err(Unknown::KeyLost),
            Answer::Ended => Some(Err(Error::OutcomeUnknown(Unknown::KeyLost))),
            Answer::Response { status, payload } => Some(Ok(Response { status, payload: payload.to_vec() })),
            Answer::Refused(ErrReason::Stale) if !sent.again => None,
            Answer::Refused(ErrReason::Pending) if Instant::now() + PENDING_PAUSE < deadline => None,
            Answer::Refused(ErrReason::Replay) => Some(Err(Error::OutcomeUnknown(Unknown::Replayed))),
            Answer::Refused(reason) => Some(Err(Error::Refused(reason))),
        };
        let is_pending = matches!(answer, Answer::Refused(ErrReason::Pending));
        if !is_pending && !matches!(answer, Answer::Ended) {
            // SPEC 13.4.4: PENDING confirms nothing; nor does a LOST.
            bond.note_answer();
        }
        self.outstanding.remove(header.generation, header.counter);
        self.in_flight_bytes -= sent.frame_bytes;
        match result {
            // Not executed and never to be: once more, under a new counter. For STALE the clock is corrected by now (SPEC 6.4).
            None => {
                if is_pending {
                    thread::sleep(PENDING_PAUSE);
                }
                self.queue.push_back((sent.place, sent.again || !is_pending));
            }
            Some(result) => self.results[sent.place] = Some(result),
        }
        Ok(true)
    }

    /// Takes one answer to several requests (SPEC 7.4).
    fn collect_verdicts(&mut self, bond: &mut Bond, header: &Header, frame: &[u8]) -> Result<bool, Unknown> {
        let opened = {
            let find = |counter| self.outstanding.get(header.generation, counter).map(|(pending, _)| pending);
            bond.session.open_verdicts(header, frame, find).ok()
        };
        let Some(verdicts) = opened else { return self.note_stray() };
        bond.note_answer();
        for (counter, status) in verdicts {
            if let Some(sent) = self.outstanding.remove(header.generation, counter) {
                self.in_flight_bytes -= sent.frame_bytes;
                self.results[sent.place] = Some(Ok(Response { status, payload: Vec::new() }));
            }
        }
        Ok(true)
    }

    /// A decoy, a duplicate, or noise: requests go on waiting (SPEC 7.1.2).
    const fn note_stray(&mut self) -> Result<bool, Unknown> {
        self.stray_count += 1;
        if self.stray_count > STRAY_COUNT_MAX { Err(Unknown::Closed) } else { Ok(false) }
    }

    pub(crate) fn fail_outstanding(&mut self, cause: Unknown) {
        for sent in self.outstanding.drain() {
            self.results[sent.place] = Some(Err(Error::OutcomeUnknown(cause)));
        }
        self.in_flight_bytes = 0;
    }

    pub(crate) fn fail_queue(&mut self, error: Error) {
        for (place, _) in self.queue.drain(..) {
            self.results[place] = Some(Err(error));
        }
    }
}
