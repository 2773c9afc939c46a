//! The configuration file: TOML, every key optional, unknown keys refused, every error located.

mod error;
mod store;
mod tickets;
mod value;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use mvt_proto::Limits;
use serde::Deserialize;

pub use error::ConfigError;
pub use store::{Admin, Engine, StoreTable};
pub use tickets::Tickets;

use crate::{limits::SHARDS_MAX, service::ServiceKind};
use error::Clash;
use value::{address_or_off, between, file, window};

const _: () = assert!(SHARDS_MAX == 256, "the bound of io.shards");

/// The whole configuration; `Config::default()` is the embedded default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Who we are, and who may log in.
    pub identity: IdentityFiles,
    /// The TLS certificate of QUIC.
    pub quic: QuicFiles,
    /// Where clients and revocations are kept.
    pub store: StoreTable,
    /// Who may give commands to the running server.
    pub admin: Admin,
    /// What lets clients resume.
    pub tickets: Tickets,
    /// How bytes are moved.
    pub io: Io,
    /// Bounds.
    pub limits: LimitsTable,
    /// Where memory may go.
    pub memory: Memory,
    /// The login pool.
    pub login: Login,
    /// What is done with a verified request.
    pub service: Service,
    /// What is logged.
    pub log: Log,
}

/// `[listen]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port for raw TCP; port 0 lets the kernel choose.
    pub tcp: SocketAddr,
    /// Address and port for QUIC; `None`, written "off", is no QUIC.
    #[serde(deserialize_with = "address_or_off")]
    pub quic: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        Self { tcp: SocketAddr::from(([127, 0, 0, 1], 7440)), quic: None }
    }
}

/// `[identity]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityFiles {
    /// The server's key file, made by `keygen`.
    #[serde(deserialize_with = "file")]
    pub key_file: PathBuf,
    /// The authorized file, for `store.engine = "file"`.
    #[serde(deserialize_with = "file")]
    pub clients_file: PathBuf,
    /// First 16 bits of the key ids this node makes; different on every node.
    pub node_slot: u16,
}

impl Default for IdentityFiles {
    fn default() -> Self {
        Self { key_file: "server.key".into(), clients_file: "clients.mvt".into(), node_slot: 0 }
    }
}

/// `[quic]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuicFiles {
    /// The TLS certificate, PEM; made on the first start if neither file is there.
    #[serde(deserialize_with = "file")]
    pub certificate_file: PathBuf,
    /// Its private key, PEM, mode 600.
    #[serde(deserialize_with = "file")]
    pub key_file: PathBuf,
}

impl Default for QuicFiles {
    fn default() -> Self {
        Self { certificate_file: "quic.crt".into(), key_file: "quic.key".into() }
    }
}

/// How bytes are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// io_uring if the host allows it, else epoll, saying so.
    Auto,
    /// io_uring, or fail.
    Uring,
    /// io_uring by monoio, or fail.
    Monoio,
    /// epoll.
    Epoll,
}

/// How the `uring` backend moves QUIC's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packets {
    /// By the ring if the kernel can, else as [`Packets::Readiness`], saying so.
    Auto,
    /// By system calls beside the ring, which says when there is something to read; as the other backends.
    Readiness,
}

/// `[io]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Io {
    /// How bytes are moved.
    pub backend: Backend,
    /// How QUIC's packets are moved; `uring` only.
    pub packets: Packets,
    /// Shards, each one thread; 0 is one for each core this process may run on.
    #[serde(deserialize_with = "between::<_, _, 0, 256>")]
    pub shards: usize,
    /// Cores to pin the shards to, in order; empty takes the first allowed ones.
    pub cores: Vec<usize>,
    /// Whether shards are pinned at all.
    pub pin: bool,
    /// How long an idle shard looks for work before it sleeps, µs; `uring` only.
    #[serde(deserialize_with = "between::<_, _, 0, 1000>")]
    pub spin_us: u64,
}

