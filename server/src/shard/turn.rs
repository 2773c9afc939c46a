//! A turn in passes: what each frame costs alone is done for many at once, what depends on the order one by one.
//!
//! The passes are not inlined, so that a profile tells them apart.

use std::ops::Range;

use mvt_proto::{Header, Kind, Reject, Role, session::BATCH_REQUESTS_MAX};

use crate::{
    mailbox::Answered,
    shard::{
        Shard,
        batch::{Batch, Origin},
        index::Place,
        sessions::{Generation, PREFETCH_GROUP},
        verify::Judged,
    },
};

/// What a frame is, as far as its header and the session table tell.
#[derive(Debug)]
pub(super) enum What {
    /// A request we judge: its number among those opened together, and what it was checked against, if we have its session.
    Request {
        header: Header,
        number: usize,
        held: Option<(Place, Generation)>,
    },
    /// A CTL of a key id that is ours.
    Control {
        header: Header,
    },
    /// A request or a CTL whose key another shard owns.
    Elsewhere {
        owner: usize,
    },
    /// A HELLO, a RESUME or a RECOVER.
    Login(Kind),
    Malformed(Reject),
}

/// The session that was looked up last: neighbours are often of the same. Key id 0 is nobody's.
struct Found {
    key_id: u64,
    place: Option<Place>,
}

impl Shard {
    /// Judges the batch as if one by one in the order received, and leaves the answers with their connections
    /// (SPEC §7.2, §7.2.7).
    pub fn turn(&mut self, now_ms: u64) {
        if self.batch.is_empty() {
            return;
        }
        self.counters.turns.add(1);
        let mut batch = std::mem::take(&mut self.batch);
        let mut rows = std::mem::take(&mut self.rows);
        let mut first = 0;
        while first < batch.frame_count() {
            let count = BATCH_REQUESTS_MAX.min(batch.frame_count() - first);
            self.read(&batch, first, count, &mut rows);
            let count = rows.len();
            self.check(&batch, first, &mut rows, now_ms);
            self.open_requests(&mut batch);
            self.judge(&batch, first, &rows, now_ms);
            rows.clear();
            self.end_joint_answer(now_ms);
            self.deliver();
            first += count;
        }
        for id in batch.closing() {
            self.cut_short(id);
            self.finish(id, now_ms);
        }
        batch.clear();
        self.batch = batch;
        self.rows = rows;
        self.rotate_in_turn(now_ms);
        self.scrub_now_and_then(now_ms);
    }

    /// Pass A: headers, and the index entries of their keys are asked for. A CTL is read alone: a SHARE makes the keys that the
    /// requests behind it are checked with.
    #[inline(never)]
    fn read(&mut self, batch: &Batch, first: usize, count: usize, rows: &mut Vec<What>) {
        let mut asked = 0;
        for index in first..first + count {
            let what = match Header::parse(batch.frame(index), Role::Server) {
                Ok(header) if matches!(header.kind, Kind::Req | Kind::Ctl) => {
                    let owner = match batch.origin(index) {
                        Origin::Here(_) => self.owner_elsewhere(header.key_id),
                        Origin::Forwarded { .. } => None,
                    };
                    match (owner, header.kind) {
                        (Some(owner), _) => What::Elsewhere { owner },
                        (None, Kind::Ctl) if index > first => break,
                        (None, Kind::Ctl) => {
                            rows.push(What::Control { header });
                            break;
                        }
                        (None, _) => {
                            if header.key_id != asked {
                                asked = header.key_id;
                                self.sessions.prefetch_index(asked);
                            }
                            What::Request { header, number: 0, held: None }
                        }
                    }
                }
                Ok(header) => What::Login(header.kind),
                Err(reject) => What::Malformed(reject),
            };
            rows.push(what);
        }
    }

    /// Passes B and C, a group at a time: what the sessions need is asked for; then session, generation, time,
    /// slot. What a frame does later in the turn moves a generation, but no key that was found here.
    #[inline(never)]
    fn check(&mut self, batch: &Batch, first: usize, rows: &mut [What], now_ms: u64) {
        let mut at = first;
        let mut last = Found { key_id: 0, place: None };
        for group in rows.chunks_mut(PREFETCH_GROUP) {
            let mut asked = last.key_id;
            for row in &*group {
                if let What::Request { header, .. } = row
                    && header.key_id != asked
                {
                    asked = header.key_id;
                    self.sessions.prefetch_session(header.key_id, header.counter);
                }
            }
            for row in group {
                self.check_row(batch.span(at), row, &mut last, now_ms);
                at += 1;
            }
        }
    }

