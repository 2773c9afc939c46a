//! The ways to flood a server's logins.

use std::net::{Ipv4Addr, SocketAddrV4};

/// What is sent, from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: its core is burnt all the same. What the others are held against.
    Idle,
    /// HELLOs whose mac1 is wrong: each ends its connection, and the next one comes.
    BadMac,
    /// HELLOs that open, never with a cookie. Every other connection goes on when the server has said that it closes.
    NoCookie,
    /// HELLOs that open, with the cookie of their connection, from one address. Ports are used again, so that cookies and HELLOs
    /// are, and cost the sender nothing.
    Cookie,
    /// The same from as many addresses as there are connections.
    Addresses,
    /// A connection, one HELLO, a reset; and the next.
    Churn,
    /// Connections that send half a HELLO and wait; when there are as many as there may be the oldest gives way to another.
    HalfOpen,
    /// As `Churn`, each from another address, of some fifty thousand prefixes of 24 bits: no queue by address keeps them apart from others.
    ChurnEverywhere,
    /// As `HalfOpen`, from as many.
    HalfOpenEverywhere,
}

/// One that sends, and what its figures are called.
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// What is left of the shard.
    pub(super) left: &'static str,
    /// How soon clients of other addresses are let in. `None` where there are no other addresses: then it is a note.
    pub(super) login: Option<&'static str>,
}

const fn row(kind: Kind, name: &'static str, left: &'static str, login: Option<&'static str>) -> Row {
    Row { kind, name, left, login }
}

impl Kind {
    /// Every one that sends.
    pub(super) const ALL: [Row; 8] = [
        row(
            Self::BadMac,
            "bad mac1",
            "shard time left: HELLOs of a bad mac1",
            Some("login of another address: bad mac1"),
        ),
        row(
            Self::NoCookie,
            "no cookie",
            "shard time left: HELLOs without cookie",
            Some("login of another address: no cookie"),
        ),
        row(
            Self::Cookie,
            "cookies",
            "shard time left: HELLOs with cookies",
            Some("login of another address: cookies"),
        ),
        row(
            Self::Addresses,
            "addresses",
            "shard time left: cookies of many addresses",
            Some("login of another address: many addresses"),
        ),
        row(
            Self::Churn,
            "churn",
            "shard time left: connect, send, reset",
            Some("login of another address: churn"),
        ),
        row(
            Self::HalfOpen,
            "half open",
            "shard time left: half-open connections",
            Some("login of another address: half open"),
        ),
        row(
            Self::ChurnEverywhere,
            "churn, everywhere",
            "shard time left: connect, send, reset, from everywhere",
            None,
        ),
        row(
            Self::HalfOpenEverywhere,
            "half open, everywhere",
            "shard time left: half-open connections from everywhere",
            None,
        ),
    ];

    /// Connections at once.
    pub(super) const fn line_count(self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Churn | Self::ChurnEverywhere => 1,
            Self::BadMac | Self::NoCookie | Self::Cookie => 64,
            Self::Addresses => 1024,
            Self::HalfOpen | Self::HalfOpenEverywhere => 8000,
        }
    }

    /// Where its connection of this number comes from, `made_count` having been made before: port 0 is any.
    pub(super) fn source(self, number: usize, made_count: u64) -> SocketAddrV4 {
        let [high, low] = (number as u16).to_be_bytes();
        match self {
            Self::Cookie => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 20_000 + number as u16),
            Self::Addresses => SocketAddrV4::new(Ipv4Addr::new(127, 1, high, low), 20_000),
            // More than one address has ports for.
            Self::HalfOpen | Self::Churn => SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, low), 0),
            Self::ChurnEverywhere | Self::HalfOpenEverywhere => {
                let [a, b, c, _] = (made_count as u32).wrapping_mul(0x9e37_79b1).to_be_bytes();
                SocketAddrV4::new(Ipv4Addr::new(127, 2 + a % 200, b, c), 0)
            }
            Self::Idle | Self::BadMac | Self::NoCookie => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        }
    }

    /// Whether its connections send one half of a HELLO.
    pub(super) const fn is_half_open(self) -> bool {
        matches!(self, Self::HalfOpen | Self::HalfOpenEverywhere)
    }

    /// Whether it brings the cookies it is asked for.
    pub(super) const fn brings_cookies(self) -> bool {
        matches!(self, Self::Cookie | Self::Addresses)
    }

    /// Whether a connection says one thing, and the next time it is its turn another one takes its place.
    pub(super) const fn comes_and_goes(self) -> bool {
        matches!(self, Self::Churn | Self::ChurnEverywhere) || self.is_half_open()
    }
}