impl Default for Io {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            packets: Packets::Auto,
            shards: 0,
            cores: Vec::new(),
            pin: true,
            spin_us: 0,
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsTable {
    /// Soft limit of a key, requests.
    #[serde(deserialize_with = "between::<_, _, 1, 0xffff_ffff>")]
    pub renew_after_requests: u32,
    /// Hard limit of a key, requests.
    #[serde(deserialize_with = "between::<_, _, 1, 0xffff_ffff>")]
    pub reject_after_requests: u32,
    /// Soft limit of a key, ms.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400_000>")]
    pub renew_after_ms: u32,
    /// Hard limit of a key, ms.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400_000>")]
    pub reject_after_ms: u32,
    /// Width of the replay window, a power of two.
    #[serde(deserialize_with = "window")]
    pub replay_window_bits: u16,
    /// Sessions of the whole node.
    #[serde(deserialize_with = "between::<_, _, 1, 1_000_000_000>")]
    pub sessions_max: usize,
    /// Connections of the whole node.
    #[serde(deserialize_with = "between::<_, _, 1, 10_000_000>")]
    pub connections_max: usize,
    /// How long a verified connection may be silent, ms.
    #[serde(deserialize_with = "between::<_, _, 1000, 86_400_000>")]
    pub idle_ms: u64,
}

impl Default for LimitsTable {
    fn default() -> Self {
        let granted = Limits::DEFAULT;
        Self {
            renew_after_requests: granted.renew_after_requests,
            reject_after_requests: granted.reject_after_requests,
            renew_after_ms: granted.renew_after_ms,
            reject_after_ms: granted.reject_after_ms,
            replay_window_bits: granted.replay_window_bits,
            sessions_max: 1_000_000,
            connections_max: 100_000,
            idle_ms: 900_000,
        }
    }
}

impl LimitsTable {
    /// What a login grants.
    #[must_use]
    pub const fn granted(&self) -> Limits {
        Limits {
            renew_after_requests: self.renew_after_requests,
            reject_after_requests: self.reject_after_requests,
            renew_after_ms: self.renew_after_ms,
            reject_after_ms: self.reject_after_ms,
            replay_window_bits: self.replay_window_bits,
        }
    }
}

/// `[memory]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// Whether it is kept out of swap; then a host that does not allow it is refused.
    pub lock: bool,
}

/// `[login]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// Threads that do the key agreement.
    #[serde(deserialize_with = "between::<_, _, 1, 64>")]
    pub threads: usize,
    /// HELLOs waiting for them; beyond half of it cookies are asked, beyond all of it clients are told to wait.
    #[serde(deserialize_with = "between::<_, _, 1, 65_536>")]
    pub queue: usize,
}

impl Default for Login {
    fn default() -> Self {
        Self { threads: 2, queue: 256 }
    }
}

/// `[service]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// `verdict` answers status 0 without payload, `echo` the request's op and payload.
    pub kind: ServiceKind,
}

impl Default for Service {
    fn default() -> Self {
        Self { kind: ServiceKind::Verdict }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what ends the process.
    Error,
    /// And what is not as it should be.
    Warn,
    /// And start, stop, and their figures.
    Info,
    /// And logins.
    Debug,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How the log is written.
    pub format: LogFormat,
    /// How much is logged.
    pub level: LogLevel,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info }
    }
}

