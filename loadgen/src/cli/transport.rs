//! Arguments of the transport: what carries the frames, and what a QUIC server's certificate must be.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mvt_client::quic::ServerCertificate;
use mvt_proto::Suite;

use super::PlanError;
use crate::io::{
    Carrier, Choice,
    quic::{Dialer, Way},
};

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A TCP connection
    Tcp,
    /// One QUIC stream of each connection
    QuicStream,
    /// QUIC datagrams, many frames in each; a lost one is sent again
    QuicDatagram,
}

/// Arguments of the transport.
#[derive(Debug, Args)]
#[command(next_help_heading = "By what")]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct TransportArguments {
    #[arg(long, default_value = "tcp", value_enum, help = "What carries the frames")]
    pub transport: Transport,
    #[arg(long, value_name = "SHA256", value_parser = fingerprint,
          help = "QUIC: the fingerprint of the server's certificate, as it prints it [default: any; the login tells]")]
    pub server_certificate: Option<ServerCertificate>,
    #[arg(
        long,
        value_name = "FILE",
        requires = "server_name",
        conflicts_with = "server_certificate",
        help = "QUIC: roots, as PEM, one of which issued the server's certificate"
    )]
    pub server_ca: Option<PathBuf>,
    #[arg(long, value_name = "NAME", requires = "server_ca", help = "QUIC: the name it was issued for")]
    pub server_name: Option<String>,
}

pub(super) fn fingerprint(text: &str) -> Result<ServerCertificate, String> {
    ServerCertificate::pinned(text).ok_or_else(|| "expected 64 hexadecimal digits".into())
}

impl TransportArguments {
    /// The suite that is offered when none is asked for (SPEC §4.5).
    pub(super) fn usual_suite(&self) -> Suite {
        if self.transport == Transport::Tcp { Suite::Gcm256 } else { Suite::Hs256 }
    }

    /// What carries the bytes.
    pub(super) fn carrier(self, io: Choice) -> Result<Carrier, PlanError> {
        let way = match self.transport {
            Transport::Tcp => {
                let given = [
                    ("--server-certificate", self.server_certificate.is_some()),
                    ("--server-ca", self.server_ca.is_some()),
                ];
                return match given.into_iter().find(|(_, is_given)| *is_given) {
                    Some((argument, _)) => Err(PlanError::OfQuic(argument)),
                    None => Ok(Carrier::Tcp),
                };
            }
            Transport::QuicStream => Way::Stream,
            Transport::QuicDatagram => Way::Datagrams,
        };
        let certificate = match (self.server_certificate, self.server_ca, self.server_name) {
            (Some(pinned), ..) => pinned,
            (None, Some(roots_file), Some(name)) => ServerCertificate::IssuedBy { roots_file, name },
            _ => ServerCertificate::CheckedByLogin,
        };
        quic(way, &certificate, io)
    }
}

/// QUIC that holds servers to `certificate`.
pub(super) fn quic(way: Way, certificate: &ServerCertificate, io: Choice) -> Result<Carrier, PlanError> {
    if io == Choice::Uring {
        return Err(PlanError::RingOfQuic);
    }
    let dialer = Dialer::new(way, certificate).map_err(|source| PlanError::Roots { source })?;
    Ok(Carrier::Quic(Box::new(dialer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(transport: Transport) -> TransportArguments {
        TransportArguments { transport, server_certificate: None, server_ca: None, server_name: None }
    }

    /// SPEC §4.5.
    #[test]
    fn the_usual_suite_is_that_of_the_transport() {
        let suites = Transport::value_variants().iter().map(|transport| arguments(*transport).usual_suite());
        assert!(suites.eq([Suite::Gcm256, Suite::Hs256, Suite::Hs256]));
    }

    #[test]
    fn what_is_of_quic_alone_is_refused_on_tcp_and_a_ring_on_quic() {
        let mut tcp = arguments(Transport::Tcp);
        tcp.server_certificate = Some(ServerCertificate::Pinned([0; 32]));
        assert!(matches!(tcp.carrier(Choice::Auto), Err(PlanError::OfQuic("--server-certificate"))));
        let ring = arguments(Transport::QuicStream).carrier(Choice::Uring);
        assert!(matches!(ring, Err(PlanError::RingOfQuic)));
        let mut missing = arguments(Transport::QuicStream);
        (missing.server_ca, missing.server_name) = (Some("no such file".into()), Some("mvt".into()));
        assert!(matches!(missing.carrier(Choice::Auto), Err(PlanError::Roots { .. })));
    }

    #[test]
    fn a_carrier_has_the_name_of_its_transport() {
        for transport in Transport::value_variants() {
            let carrier = arguments(*transport).carrier(Choice::Auto).expect("a carrier");
            let shown = transport.to_possible_value().expect("not hidden");
            assert_eq!(carrier.name(), shown.get_name());
            assert_eq!(carrier.loses(), *transport == Transport::QuicDatagram);
        }
    }
}
