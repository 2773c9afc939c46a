//! Bounds the server keeps that nobody tunes, with what they follow from.

use std::time::Duration;

use mvt_proto::constants::{FRAME_BYTES_MAX, FRAME_BYTES_MIN};

/// Frames judged in one turn.
pub const BATCH_FRAMES_MAX: usize = 1024;
/// Bytes taken in for one turn.
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Bytes asked of a socket at once.
pub const READ_BYTES: usize = 64 * 1024;
/// Output of one connection that is not sent, from which on it is not read any more.
pub const OUTPUT_BYTES_HIGH: usize = 256 * 1024;
/// Logins of one connection under way at once.
pub const LOGINS_PER_CONNECTION_MAX: u32 = 4;
/// RETRYs in a second on one connection that has sessions, less the logins that followed, beyond which it is closed (SPEC §14.5): an
/// honest client is asked for a cookie once for each login, and waits [`BUSY_WAIT_MS`] when told to.
pub const RETRIES_PER_SECOND_MAX: u32 = 64;
/// Connections a shard takes in within [`SWEEP_INTERVAL_MS`] while cookies are asked for, 800 a second; and one of each accept queue of
/// which it has taken in none yet. One costs 20 to 80 µs before it has shown anything.
pub const ACCEPTS_PER_INTERVAL_MAX: u32 = 40;
/// The same of an accept queue by which mostly strangers came: 80 a second.
pub const ACCEPTS_STRANGE_MAX: u32 = 4;
/// The same of all such queues together: 320 a second.
pub const ACCEPTS_STRANGE_ALL_MAX: u32 = 16;
/// Strangers that an accept queue is not blamed for.
pub const STRANGERS_FREE: u32 = 16;
/// After how long half of the strangers and guests of an accept queue are forgotten, ms.
pub const STRANGERS_HALF_MS: u64 = 2_000;
/// Open connections of an accept queue that have shown nothing yet, beyond which it is taken from as while cookies are asked for.
pub const UNKNOWN_MAX: u32 = 256;
/// The same of all queues together, beyond which [`ACCEPTS_UNKNOWN_MAX`] holds.
pub const UNKNOWN_ALL_MAX: u32 = 512;
/// Connections a shard takes in within [`SWEEP_INTERVAL_MS`] while so many are there that have shown nothing, 320 a second, and one of each
/// accept queue of which it has taken in none yet.
pub const ACCEPTS_UNKNOWN_MAX: u32 = 16;
/// How often a shard says that accepts fail at most, ms; each is counted.
pub const ACCEPT_TROUBLE_MS: u64 = 10_000;
/// Connections that the kernel holds for an accept queue by which mostly strangers came. More would only be older when they are
/// accepted, and stay in the way after their address was given another queue.
pub const BACKLOG_STRANGE: i32 = 8;
/// The same while too many connections are there that have shown nothing yet.
pub const BACKLOG_CROWDED: i32 = 256;
/// How often addresses are given other accept queues while some are flooded, and for how long one that floods is set apart after it was last
/// seen to, ms.
pub const QUEUES_REDRAWN_MS: u64 = 10_000;
/// How often the kernel is told of either at most, ms.
pub const QUEUES_TOLD_MS: u64 = 250;
/// While less than this part of all places for connections is free, the oldest that never had a session give way (CASES D-04).
pub const ROOM_SHARE: usize = 8;
/// For how long a connection is left in peace before that, ms.
pub const ROOM_AFTER_MS: u64 = 500;
/// Refused logins of one address in a second (of IPv6, of its first 64 bits), beyond which its next ones are told to wait: each cost two
/// key agreements.
pub const LOGIN_FAILURES_OF_ADDRESS_MAX: u64 = 16;
/// The same of all addresses of a prefix (of IPv4 24 bits, of IPv6 48): who has a thousand of them is not to have a thousand times as
/// many; and one address alone does not use up what its neighbours have.
pub const LOGIN_FAILURES_OF_PREFIX_MAX: u64 = 64;
/// For how long cookies are asked for after the queue was more than half full, or more than half as many clients as it holds came
/// without one, ms.
pub const LOGIN_PRESSURE_MS: u64 = 1_000;
/// RETRYs to a connection that never had a session, those not counted that were followed by the login they asked for, after which
/// it is not read for a while (SPEC §14.5): an honest client has one cookie asked of it, and is told to wait now and then.
pub const RETRIES_FREE: u32 = 4;
/// How long that is the first time; then twice as long each time.
pub const LOGIN_PAUSE_MS: u64 = 50;
/// At most.
pub const LOGIN_PAUSE_MS_MAX: u64 = 1_000;
/// For one that did not wait for any answer: it has sent more login frames before it could have heard of the last one.
pub const LOGIN_PAUSE_HASTY_MS: u64 = 5_000;
/// What a login thread leaves to the shards where both want one core: of a core, a thread of this niceness gets a thirtieth beside one
/// that is not nice at all. An idle core is its own as before.
pub const LOGIN_THREAD_NICE: i32 = 15;
/// The same of the control thread, a tenth: a command about a million clients is half a minute of work, and a shard of the same core is
/// not to share that with it. A single revocation is a fraction of a millisecond, and in time all the same.
pub const CONTROL_THREAD_NICE: i32 = 10;
/// Slices of a shard's thread, ns: the shortest there are, so that one that wakes need not wait for the rest of anybody else's.
pub const SHARD_SLICE_NS: u64 = 100_000;
/// And of a login thread, which it gives away after each login: the kernel would take it away at a tick only, 4 ms later.
pub const LOGIN_SLICE_NS: u64 = 200_000;
/// Streams a QUIC client may open on a connection, all of them at once (SPEC §17.2.4).
pub const STREAMS_PER_CONNECTION_MAX: u8 = 4;
/// The lane of a QUIC connection's datagrams, behind those of its streams.
pub const LANE_DATAGRAMS: u8 = STREAMS_PER_CONNECTION_MAX;
/// Handshakes of QUIC under way at one shard above which a client must prove its address first (a Retry).
pub const HANDSHAKES_UNPROVED_MAX: usize = 64;
/// Handshakes of QUIC under way at one shard, at most; what comes beyond is dropped.
pub const HANDSHAKES_AT_ONCE_MAX: usize = 512;
/// Handshakes of QUIC begun in one turn: each is some 300 µs of the shard's time.
pub const HANDSHAKES_PER_TURN_MAX: usize = 1;
/// Packets of clients in their handshake taken in one turn: one that ends it is some 60 µs.
pub const HANDSHAKE_PACKETS_PER_TURN_MAX: usize = 4;
/// Such packets that wait, at one shard; what comes beyond is dropped.
pub const HANDSHAKE_PACKETS_MAX: usize = 1024;
/// Changes of a QUIC client's address in a second, and probes to other addresses than its own; packets from elsewhere are dropped
/// beyond the former.
pub const QUIC_MOVES_PER_SECOND_MAX: u32 = 4;
/// How long a handshake of QUIC may take.
pub const HANDSHAKE_STALL: Duration = Duration::from_millis(STALL_MS);
/// Packets that belong to no connection, waiting to be sent.
pub const QUIC_RESPONSES_MAX: usize = 64;
/// Bytes of one stream that wait to be read, which is what a client can make us keep out of order.
pub const QUIC_STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// Bytes of all streams of a connection that wait to be read.
pub const QUIC_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes on their way to a client that are kept until it has acknowledged them.
pub const QUIC_SEND_WINDOW_BYTES: u64 = 256 * 1024;
/// Bytes of datagrams of one connection that wait to be read, or to be sent; each way.
pub const QUIC_DATAGRAM_BYTES: usize = 128 * 1024;
/// Bytes of clients' first packets that wait for their handshake to begin, at one shard.
pub const QUIC_INCOMING_BYTES: u64 = 1 << 20;
/// Bytes of the answers in one datagram: what the smallest path takes, whatever the client's connection ids. So none of those that
/// wait is dropped when a path shrinks; a large packet holds several.
pub const QUIC_ANSWERS_BYTES_MAX: usize = 1150;
/// Packets handed to the kernel at once, where it can cut them apart itself.
pub const QUIC_SEGMENTS_MAX: usize = 32;
/// Transmissions in one turn; what is left then makes the next turn come at once.
pub const QUIC_TRANSMITS_PER_TURN_MAX: usize = 256;
/// Mail of other threads (login results, QUIC packets) waiting at one shard; as many forwarded frames of all shards together, and as
/// many answers to such.
pub const MAILBOX_COUNT_MAX: usize = 4096;
/// Forwarded frames of one other shard that may wait at least, however many shards there are.
pub const PASSAGE_COUNT_MIN: usize = 16;
/// Bytes of QUIC packets waiting in one mailbox; as many of forwarded frames of all shards together, and as many of answers to such,
/// but for [`PASSAGE_BYTES_MIN`].
pub const MAILBOX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of all answers to one forwarded frame: the largest, and the frames of a renewal or a ticket beside it, which are smaller than
/// 256 bytes each.
pub const ANSWER_BYTES_MAX: usize = FRAME_BYTES_MAX + (crate::mailbox::ANSWERS_PER_FRAME_MAX - 1) * 256;
/// Bytes of one other shard's frames that may wait at least, or of answers to it, however many shards there are: two of the largest, so
/// that one can be on its way while the other is judged.
pub const PASSAGE_BYTES_MIN: usize = 2 * ANSWER_BYTES_MAX;
/// Bytes of frames that wait at one shard for room at the one that owns their keys. Their connections are not read, so this is
/// what had been read of them; a connection that would take more is closed.
pub const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time between two sweeps over deadlines, ms.
pub const SWEEP_INTERVAL_MS: u64 = 50;
/// Connections looked at in one sweep.
pub const SWEEP_COUNT_MAX: usize = 4096;
/// Sessions looked at between two turns: what a request may have to wait for is the time of these, not of all that are due.
pub const RECLAIM_COUNT_MAX: usize = 64;
/// Sessions a shard tells to renew in a second at most, where an operator has all of them renew: what that takes of a core is
/// bounded.
pub const ROTATION_PER_SECOND_MAX: u64 = 2_000;
/// The same for one turn: no herd of OFFERs follows.
pub const ROTATION_PER_TURN_MAX: u64 = 2;
/// The same for one tick, where there are few turns.
pub const ROTATION_PER_TICK_MAX: u64 = ROTATION_PER_SECOND_MAX * SWEEP_INTERVAL_MS / 1000;
/// Owners looked at in one step for a revocation: some microseconds. There is a step in every turn until all were looked at, and where a shard
/// has a fifth of its time left each turn then takes five times as long as its step, so that is what requests wait for. How soon the
/// last session is erased does not depend on it.
pub const REVOKE_COUNT_MAX: usize = 128;
/// Sessions erased in one such step at most: that costs some forty times as much as a look.
pub const REVOKE_ERASED_MAX: usize = 4;
/// How long an admin command waits for every shard to have erased the sessions of a revoked client, ms.
pub const REVOKE_CONFIRM_MS: u64 = 10_000;
/// Recoveries waiting to be recorded; beyond them clients ask again.
pub const CLAIMS_COUNT_MAX: usize = 1024;
/// Requests of one admin caller before others have their turn.
pub const ADMIN_REQUESTS_PER_TURN_MAX: usize = 16;
/// Bytes of an admin request, with its end of line.
pub const ADMIN_REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// Clients in one request of a command line that names many: what the control thread does for it at once is bounded.
pub const ADMIN_BULK_COUNT_MAX: usize = 16_384;
/// Bytes of an admin answer its caller takes.
pub const ADMIN_ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Callers of the admin socket at once; others wait.
pub const ADMIN_PEERS_MAX: usize = 16;
/// How long an admin caller may take to send a request, or to read its answer, ms.
pub const ADMIN_PEER_MS: u64 = 5_000;
/// How long a command waits for its answer, ms: a piece of [`ADMIN_BULK_COUNT_MAX`] clients is a second of work, those of other callers
/// come before it, and the control thread gives way to shards.
pub const ADMIN_PATIENCE_MS: u64 = 60_000;
/// Clients in one answer to `list`, lines in one to `audit`.
pub const ADMIN_LIST_COUNT_MAX: usize = 512;
/// How long a started frame, output that nobody reads, or frames for a shard that stands still may wait, ms.
pub const STALL_MS: u64 = 10_000;
/// How long what was handed to the socket may take to be taken by it, ms: a peer that reads slower is cut off.
pub const SEND_MS_MAX: u64 = 30_000;
/// How long a closed connection may take to hear of it, ms.
pub const LINGER_MS: u64 = 1_000;
/// How far behind what is recorded a wall clock may start and be made up for, ms: as long as a ticket lives at most.
pub const CLOCK_BEHIND_MS_MAX: u64 = mvt_proto::constants::AUTHENTICATION_MS;
/// Ephemeral key pairs made in advance for renewals.
pub const EPHEMERAL_COUNT_MAX: usize = 64;
/// Key agreements of renewals that wait for the pool, of all shards: what a thread works off in as long as a client waits (SPEC §11.3.9).
pub const AGREEMENTS_COUNT_MAX: usize = 64;
/// After how long a silence a connection gives back what it keeps between two reads, ms.
pub const TRIM_MS: u64 = 2_000;
/// What a client is asked to wait when the login queue is full, ms.
pub const BUSY_WAIT_MS: u32 = 250;
/// Age at which the cookie secret is replaced, ms (SPEC §14.2).
pub const COOKIE_SECRET_MS: u64 = 120_000;
/// Sessions a shard may own: its number is a byte of the key id.
pub const SHARDS_MAX: usize = 256;

