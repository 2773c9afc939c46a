//! The command line.

use mvt_proto::Suite;

use crate::event::Event;

#[derive(Debug, Clone)]
pub struct Options {
    /// Of what the shard can do in turns of 256 requests.
    pub load: f64,
    /// Virtual time measured, ms.
    pub measured_ms: u64,
    pub warmup_ms: u64,
    /// What is drawn again as one for the interval of a ratio, ms.
    pub round_ms: u64,
    /// How long an arm goes on before the next one does, us.
    pub slice_us: u64,
    /// Sessions that send.
    pub sessions: usize,
    /// Sessions beside them, of clients that can be revoked.
    pub idle: usize,
    pub replicas: usize,
    pub has_sockets: bool,
    pub suite: Suite,
    pub event: Event,
    pub name: &'static str,
}

impl Options {
    pub fn read(arguments: impl Iterator<Item = String>) -> Self {
        let arguments: Vec<String> = arguments.collect();
        let value_of = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            Some(arguments[at + 1].parse::<f64>().expect("a number"))
        };
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        let number = |name, usual: u64| value_of(name).map_or(usual, |value| value as u64);
        let (warmup_ms, measured_ms) = (number("--warmup-ms", 100), number("--measured-ms", 600));
        let at_ms = warmup_ms;
        // As `mvt-server revoke --from FILE` does it: in pieces, one after the other.
        let (names, every_ms) = (number("--names", 15_000), number("--every-ms", 200));
        let (event, name) = if has("--rotation") {
            (Event::Rotation { at_ms, within_ms: number("--within-ms", 1_000) }, "all are told to renew")
        } else {
            (Event::Revocation { at_ms, names, every_ms }, "clients are revoked")
        };
        let idle = if has("--rotation") { 0 } else { 131_072 };
        Self {
            load: value_of("--load").unwrap_or(0.8),
            measured_ms,
            warmup_ms,
            round_ms: number("--round-ms", 25),
            slice_us: number("--slice-us", 2_000),
            sessions: number("--sessions", 8_192) as usize,
            idle: number("--idle", idle) as usize,
            replicas: number("--replicas", 5) as usize,
            has_sockets: has("--sockets"),
            suite: if number("--suite", 1) == 2 { Suite::Gcm256 } else { Suite::Hs256 },
            event,
            name,
        }
    }
}
