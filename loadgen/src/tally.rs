//! What a worker counted.
//!
//! Requests are counted by when they were *sent*, in an open loop by when they were meant to be: those of the measured
//! interval, whenever their answer came. So `sent = verified + rejected + unanswered`, and a slow answer is not lost
//! because the interval ended first. An open loop also counts what it never sent.
//! Failed verifications and errors count in every phase: a warm-up hides nothing.

use std::collections::BTreeMap;

use mvt_proto::reject::ErrReason;

use crate::{
    histogram::Latencies,
    pacing::Due,
    phase::{Phase, Phases},
    timeline::Timeline,
    trouble::Trouble,
    workload::Bad,
};

/// Names of verified refusals: those of an ERR (SPEC §7.3) in the order of their status, then LOST (§9).
pub const REFUSALS: [&str; 7] = ["stale", "replay", "limit", "renew", "revoked", "expired", "lost"];

/// How a verified answer refused its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// An ERR.
    Err(ErrReason),
    /// The server lost the key.
    Lost,
}

impl Refusal {
    const fn index(self) -> usize {
        match self {
            Self::Err(reason) => reason as usize - 1,
            Self::Lost => REFUSALS.len() - 1,
        }
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        REFUSALS[self.index()]
    }
}

/// What became of the bad frames of one kind, in any phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadCount {
    /// Sent.
    pub sent: u64,
    /// Refused as the protocol says.
    pub refused: u64,
    /// Executed: an error of the run.
    pub accepted: u64,
}

/// What came of requests in datagrams that were lost, or whose answers were (SPEC §17.2.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DatagramCount {
    /// Requests sent again, with the same bytes.
    pub repeated: u64,
    /// Answers to copies of requests that were answered before, or given up.
    pub late_answers: u64,
    /// Requests whose answer was lost after they had been executed; those of the measured interval are among the unanswered.
    pub outcome_unknown: u64,
}

/// Counters and latencies of one worker, or of all.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests sent in the measured interval.
    pub sent: u64,
    /// Those of them answered by a RESP whose tag held.
    pub verified: u64,
    /// Those of them that were never answered.
    pub unanswered: u64,
    /// Requests due in the measured interval that were never sent (open loop).
    pub unsent: u64,
    /// Requests sent that had to wait for the server: no free slot of `--in-flight`, a full socket, a login.
    pub held_back: u64,
    /// RESPs that arrived in the measured interval: what CPU time is divided by.
    pub verified_in_interval: u64,
    /// Answers whose tag did not hold, in any phase.
    pub failed_verifications: u64,
    /// Logins that were granted, in any phase.
    pub logins: u64,
    /// Resumes that were granted, in any phase.
    pub resumes: u64,
    /// Generations taken.
    pub renewals: u64,
    /// Latencies of the verified.
    pub latencies: Latencies,
    /// From the intended instant to the write, of requests that were not held back (open loop).
    pub slip: Latencies,
    /// The same over time.
    pub timeline: Timeline,
    /// Connections replaced by plan, in any phase.
    pub reconnects: u64,
    /// What came of lost datagrams, in any phase.
    pub datagrams: DatagramCount,
    bad: [BadCount; Bad::ALL.len()],
    refused: [u64; REFUSALS.len()],
    troubles: [u64; Trouble::ALL.len()],
}

impl Tally {
    /// Prepares the slots of the measured interval.
    pub fn begin(&mut self, phases: &Phases) {
        self.timeline = Timeline::new(phases);
    }

    /// Counts a measured request of an open loop that is written at `written_ns`.
    #[inline]
    pub fn send(&mut self, due: Due, written_ns: u64) {
        self.sent += 1;
        let slip_ns = due.intended_ns.map(|intended_ns| written_ns.saturating_sub(intended_ns));
        if let Some(slot) = self.timeline.of_measured(due.intended_ns.unwrap_or(written_ns)) {
            slot.sent += 1;
            if let Some(slip_ns) = slip_ns.filter(|_| !due.held_back) {
                slot.slip_max_ns = slot.slip_max_ns.max(slip_ns);
            }
        }
        match slip_ns {
            Some(_) if due.held_back => self.held_back += 1,
            Some(slip_ns) => self.slip.record(slip_ns),
            None => {}
        }
    }

    /// Counts `count` measured requests of a closed loop that are written at `written_ns`.
    pub fn send_unscheduled(&mut self, count: u64, written_ns: u64) {
        self.sent += count;
        if count > 0
            && let Some(slot) = self.timeline.of_measured(written_ns)
        {
            slot.sent += count;
        }
    }

    /// Counts the verified answers, read at `at_ns`, to `count` measured requests whose latency began at `from_ns`.
    #[inline]
    pub fn verify(&mut self, count: u64, from_ns: u64, at_ns: u64) {
        let latency_ns = at_ns.saturating_sub(from_ns);
        self.verified += count;
        self.latencies.record_some(latency_ns, count);
        if let Some(slot) = self.timeline.of_measured(from_ns) {
            slot.latencies.record_some(latency_ns, count);
        }
    }

    /// Counts `count` RESPs that arrived in the measured interval.
    #[inline]
    pub fn answer(&mut self, count: u64, at_ns: u64) {
        self.verified_in_interval += count;
        if let Some(slot) = self.timeline.at(at_ns) {
            slot.answered += count;
        }
    }