const _: () = assert!(BATCH_BYTES_MAX >= FRAME_BYTES_MAX + READ_BYTES);
const _: () = assert!(READ_BYTES >= FRAME_BYTES_MAX);
const _: () = assert!(PASSAGE_BYTES_MIN >= FRAME_BYTES_MAX && PASSAGE_BYTES_MIN >= ANSWER_BYTES_MAX);
const _: () = assert!(mvt_proto::constants::TICKET_BYTES + FRAME_BYTES_MIN < 256);
const _: () = assert!(PASSAGE_COUNT_MIN >= crate::mailbox::ANSWERS_PER_FRAME_MAX);
// A connection is stopped after the turn that found no room; by then a batch and one read more of it may be here.
const _: () = assert!(HELD_BYTES_MAX >= 4 * BATCH_BYTES_MAX);
// Every flooded queue has its turn: all of them in three intervals.
const _: () = assert!(3 * ACCEPTS_STRANGE_ALL_MAX as usize >= mvt_sys::port_steering::QUEUE_COUNT);
const _: () = assert!(QUIC_STREAM_WINDOW_BYTES as usize >= FRAME_BYTES_MAX);
const _: () = assert!(HANDSHAKES_UNPROVED_MAX < HANDSHAKES_AT_ONCE_MAX);
// A frame is answered with at most its own length, or by a service's bounded answer: one read past the mark stays small.
const _: () = assert!(OUTPUT_BYTES_HIGH >= READ_BYTES && FRAME_BYTES_MIN > 0);
