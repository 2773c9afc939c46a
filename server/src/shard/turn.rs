//! A turn in passes: what each frame costs alone is done for many at once, what depends on the order one by one.
//!
//! The passes are not inlined, so that a profile tells them apart.

use mvt_proto::{Header, Kind, Reject, Role, session::BATCH_REQUESTS_MAX};

use crate::shard::{
    Shard,
    batch::{Batch, Origin},
    index::Place,
};

/// What a frame is, as far as its header and the session table tell.
#[derive(Debug)]
pub(super) enum What {
    /// A request we judge: its number among those opened together, and its session if we have it.
    Request {
        header: Header,
        number: usize,
        place: Option<Place>,
    },
    /// A request whose key another shard owns.
    Elsewhere {
        owner: usize,
    },
    Hello,
    Malformed(Reject),
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
        for first in (0..batch.frame_count()).step_by(BATCH_REQUESTS_MAX) {
            let count = BATCH_REQUESTS_MAX.min(batch.frame_count() - first);
            self.read(&batch, first, count, &mut rows);
            self.check(&batch, first, &mut rows, now_ms);
            self.open_requests(&mut batch);
            self.judge(&batch, first, &mut rows, now_ms);
            self.deliver();
        }
        for id in batch.closing() {
            self.end(id, now_ms);
        }
        batch.clear();
        self.batch = batch;
        self.rows = rows;
    }

    /// Passes A and B: headers, then what their sessions need is asked for, first the index, then the entries.
    #[inline(never)]
    fn read(&mut self, batch: &Batch, first: usize, count: usize, rows: &mut Vec<What>) {
        for index in first..first + count {
            let what = match Header::parse(batch.frame(index), Role::Server) {
                Ok(header) if header.kind == Kind::Req => {
                    let owner = match batch.origin(index) {
                        Origin::Here(_) => self.owner_elsewhere(header.key_id),
                        Origin::Forwarded { .. } => None,
                    };
                    match owner {
                        Some(owner) => What::Elsewhere { owner },
                        None => {
                            self.sessions.prefetch_index(header.key_id);
                            What::Request { header, number: 0, place: None }
                        }
                    }
                }
                Ok(_) => What::Hello,
                Err(reject) => What::Malformed(reject),
            };
            rows.push(what);
        }
        for row in rows {
            if let What::Request { header, .. } = row {
                self.sessions.prefetch_session(header.key_id, header.counter);
            }
        }
    }

    /// Pass C: session, time, slot. Nothing a frame can do later in the turn changes what is found here.
    #[inline(never)]
    fn check(&mut self, batch: &Batch, first: usize, rows: &mut [What], now_ms: u64) {
        for (at, row) in rows.iter_mut().enumerate() {
            let What::Request { header, number, place } = row else { continue };
            *place = self.sessions.find(header.key_id);
            let span = batch.span(first + at);
            *number = match *place {
                Some(place) => {
                    let (state, _) = self.sessions.parts_mut(place);
                    let fresh = state.check(header, now_ms);
                    self.lanes.push(state, fresh, span)
                }
                None => self.lanes.push(&self.dummy, self.dummy.check_unknown(header), span),
            };
            self.places.push(*place);
        }
    }

    /// Pass D: request keys and tags, in lanes.
    #[inline(never)]
    fn open_requests(&mut self, batch: &mut Batch) {
        let (sessions, dummy, places) = (&self.sessions, &self.dummy, &self.places);
        self.lanes.open(&mut batch.bytes, |number| match places[number] {
            Some(place) => sessions.state(place),
            None => dummy,
        });
        self.places.clear();
    }

    /// Passes E and F: in the order received, replay and execution; everything a frame changes, it changes here.
    #[inline(never)]
    fn judge(&mut self, batch: &Batch, first: usize, rows: &mut Vec<What>, now_ms: u64) {
        let mut verified_count = 0;
        for (at, row) in rows.drain(..).enumerate() {
            let origin = batch.origin(first + at);
            if let Origin::Here(id) = origin
                && !self.is_open(id)
            {
                continue;
            }
            let frame = batch.frame(first + at);
            let judged = match (row, origin) {
                (What::Request { header, number, place }, _) => {
                    verified_count += u64::from(self.request(origin, &header, number, place, frame, now_ms));
                    Ok(())
                }
                (What::Elsewhere { owner }, Origin::Here(id)) => {
                    self.forward(owner, id, frame);
                    Ok(())
                }
                (What::Hello, Origin::Here(id)) => self.hello(id, frame, now_ms),
                (What::Malformed(reject), Origin::Here(_)) => Err(reject),
                // Another shard forwards requests only.
                (_, Origin::Forwarded { .. }) => Ok(()),
            };
            if let (Err(reject), Origin::Here(id)) = (judged, origin) {
                self.counters.reject(reject);
                self.end(id, now_ms);
            }
        }
        self.counters.verified.add(verified_count);
    }

    /// Pass G: the answers' tags, in lanes; then they sit in their connections' output.
    #[inline(never)]
    fn deliver(&mut self) {
        let mut answers = std::mem::take(&mut self.answers);
        self.lanes.seal(&mut answers.bytes);
        for run in &answers.runs {
            let bytes = &answers.bytes[run.span.clone()];
            match run.origin {
                Origin::Here(id) => {
                    if let Some(connection) = self.connections.get_mut(id) {
                        connection.lane_mut(id).output.extend_from_slice(bytes);
                        self.connections.mark_dirty(id);
                    }
                }
                Origin::Forwarded { from_shard, connection } => {
                    self.send_back(from_shard, connection, bytes, run.is_verified);
                }
            }
        }
        answers.clear();
        self.answers = answers;
    }
}
