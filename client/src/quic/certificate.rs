//! What a client holds the server's TLS certificate to.
//!
//! The server is authenticated by the login, which proves its static MVT key and is bound to this very TLS connection
//! (SPEC §17.2.3): one who stands between with a certificate of his own can complete no login, so no request is ever sent
//! to him. What the certificate adds is earlier: a client that pins it, or checks its issuer, does not even send its HELLO
//! to another server, and shows a passive relay nothing of when it logs in.

use std::{io, path::PathBuf, sync::Arc};

use mvt_proto::constants::QUIC_ALPN;
use quinn::{ClientConfig, TransportConfig, crypto::rustls::QuicClientConfig};
use rustls::{
    DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// The name sent where nobody checks it.
const NAME_UNCHECKED: &str = "mvt";
/// Bytes of a fingerprint.
const FINGERPRINT_BYTES: usize = 32;

/// What a server's certificate must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCertificate {
    /// Any whose key the server has; the login then tells whether it is the right server.
    CheckedByLogin,
    /// The one with this SHA-256, as the server prints it at start.
    Pinned([u8; FINGERPRINT_BYTES]),
    /// One of this name, issued by a root in this PEM file.
    IssuedBy {
        /// The file of roots.
        roots_file: PathBuf,
        /// The name the certificate must have.
        name: String,
    },
}

impl ServerCertificate {
    /// The certificate with this fingerprint: 64 hexadecimal digits, `sha256:` before them or not; `None` for anything else.
    #[must_use]
    pub fn pinned(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix("sha256:").unwrap_or(text.trim());
        if digits.len() != 2 * FINGERPRINT_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        for (byte, at) in fingerprint.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
        }
        Some(Self::Pinned(fingerprint))
    }

    /// The name for the TLS handshake.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::IssuedBy { name, .. } => name,
            Self::CheckedByLogin | Self::Pinned(_) => NAME_UNCHECKED,
        }
    }

    /// The settings of a connection, for a client that drives QUIC by itself: TLS 1.3, our protocol, no early data (SPEC
    /// §17.2.1, §17.2.2).
    ///
    /// # Errors
    /// What is wrong with the file of roots.
    pub fn client_config(&self, transport: TransportConfig) -> io::Result<ClientConfig> {
        let quic = QuicClientConfig::try_from(self.tls_config()?).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(quic));
        config.transport_config(Arc::new(transport));
        Ok(config)
    }

    /// The same of TLS alone.
    ///
    /// # Errors
    /// What is wrong with the file of roots.
    pub fn tls_config(&self) -> io::Result<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        tls.alpn_protocols = vec![QUIC_ALPN.to_vec()];
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(tls)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> io::Result<Arc<dyn ServerCertVerifier>> {
        let algorithms = provider.signature_verification_algorithms;
        Ok(match self {
            Self::CheckedByLogin => Arc::new(Fingerprint { wanted: None, algorithms }),
            Self::Pinned(wanted) => Arc::new(Fingerprint { wanted: Some(*wanted), algorithms }),
            Self::IssuedBy { roots_file, .. } => {
                let invalid = |error: &dyn std::fmt::Display| {
                    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
                };
                let text = std::fs::read(roots_file)?;
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(&text) {
                    roots
                        .add(certificate.map_err(|error| invalid(&error))?)
                        .map_err(|error| invalid(&error))?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| invalid(&error))?
            }
        })
    }
}

/// Looks at the fingerprint alone, if at anything; that the server has the key is always checked.
#[derive(Debug)]
struct Fingerprint {
    wanted: Option<[u8; FINGERPRINT_BYTES]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Fingerprint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_wanted = self
            .wanted
            .is_none_or(|wanted| ring::digest::digest(&ring::digest::SHA256, end_entity).as_ref() == wanted);
        if is_wanted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_64_digits() {
        let digits = "0123456789abcdefABCDEF00".repeat(3)[..64].to_owned();
        let Some(ServerCertificate::Pinned(bytes)) = ServerCertificate::pinned(&digits) else {
            panic!("a fingerprint")
        };
        assert_eq!(bytes[..4], [0x01, 0x23, 0x45, 0x67]);
        assert!(ServerCertificate::pinned(&format!(" sha256:{digits}\n")).is_some());
        for wrong in
            ["", &digits[1..], &format!("{digits}0"), &digits.replace('0', "g"), &digits.replace("01", "é")]
        {
            assert_eq!(ServerCertificate::pinned(wrong), None, "{wrong}");
        }
    }
}
