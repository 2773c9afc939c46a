//! Every number the specification fixes (SPEC §2). Tunables live with the server's configuration.

/// Version in the high nibble of byte 2.
pub const VERSION: u8 = 1;
/// Bytes of the length field at the start of a frame.
pub const LENGTH_FIELD_BYTES: usize = 2;
/// Bytes of a frame header (§3.1).
pub const HEADER_BYTES: usize = 28;
/// Bytes of a tag (§3.1).
pub const TAG_BYTES: usize = 16;
/// Most bytes of a payload (§3.1).
pub const PAYLOAD_BYTES_MAX: usize = 16_384;
/// Bytes of the smallest frame: no payload.
pub const FRAME_BYTES_MIN: usize = HEADER_BYTES + TAG_BYTES;
/// Bytes of the largest frame.
pub const FRAME_BYTES_MAX: usize = HEADER_BYTES + PAYLOAD_BYTES_MAX + TAG_BYTES;
/// Smallest value of the length field (§3.2.1).
pub const LENGTH_MIN: usize = FRAME_BYTES_MIN - LENGTH_FIELD_BYTES;
/// Largest value of the length field (§3.2.1).
pub const LENGTH_MAX: usize = FRAME_BYTES_MAX - LENGTH_FIELD_BYTES;

/// A slot is 2^16 ms, so that the slot of a time is a shift (§5.2).
pub const SLOT_BITS: u32 = 16;
/// A request may be this much older than now, ms (§6.3).
pub const PAST_BOUND_MS: u64 = 30_000;
/// A request may be this much ahead of now, ms (§6.3).
pub const FUTURE_BOUND_MS: u64 = 5_000;
/// A client corrects its clock at most once in this time, ms (§6.4).
pub const CLOCK_CORRECTION_INTERVAL_MS: u64 = 10_000;
/// A session nobody used is forgotten after this time, ms (§10.3.2).
pub const FIRST_USE_MS: u64 = 10_000;
/// Unverified requests on one connection before the server closes it (§9.4).
pub const UNVERIFIED_PER_CONNECTION_MAX: u32 = 8;

/// Bytes of an entry of a VERDICTS (§7.4).
pub const VERDICT_BYTES: usize = 8;
/// Most entries of a VERDICTS (§7.4).
pub const VERDICTS_MAX: usize = 128;

/// Counters and timestamps are 48 bits on the wire.
pub const U48_MAX: u64 = (1 << 48) - 1;

/// Smallest replay window (§2).
pub const REPLAY_WINDOW_BITS_MIN: u16 = 64;
/// Largest replay window (§2).
pub const REPLAY_WINDOW_BITS_MAX: u16 = 8_192;

/// Bytes of a HELLO, exactly (§10.1.1).
pub const HELLO_BYTES: usize = 512;
/// Most bytes of a HELLO_R (§10.2.1).
pub const HELLO_R_BYTES_MAX: usize = HELLO_BYTES;
/// Bytes of a RETRY cookie (§14).
pub const COOKIE_BYTES: usize = 16;
/// Most suites in a HELLO (§10.1).
pub const HELLO_SUITES_MAX: usize = 8;
/// Most bytes of a ticket (§10.2).
pub const TICKET_BYTES_MAX: usize = 368;
/// Bytes of the fixed part of the HELLO_R's Noise payload (§10.2).
pub const GRANT_BYTES: usize = 52;

/// Bytes of a public, private or symmetric key.
pub const KEY_BYTES: usize = 32;

// The arithmetic the prose of §3 and §10 promises.
const _: () = assert!(LENGTH_MIN == 42 && LENGTH_MAX == 16_426);
const _: () = assert!(LENGTH_MAX <= u16::MAX as usize);
const _: () =
    assert!(HEADER_BYTES + 32 + GRANT_BYTES + TICKET_BYTES_MAX + 16 + TAG_BYTES <= HELLO_R_BYTES_MAX);
const _: () = assert!(PAST_BOUND_MS < 1 << SLOT_BITS && FUTURE_BOUND_MS < 1 << SLOT_BITS);
