//! A session whose requests may be lost on their way: copies, and a renewal that none of them crosses.

use mvt_proto::{Header, Kind, Role, frame::control::Control};

use super::{
    established::Established,
    repeats::{Fate, Name},
};
use crate::{io::WRITE_BYTES_MAX, tally::Tally, trouble::Trouble};

impl Established {
    /// Whether one more request may be written: no more than may come again, and behind a SHARE one alone.
    #[inline]
    pub(super) fn may_repeat_one_more(&self) -> bool {
        let Some(repeats) = &self.repeats else { return true };
        let is_alone = self.waiting() + self.written_count == 0;
        self.offer.is_empty()
            && repeats.room() > self.written_count
            && (is_alone || self.session.share().is_empty())
    }

    /// The SHARE that goes with the request behind it until an answer shows that the server has it (SPEC §11.2.6): where one
    /// is, so is the other. Empty where nothing is lost, and where there is none.
    #[inline]
    pub(super) fn share_ahead(&self) -> &[u8] {
        if self.repeats.is_some() { self.session.share() } else { &[] }
    }

    /// Keeps the bytes of a request that was sealed into `frame`.
    pub(super) fn keep_copy(&mut self, frame: &[u8], now_ns: u64) {
        let Some(repeats) = &mut self.repeats else { return };
        let header = Header::parse(frame, Role::Server).expect("as it was sealed");
        repeats.push((header.generation, header.counter), frame, now_ns);
    }

    /// Whether an OFFER has to wait for the answers to what is on its way; it is kept then.
    pub(super) fn defers(&mut self, header: &Header, frame: &[u8]) -> bool {
        let is_offer = header.kind == Kind::Ctl && matches!(Control::from_op(header.op), Ok(Control::Offer));
        let defers = self.repeats.is_some() && is_offer && self.waiting() > 0;
        if defers {
            self.offer.clear();
            self.offer.extend_from_slice(frame);
        }
        defers
    }

    /// Takes the OFFER that waited, when nothing else does.
    pub(super) fn take_offer(&mut self, boot_ms: u64, tally: &mut Tally) {
        if self.offer.is_empty() || self.waiting() > 0 {
            return;
        }
        let mut offer = std::mem::take(&mut self.offer);
        if let Ok(header) = Header::parse(&offer, Role::Client)
            && let Err(trouble) = self.control(&header, &mut offer, boot_ms, tally, &mut Vec::new())
        {
            tally.meet(trouble);
        }
    }

    /// What answers nothing is an error, except where a copy may have been answered too.
    pub(super) fn meet_stray(&self, tally: &mut Tally) {
        if self.repeats.is_some() {
            tally.datagrams.late_answers += 1;
        } else {
            tally.meet(Trouble::Unsolicited);
        }
    }

    /// A request waits no more.
    pub(super) fn forget(&mut self, name: Name) {
        self.outstanding.remove(name.0, name.1);
        if let Some(repeats) = &mut self.repeats {
            repeats.end(name);
        }
    }

    /// Appends again what was not answered in time, and gives up what has no hope; when to ask again.
    pub(super) fn repeat(
        &mut self,
        now_ns: u64,
        rtt_ns: u64,
        tally: &mut Tally,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let share = self.session.share();
        let repeats = self.repeats.as_mut()?;
        let mut ended: Vec<(Name, Fate)> = Vec::new();
        let mut next_ns = repeats.judge(now_ns, rtt_ns, |name, fate, frame| match fate {
            Fate::Again => {
                // What does not fit is as if it were lost once more.
                if out.len() < WRITE_BYTES_MAX {
                    out.extend_from_slice(share);
                    out.extend_from_slice(frame);
                    tally.datagrams.repeated += 1;
                }
            }
            Fate::Unknown | Fate::GivenUp => ended.push((name, fate)),
        });
        for (name, fate) in ended {
            let measured = self.outstanding.get(name.0, name.1).is_some_and(|(_, sent)| sent.measured);
            tally.unanswered += u64::from(measured);
            match fate {
                Fate::Unknown => tally.datagrams.outcome_unknown += 1,
                _ => tally.meet(Trouble::GivenUp),
            }
            self.forget(name);
            next_ns.get_or_insert(now_ns);
        }
        next_ns
    }
}
