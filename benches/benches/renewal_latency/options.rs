//! The command line.

use mvt_proto::Suite;

#[derive(Debug, Clone)]
pub struct Options {
    /// Of what the shard can do in turns of 256 requests.
    pub load: f64,
    /// Virtual time measured, ms, after as much as a drain takes.
    pub measured_ms: u64,
    pub round_ms: u64,
    /// Within which each session renews where they do so often, ms.
    pub every_ms: u32,
    pub warmup_ms: u64,
    pub sessions: usize,
    pub replicas: usize,
    pub has_sockets: bool,
    pub suite: Suite,
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
        Self {
            load: value_of("--load").unwrap_or(0.8),
            measured_ms: number("--measured-ms", 2_000),
            round_ms: number("--round-ms", 50),
            every_ms: number("--every-ms", 8_000) as u32,
            warmup_ms: number("--warmup-ms", 2_200),
            sessions: number("--sessions", 8_192) as usize,
            replicas: number("--replicas", 3) as usize,
            has_sockets: has("--sockets"),
            suite: if number("--suite", 1) == 2 { Suite::Gcm256 } else { Suite::Hs256 },
        }
    }
}