    /// Counts the verified answers, read at `at_ns` of `phase`, to `count` requests whose latency began at `from_ns`.
    #[inline]
    pub fn conclude(&mut self, count: u64, measured: bool, from_ns: u64, at_ns: u64, phase: Phase) {
        if phase == Phase::Measure {
            self.answer(count, at_ns);
        }
        if measured {
            self.verify(count, from_ns, at_ns);
        }
    }

    /// Counts a bad frame.
    pub fn send_bad(&mut self, bad: Bad) {
        self.bad[bad as usize].sent += 1;
    }

    /// Counts a bad frame that was refused as it has to be.
    pub fn refuse_bad(&mut self, bad: Bad) {
        self.bad[bad as usize].refused += 1;
    }

    /// Counts a bad frame that was accepted: an error.
    pub fn accept_bad(&mut self, bad: Bad) {
        self.bad[bad as usize].accepted += 1;
        self.meet(match bad {
            Bad::Replay => Trouble::ReplayAccepted,
            Bad::Forged => Trouble::ForgedAccepted,
            Bad::Stale => Trouble::StaleAccepted,
        });
    }

    /// Bad frames by kind, those that were sent.
    #[must_use]
    pub fn bad(&self) -> BTreeMap<&'static str, BadCount> {
        let names = Bad::ALL.iter().map(|(_, name)| *name);
        names.zip(self.bad).filter(|(_, count)| count.sent > 0).collect()
    }

    /// Counts a verified refusal of a measured request whose latency began at `from_ns`.
    pub fn refuse(&mut self, refusal: Refusal, from_ns: u64) {
        self.refused[refusal.index()] += 1;
        if let Some(slot) = self.timeline.of_measured(from_ns) {
            slot.refused += 1;
        }
    }

    /// Counts a trouble.
    pub fn meet(&mut self, trouble: Trouble) {
        self.troubles[trouble as usize] += 1;
    }

    /// All troubles.
    #[must_use]
    pub fn error_count(&self) -> u64 {
        self.troubles.iter().sum()
    }

    /// All verified refusals.
    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Refusals that occurred, by name.
    #[must_use]
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        REFUSALS.into_iter().zip(self.refused).filter(|(_, count)| *count > 0).collect()
    }

    /// Troubles that occurred, by name.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&'static str, u64> {
        let names = Trouble::ALL.iter().map(|(_, name)| *name);
        names.zip(self.troubles).filter(|(_, count)| *count > 0).collect()
    }

    /// Adds the counters and samples of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.verified += other.verified;
        self.unanswered += other.unanswered;
        self.unsent += other.unsent;
        self.held_back += other.held_back;
        self.verified_in_interval += other.verified_in_interval;
        self.failed_verifications += other.failed_verifications;
        self.logins += other.logins;
        self.resumes += other.resumes;
        self.renewals += other.renewals;
        self.latencies.merge(&other.latencies);
        self.slip.merge(&other.slip);
        self.timeline.merge(&other.timeline);
        self.reconnects += other.reconnects;
        self.datagrams.repeated += other.datagrams.repeated;
        self.datagrams.late_answers += other.datagrams.late_answers;
        self.datagrams.outcome_unknown += other.datagrams.outcome_unknown;
        for (sum, count) in self.bad.iter_mut().zip(other.bad) {
            sum.sent += count.sent;
            sum.refused += count.refused;
            sum.accepted += count.accepted;
        }
        self.refused.iter_mut().zip(other.refused).for_each(|(sum, count)| *sum += count);
        self.troubles.iter_mut().zip(other.troubles).for_each(|(sum, count)| *sum += count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_own_name() {
        use ErrReason::{Expired, Limit, Renew, Replay, Revoked, Stale};
        let reasons = [Stale, Replay, Limit, Renew, Revoked, Expired].map(Refusal::Err);
        let names: Vec<_> = reasons.into_iter().chain([Refusal::Lost]).map(Refusal::name).collect();
        assert_eq!(names, REFUSALS);
    }

    #[test]
    fn troubles_stand_in_the_table_at_their_number() {
        for (index, (trouble, _)) in Trouble::ALL.iter().enumerate() {
            assert_eq!(*trouble as usize, index);
        }
    }

    #[test]
    fn a_merge_adds_every_counter() {
        let mut one = Tally { sent: 3, verified: 2, logins: 1, resumes: 5, ..Tally::default() };
        one.refuse(Refusal::Lost, 0);
        one.meet(Trouble::Closed);
        one.send_bad(Bad::Forged);
        one.accept_bad(Bad::Forged);
        one.latencies.record(7);
        one.datagrams = DatagramCount { repeated: 1, late_answers: 2, outcome_unknown: 3 };
        let mut sum = one.clone();
        sum.merge(&one);
        assert_eq!((sum.sent, sum.verified, sum.logins, sum.resumes), (6, 4, 2, 10));
        assert_eq!(sum.rejected(), BTreeMap::from([("lost", 2)]));
        assert_eq!(sum.errors(), BTreeMap::from([("closed", 2), ("forged_accepted", 2)]));
        assert_eq!(sum.bad(), BTreeMap::from([("forged", BadCount { sent: 2, refused: 0, accepted: 2 })]));
        assert_eq!(sum.datagrams, DatagramCount { repeated: 2, late_answers: 4, outcome_unknown: 6 });
        assert_eq!(sum.latencies.count(), 2);
    }
}
