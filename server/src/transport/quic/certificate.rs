//! The server's TLS certificate: from files, or made on the first start, with the fingerprint clients may pin.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mvt_sys::keystore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::fatal::Fatal;

/// The name in a certificate we make. Clients pin the certificate or rely on the login; no name is looked at then.
const NAME: &str = "mvt";

/// A certificate with its key.
pub struct Certificate {
    pub(super) path: PathBuf,
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Reads the PEM files; makes both where neither is there, the key with mode 600.
    ///
    /// # Errors
    /// When a file cannot be read, written or parsed, or the key lets others in.
    pub fn load_or_make(certificate_file: &Path, key_file: &Path) -> Result<Self, Fatal> {
        if !certificate_file.exists() && !key_file.exists() {
            make(certificate_file, key_file)?;
        }
        let unreadable = |source| Fatal::CertificateFile { path: certificate_file.to_owned(), source };
        let text = fs::read(certificate_file).map_err(unreadable)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error.to_string())))?;
        if chain.is_empty() {
            return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it")));
        }
        let key = keystore::read_secret(key_file)
            .map_err(|source| Fatal::SecretFile { path: key_file.to_owned(), source })?;
        let key = Zeroizing::new(key);
        // What the parser says could quote the key.
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Fatal::CertificateFile {
            path: key_file.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, "no private key in it"),
        })?;
        Ok(Self { path: certificate_file.to_owned(), chain, key })
    }

    /// SHA-256 of the server's own certificate, in hexadecimal: what clients may pin.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.chain[0]);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The key first: a certificate without its key would be in the way of the next start.
fn make(certificate_file: &Path, key_file: &Path) -> Result<(), Fatal> {
    let failed = |source: rcgen::Error| Fatal::CertificateFile {
        path: certificate_file.to_owned(),
        source: io::Error::other(source.to_string()),
    };
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(failed)?;
    let key = Zeroizing::new(made.signing_key.serialize_pem());
    keystore::create_secret(key_file, &key)
        .map_err(|source| Fatal::Write { path: key_file.to_owned(), source })?;
    let unwritable = |source| Fatal::Write { path: certificate_file.to_owned(), source };
    fs::write(certificate_file, made.cert.pem()).map_err(unwritable)?;
    keystore::sync_directory_of(certificate_file).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_the_first_start_made_the_next_one_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("quic.crt"), folder.path().join("quic.key"));
        let first = Certificate::load_or_make(&certificate, &key).expect("made").fingerprint();
        let second = Certificate::load_or_make(&certificate, &key).expect("read").fingerprint();
        assert_eq!(first, second);
        assert_eq!(first.len(), 64);
        assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("quic.crt"), folder.path().join("quic.key"));
        Certificate::load_or_make(&certificate, &key).expect("made");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(matches!(Certificate::load_or_make(&certificate, &key), Err(Fatal::SecretFile { .. })));
        fs::remove_file(&key).expect("removed");
        let refused = Certificate::load_or_make(&certificate, &key);
        assert!(matches!(refused, Err(Fatal::SecretFile { .. })), "half of it is not replaced");
    }

    #[test]
    fn what_is_no_certificate_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("quic.crt"), folder.path().join("quic.key"));
        Certificate::load_or_make(&certificate, &key).expect("made");
        let good = fs::read(&key).expect("there");
        fs::write(&key, "a secret that is no key").expect("written");
        let refused = Certificate::load_or_make(&certificate, &key).err().expect("refused").to_string();
        assert!(!refused.contains("secret that"), "{refused}");
        fs::write(&key, good).expect("written");
        fs::write(&certificate, "").expect("written");
        assert!(matches!(Certificate::load_or_make(&certificate, &key), Err(Fatal::CertificateFile { .. })));
    }
}