    #[inline]
    fn check_row(&mut self, span: Range<usize>, row: &mut What, last: &mut Found, now_ms: u64) {
        let What::Request { header, number, held } = row else { return };
        if header.key_id != last.key_id {
            *last = Found { key_id: header.key_id, place: self.sessions.find(header.key_id) };
        }
        *held = last.place.map(|place| {
            let (fresh, generation) = self.sessions.check(place, header, now_ms);
            *number = self.lanes.push(self.sessions.checked(place, generation), fresh, span.clone());
            (place, generation)
        });
        if held.is_none() {
            *number = self.lanes.push(&self.dummy.state, self.dummy.check(header, now_ms), span);
        }
        self.checked.push(*held);
    }

    /// Pass D: request keys and tags, in lanes.
    #[inline(never)]
    fn open_requests(&mut self, batch: &mut Batch) {
        let (sessions, dummy, checked) = (&self.sessions, &self.dummy.state, &self.checked);
        self.lanes.open(&mut batch.bytes, |number| match checked[number] {
            Some((place, generation)) => sessions.checked(place, generation),
            None => dummy,
        });
        self.checked.clear();
    }

    /// Passes E and F: in the order received, replay and execution; everything a frame changes, it changes here.
    #[inline(never)]
    fn judge(&mut self, batch: &Batch, first: usize, rows: &[What], now_ms: u64) {
        let mut verified_count = 0;
        // A connection that is open, not held up, and noted as one that verifies: nothing but an executed request came since.
        let mut proven = None;
        for (at, row) in rows.iter().enumerate() {
            let origin = batch.origin(first + at);
            let is_proven = matches!(origin, Origin::Here(id) if proven == Some(id));
            if let Origin::Here(id) = origin
                && !is_proven
                && (!self.is_open(*id) || self.holds_behind(*id, batch.frame(first + at), now_ms))
            {
                continue;
            }
            let frame = batch.frame(first + at);
            let What::Request { header, number, held } = row else {
                proven = None;
                self.judge_other(row, origin, frame, now_ms);
                self.answers.end_frame(origin);
                continue;
            };
            let judged = self.request(origin, header, *number, *held, frame, now_ms);
            let is_executed = judged == Judged::Executed;
            verified_count += u64::from(is_executed);
            self.answers.end_frame(origin);
            if let Origin::Here(id) = origin
                && !(is_executed && is_proven)
            {
                self.note_answer(*id, judged != Judged::Unverified, now_ms);
                proven = is_executed.then_some(id);
            }
        }
        self.counters.verified.add(verified_count);
    }

    /// What is no request of ours.
    fn judge_other(&mut self, row: &What, origin: &Origin, frame: &[u8], now_ms: u64) {
        let judged = match (row, *origin) {
            (What::Control { header }, origin) => {
                self.control(origin, header, frame, now_ms);
                Ok(())
            }
            (What::Elsewhere { owner }, Origin::Here(id)) => {
                self.forward(*owner, id, frame, now_ms);
                Ok(())
            }
            (What::Login(kind), Origin::Here(id)) => self.login(id, *kind, frame, now_ms),
            (What::Malformed(reject), Origin::Here(_)) => Err(*reject),
            // Another shard forwards requests and CTLs only.
            (_, Origin::Forwarded { .. }) | (What::Request { .. }, _) => {
                debug_assert!(false, "forwarded: {row:?}");
                Ok(())
            }
        };
        if let (Err(reject), Origin::Here(id)) = (judged, *origin) {
            self.counters.reject(reject);
            self.cut_short(id);
            self.end(id, now_ms);
        }
    }

    /// Pass G: the answers' tags, in lanes; then they sit in their connections' output.
    #[inline(never)]
    pub(super) fn deliver(&mut self) {
        let mut answers = std::mem::take(&mut self.answers);
        self.lanes.seal(&mut answers.bytes);
        for run in &answers.runs {
            let bytes = &answers.bytes[run.span.clone()];
            match run.origin {
                Origin::Here(id) => {
                    if let Some(connection) = self.connections.get_mut(id) {
                        self.spares.lend(&mut connection.lane_mut(id).output).extend_from_slice(bytes);
                        self.connections.mark_dirty(id);
                    }
                }
                Origin::Forwarded { from_shard, connection } => {
                    let letter = Answered {
                        connection,
                        frames: bytes.into(),
                        is_verified: run.is_verified,
                        is_last: run.is_last,
                    };
                    self.send_back(from_shard, letter);
                }
            }
        }
        answers.clear();
        self.answers = answers;
    }
}