impl Config {
    /// Reads the file at `path`; paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`ConfigError`], located.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes =
            std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let whole = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
            ConfigError::at(path, &whole, whole.len(), "not UTF-8".into())
        })?;
        let mut config = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self { identity, quic, store, admin, tickets, .. } = &mut config;
        for file in [
            &mut identity.key_file,
            &mut identity.clients_file,
            &mut quic.certificate_file,
            &mut quic.key_file,
            &mut store.file,
            &mut store.seal_key_file,
            &mut admin.socket,
            &mut tickets.ring_file,
        ] {
            *file = folder.join(&*file);
        }
        for file in [&mut store.feed_file, &mut store.mark_file] {
            if !file.as_os_str().is_empty() {
                *file = folder.join(&*file);
            }
        }
        Ok(config)
    }

    /// Reads the text of a file, `path` being its name in errors.
    ///
    /// # Errors
    /// [`ConfigError::At`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            ConfigError::at(path, text, at, error.message().lines().collect::<Vec<_>>().join(" "))
        })?;
        config.check_together().map_err(|clash| clash.located(text, path))?;
        Ok(config)
    }

    fn check_together(&self) -> Result<(), Clash> {
        let clash = |keys, text: &str| Err(Clash { keys, text: text.into() });
        let limits = &self.limits;
        if limits.renew_after_requests > limits.reject_after_requests {
            let keys = &["limits.renew_after_requests", "limits.reject_after_requests"];
            return clash(keys, "limits.renew_after_requests is above limits.reject_after_requests");
        }
        if limits.renew_after_ms > limits.reject_after_ms {
            let keys = &["limits.renew_after_ms", "limits.reject_after_ms"];
            return clash(keys, "limits.renew_after_ms is above limits.reject_after_ms");
        }
        let store = &self.store;
        if store.engine == Engine::Feed && store.feed_file.as_os_str().is_empty() {
            return clash(&["store.engine"], "store.engine = \"feed\" needs store.feed_file");
        }
        if store.engine == Engine::File && !store.feed_file.as_os_str().is_empty() {
            return clash(&["store.feed_file"], "store.engine = \"file\" has no store.feed_file");
        }
        if store.resume_stale_ms > store.login_stale_ms {
            let keys = &["store.resume_stale_ms", "store.login_stale_ms"];
            return clash(keys, "store.resume_stale_ms is above store.login_stale_ms");
        }
        let cores = &self.io.cores;
        if !cores.is_empty() && self.io.shards > cores.len() {
            return clash(&["io.shards"], "io.shards is above the number of io.cores");
        }
        if cores.iter().enumerate().any(|(index, core)| cores[..index].contains(core)) {
            return clash(&["io.cores"], "io.cores names a core twice");
        }
        let forbidden = mvt_sys::affinity::forbidden_of(cores);
        if !forbidden.is_empty() {
            let text = format!("io.cores names cores this process may not run on: {forbidden:?}");
            return clash(&["io.cores"], &text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(text, Path::new("mvt.toml")).unwrap_err().to_string()
    }

    #[test]
    fn the_sample_file_names_every_key_with_its_default() {
        let sample = include_str!("../mvt.toml");
        let config = Config::parse(sample, Path::new("mvt.toml")).unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        let uncommented = sample.lines().filter(|line| line.contains(" = ")).count();
        assert_eq!(uncommented, 43, "a key was added or removed: mvt.toml names them all");
    }

    #[test]
    fn every_error_is_one_line_with_its_place() {
        for (text, expected) in [
            ("[listen]\ntcp = 7", "mvt.toml:2:7: "),
            ("[listen]\ntcp = \"localhost\"", "mvt.toml:2:7: "),
            ("[listen]\nudp = \"127.0.0.1:1\"", "mvt.toml:2:1: unknown field `udp`"),
            ("[listen]\nquic = \"on\"", "mvt.toml:2:8: neither an address with a port nor \"off\""),
            ("[lisen]", "mvt.toml:1:2: unknown field `lisen`"),
            ("[io]\nshards = 257", "mvt.toml:2:10: 257 is not between 0 and 256"),
            ("[io]\nshards = -1", "mvt.toml:2:10: -1 is not between 0 and 256"),
            ("[io]\nshards = \"two\"", "mvt.toml:2:10: "),
            ("[io]\nbackend = \"kqueue\"", "mvt.toml:2:11: unknown variant `kqueue`"),
            ("[io]\nspin_us = 1001", "mvt.toml:2:11: 1001 is not between 0 and 1000"),
            ("[io]\npin = true\npin = true", "mvt.toml:3:1: duplicate key"),
            ("[limits]\nreplay_window_bits = 1000", "mvt.toml:2:22: 1000 is not a power of two"),
            ("[limits]\nreplay_window_bits = 32", "mvt.toml:2:22: 32 is not between 64 and 8192"),
            ("[limits]\nrenew_after_ms = 1.5", "mvt.toml:2:18: "),
            ("[limits]\nrenew_after_ms = ", "mvt.toml:2:"),
            ("[limits]\nrenew_after_ms = 900001", "mvt.toml:2:18: limits.renew_after_ms is above"),
            ("\nlimits.reject_after_ms = 1", "mvt.toml:2:26: limits.renew_after_ms is above"),
            (
                "[limits]\nrenew_after_requests = 3000000",
                "mvt.toml:2:24: limits.renew_after_requests is above",
            ),
            ("[store]\nengine = \"etcd\"", "mvt.toml:2:10: unknown variant `etcd`"),
            ("[store]\nengine = \"feed\"", "mvt.toml:2:10: store.engine = \"feed\" needs store.feed_file"),
            ("[store]\nlogin_stale_ms = 50000", "mvt.toml:2:18: store.resume_stale_ms is above"),
            ("[store]\nrevocations_max = 0", "mvt.toml:2:19: 0 is not between"),
            ("[io]\ncores = [0, 0]", "mvt.toml:2:9: io.cores names a core twice"),
            (
                "[io]\ncores = [1000]",
                "mvt.toml:2:9: io.cores names cores this process may not run on: [1000]",
            ),
            ("[io]\ncores = [0]\nshards = 2", "mvt.toml:3:10: io.shards is above"),
            ("[identity]\nkey_file = \"\"", "mvt.toml:2:12: empty, and the name of a file is meant"),
            ("admin.socket = \"\"", "mvt.toml:1:16: empty, and"),
            ("tickets.ring_file = \"\"", "mvt.toml:1:21: empty, and"),
            ("store.seal_key_file = \"\"", "mvt.toml:1:23: empty, and"),
        ] {
            let message = refusal(text);
            assert!(message.starts_with(expected), "{text:?} gave {message:?}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
