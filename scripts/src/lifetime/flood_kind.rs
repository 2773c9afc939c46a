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
}

impl Kind {
    /// Every one that sends, with what its figures are called.
    pub(super) const ALL: [(Self, &'static str, &'static str, &'static str); 6] = [
        (
            Self::BadMac,
            "bad mac1",
            "shard time left: HELLOs of a bad mac1",
            "login of another address: bad mac1",
        ),
        (
            Self::NoCookie,
            "no cookie",
            "shard time left: HELLOs without cookie",
            "login of another address: no cookie",
        ),
        (
            Self::Cookie,
            "cookies",
            "shard time left: HELLOs with cookies",
            "login of another address: cookies",
        ),
        (
            Self::Addresses,
            "addresses",
            "shard time left: cookies of many addresses",
            "login of another address: many addresses",
        ),
        (Self::Churn, "churn", "shard time left: connect, send, reset", "login of another address: churn"),
        (
            Self::HalfOpen,
            "half open",
            "shard time left: half-open connections",
            "login of another address: half open",
        ),
    ];

    /// Connections at once.
    pub(super) const fn line_count(self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Churn => 1,
            Self::BadMac | Self::NoCookie | Self::Cookie => 64,
            Self::Addresses => 1024,
            Self::HalfOpen => 8000,
        }
    }

    /// Where its connection of this number comes from: port 0 is any.
    pub(super) fn source(self, number: usize) -> SocketAddrV4 {
        let [high, low] = (number as u16).to_be_bytes();
        match self {
            Self::Cookie => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 20_000 + number as u16),
            Self::Addresses => SocketAddrV4::new(Ipv4Addr::new(127, 1, high, low), 20_000),
            // More than one address has ports for.
            Self::HalfOpen | Self::Churn => SocketAddrV4::new(Ipv4Addr::new(127, 1, 0, low), 0),
            Self::Idle | Self::BadMac | Self::NoCookie => SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0),
        }
    }

    /// Whether it brings the cookies it is asked for.
    pub(super) const fn brings_cookies(self) -> bool {
        matches!(self, Self::Cookie | Self::Addresses)
    }

    /// Whether a connection says one thing, and the next time it is its turn another one takes its place.
    pub(super) const fn comes_and_goes(self) -> bool {
        matches!(self, Self::Churn | Self::HalfOpen)
    }
}
