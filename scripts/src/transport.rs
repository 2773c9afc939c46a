//! What carries the frames of ours: a row of the load generator's `--transport`.

use clap::ValueEnum;

/// A transport of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A TCP connection
    Tcp,
    /// One QUIC stream of each connection
    QuicStream,
    /// QUIC datagrams, many frames in each
    QuicDatagram,
}

impl Transport {
    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::QuicStream => "quic-stream",
            Self::QuicDatagram => "quic-datagram",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_named_as_on_the_command_line() {
        for transport in Transport::value_variants() {
            assert_eq!(transport.to_possible_value().unwrap().get_name(), transport.name());
        }
    }
}
