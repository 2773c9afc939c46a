//! What is counted, one cell per shard and event: written by its shard alone, read by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

use mvt_proto::Reject;

macro_rules! events {
    ($($field:ident, $text:literal;)*) => {
        /// The counters of one shard. One row of the table each; rejects are counted by reason beside them.
        #[derive(Debug, Default)]
        // No line is shared with another shard's, nor fetched beside it.
        #[repr(align(128))]
        pub struct Counters {
            $(#[doc = $text] pub $field: Counter,)*
            rejects: [Counter; Reject::ALL.len()],
        }

        impl Counters {
            /// Every event counter with its name.
            pub fn events(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$((stringify!($field), self.$field.get())),*].into_iter()
            }
        }
    };
}

events! {
    verified, "Requests verified and executed.";
    turns, "Turns of the shard.";
    logins, "Logins granted.";
    connections_opened, "Connections accepted.";
    connections_refused, "Connections refused at the limit.";
    connections_closed, "Connections closed, by either side.";
    unverified_closed, "Connections closed after too many unverified requests.";
    deadline_closed, "Connections closed at a deadline: half-open login, half a frame, a peer that does not read.";
    reads_paused, "Times a connection was not read because its output stood at the watermark.";
    sessions_opened, "Sessions made.";
    sessions_erased, "Sessions erased at their deadline.";
    sessions_revoked, "Sessions erased, or refused at login, because their client was revoked.";
    offers, "Generations offered.";
    offers_again, "OFFERs sent once more.";
    offers_deferred, "Offers put off because no ephemeral key pair was in stock.";
    shares, "SHAREs taken.";
    agreements_pooled, "Key agreements of renewals computed by the pool.";
    agreements_inline, "Those computed by the shard, because a request needed one that was not there yet.";
    agreements_unqueued, "Those that found no room at the pool.";
    renewals, "Generations committed.";
    drains_ended, "Generations erased at the end of their drain.";
    drains_cut, "Drains cut short because the next offer waited for their end.";
    bad_tags_erased, "Sessions erased because of too many bad tags.";
    sessions_refused, "Logins refused because the session table was full.";
    forwarded, "Frames handed to the shard that owns their key.";
    forward_paused, "Times a connection was not read because the shard that owns its next frame had no room for it.";
    forward_dropped, "Frames dropped while they waited for such room: their connection ended, or too much waited.";
    forward_unanswered, "Answers of recoveries dropped because the shard of their connection had no room for them.";
    quic_opened, "QUIC connections whose handshake was completed.";
    quic_retries, "QUIC clients asked to prove their address first.";
    quic_refused, "QUIC clients refused at the limit of connections.";
    quic_dropped, "QUIC clients dropped at the limit of handshakes, and packets from where they may not come from.";
    quic_unproved, "QUIC packets not sent because their address had proved nothing and had its share.";
    quic_forwarded, "QUIC packets handed to the shard that owns their connection.";
    quic_forward_dropped, "QUIC packets dropped because the owning shard's mailbox was full.";
    quic_unsent, "Transmissions of QUIC packets that the socket refused: as if they were lost on the way.";
    quic_too_large, "Transmissions larger than the path takes, most of them probes of how much it takes; likewise.";
    quic_sends_waited, "Times that QUIC packets had to wait because the socket was full.";
    quic_receive_failed, "Receives of QUIC packets that failed, with an error of some packet sent before, or of the socket.";
    quic_unusable, "Receives of QUIC packets that were of no use: cut off, or sent to an address of many hosts.";
    quic_buffers_exhausted, "Receives of QUIC packets that ended because no buffer was free; asked for again after the turn.";
    datagrams_shed, "Datagrams dropped before they were judged, because the answers before them stood at the watermark.";
    answers_dropped, "Answers dropped because no datagram of the path holds them.";
    resumes, "Sessions resumed with a ticket.";
    recoveries, "Recoveries recorded.";
    recoveries_refused, "Sessions of recoveries erased because they could not be recorded, or their client was barred.";
    tickets, "Tickets given.";
    rotations_asked, "Times a session was told to renew because an operator has all of them renew.";
    cookies_asked, "Login frames answered with a cookie to bring.";
    strangers_evicted, "Connections cut off because places had become few and they were the oldest that never had a session.";
    logins_paused, "Times that a connection was not read for a while because too many of its login frames had to be answered with a RETRY.";
    logins_shed, "Login frames not looked at because their connection was not to be read.";
    logins_cut_off, "Connections closed because too many login frames came in a second that had to be answered with a RETRY.";
    accepts_paused, "Times that the next connection of an accept queue had to wait: mostly strangers came by it, or logins came faster than they are worked off.";
    accept_failed, "Accepts that failed: no descriptor or no memory left, or the peer was gone.";
    buffers_exhausted, "Receives that ended because no buffer was free; they are asked for again after the turn.";
    completions_overflowed, "Times that completions had to wait in the kernel because the queue was full; none is lost.";
}

impl Counters {
    /// Counts a refusal.
    pub fn reject(&self, reject: Reject) {
        self.rejects[reject as usize].add(1);
    }

    /// Every reason with its count.
    pub fn rejects(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Reject::ALL.iter().map(|reject| (reject.name(), self.rejects[*reject as usize].get()))
    }
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Only the owning shard calls this, so a load and a store suffice.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// The value so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
