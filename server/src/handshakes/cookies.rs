//! The cookies that guard the pool (SPEC §14.2).

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use mvt_proto::{constants::COOKIE_BYTES, login::CookieSecret};

use crate::{fatal::Fatal, keys::random_secret, limits::COOKIE_SECRET_MS};

/// The secret of now and the one before it.
#[derive(Debug)]
pub(super) struct Cookies(Mutex<Secrets>);

#[derive(Debug)]
struct Secrets {
    current: CookieSecret,
    previous: CookieSecret,
    made_ms: u64,
}

impl Cookies {
    pub(super) fn new(now_ms: u64) -> Result<Self, Fatal> {
        Ok(Self(Mutex::new(Secrets {
            current: CookieSecret::new(random_secret()?),
            previous: CookieSecret::new(random_secret()?),
            made_ms: now_ms,
        })))
    }

    /// The cookie that `frame`, a whole login frame, must bring; `None` when it brings a valid one.
    pub(super) fn to_bring(&self, frame: &[u8], peer: SocketAddr, now_ms: u64) -> Option<[u8; COOKIE_BYTES]> {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(secrets.made_ms) >= COOKIE_SECRET_MS
            && let Ok(secret) = random_secret()
        {
            let old = std::mem::replace(&mut secrets.current, CookieSecret::new(secret));
            secrets.previous = old;
            secrets.made_ms = now_ms;
        }
        let address = address_bytes(peer);
        let is_valid = secrets.current.accepts(frame, &address) || secrets.previous.accepts(frame, &address);
        (!is_valid).then(|| secrets.current.cookie(frame, &address))
    }
}

/// IP address and port in one fixed encoding.
fn address_bytes(peer: SocketAddr) -> [u8; 18] {
    let ip = match peer.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0u8; 18];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&peer.port().to_be_bytes());
    bytes
}
