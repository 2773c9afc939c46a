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
/// A client sends a request again within this time after its timestamp, ms (§17.2.7).
pub const REPEAT_MS_MAX: u64 = 60_000;
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

/// An OFFER is not sent again within this time, ms (§11.2.3).
pub const OFFER_AGAIN_MS: u64 = 1_000;
/// A generation whose number this divides begins with a Diffie-Hellman (§11.2.4).
pub const EXCHANGE_GENERATIONS: u16 = 8;
/// So does one when the last Diffie-Hellman is this old, ms (§11.2.4).
pub const EXCHANGE_MS: u64 = 3_600_000;
/// A client goes on with a generation for so long after a SHARE, ms (§11.3.9).
pub const STAY_MS: u64 = 5;
/// The shortest drain of a generation, ms (§11.3.4).
pub const DRAIN_MS_MIN: u64 = 2_000;
/// The longest drain of a generation, ms (§11.3.4).
pub const DRAIN_MS_MAX: u64 = 30_000;
/// A client keeps a generation no longer than this after its first request of the next, ms (§11.3.6).
pub const KEPT_MS_MAX: u64 = 30_000;
/// Bad tags of a generation after which it is renewed (§11.2.1).
pub const BAD_TAGS_RENEW: u32 = 1 << 10;
/// Bad tags of a generation after which the session is erased (§11.3.7).
pub const BAD_TAGS_ERASE: u32 = 1 << 14;

/// Counters and timestamps are 48 bits on the wire.
pub const U48_MAX: u64 = (1 << 48) - 1;

/// Smallest replay window (§2).
pub const REPLAY_WINDOW_BITS_MIN: u16 = 64;
/// Largest replay window (§2).
pub const REPLAY_WINDOW_BITS_MAX: u16 = 8_192;

/// Bytes of a HELLO, a RESUME or a RECOVER, exactly (§10.1.1, §12.3.1, §13.2.1).
pub const LOGIN_BYTES: usize = 512;
/// Most bytes of their answers (§10.2.1, §14.1).
pub const LOGIN_ANSWER_BYTES_MAX: usize = LOGIN_BYTES;
/// Bytes of a HELLO, exactly (§10.1.1).
pub const HELLO_BYTES: usize = LOGIN_BYTES;
/// Most bytes of a HELLO_R (§10.2.1).
pub const HELLO_R_BYTES_MAX: usize = LOGIN_ANSWER_BYTES_MAX;
/// Bytes of a RETRY cookie (§14).
pub const COOKIE_BYTES: usize = 16;
/// Most suites in a HELLO or a RECOVER (§10.1, §13.2).
pub const HELLO_SUITES_MAX: usize = 8;
/// Bytes of a grant (§10.2).
pub const GRANT_BYTES: usize = 50;

/// Bytes of a client id (§12.1.1).
pub const CLIENT_ID_BYTES: usize = 16;

/// Bytes of a ticket (§12.1).
pub const TICKET_BYTES: usize = 117;
/// Bytes of a ticket that are not sealed: version, ticket key id, nonce (§12.1).
pub const TICKET_PLAIN_BYTES: usize = 29;
/// Bytes of the nonce of a ticket (§12.1).
pub const TICKET_NONCE_BYTES: usize = 24;
/// A ticket may have been issued this much ahead of now, ms (§12.1.5).
pub const TICKET_AHEAD_MS: u64 = 5_000;
/// Resuming prolongs no authentication beyond this time, ms (§12.1.4).
pub const AUTHENTICATION_MS: u64 = 86_400_000;
/// Life of a ticket by default, ms (§2).
pub const TICKET_LIFE_MS: u64 = 3_600_000;
/// Recoveries of one client in [`RECOVERY_INTERVAL_MS`], by default (§2).
pub const RECOVERIES_MAX: u32 = 5;
/// In which recoveries are counted, ms (§2).
pub const RECOVERY_INTERVAL_MS: u64 = 3_600_000;

/// The protocol's name in the TLS handshake of QUIC (§17.2.1).
pub const QUIC_ALPN: &[u8] = b"mvt1";
/// The label of the TLS exporter that logins inside QUIC are bound to (§17.2.3).
pub const QUIC_EXPORTER: &[u8] = b"EXPORTER-MVT1";

/// Bytes of a public, private or symmetric key.
pub const KEY_BYTES: usize = 32;

/// Most bytes of an OFFER: 32 random bytes, form, e_s (§11.1).
pub const OFFER_BYTES_MAX: usize = FRAME_BYTES_MIN + KEY_BYTES + 1 + KEY_BYTES;

// The arithmetic the prose of §3 and §10 promises.
const _: () = assert!(LENGTH_MIN == 42 && LENGTH_MAX == 16_426);
const _: () = assert!(LENGTH_MAX <= u16::MAX as usize);
const _: () = assert!(HEADER_BYTES + 64 + GRANT_BYTES + TAG_BYTES + TAG_BYTES <= LOGIN_ANSWER_BYTES_MAX);
const _: () = assert!(TICKET_PLAIN_BYTES + 72 + TAG_BYTES == TICKET_BYTES);
// What is sent again finds its slot key still held (§5.2.2), and time to arrive.
const _: () = assert!(PAST_BOUND_MS < REPEAT_MS_MAX && REPEAT_MS_MAX + FUTURE_BOUND_MS < 1 << SLOT_BITS);
const _: () = assert!(PAST_BOUND_MS < 1 << SLOT_BITS && FUTURE_BOUND_MS < 1 << SLOT_BITS);
