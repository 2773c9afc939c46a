//! The command's side of the admin socket.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use zeroize::Zeroizing;

use crate::{
    admin::request::{Answer, Request},
    limits::{ADMIN_ANSWER_BYTES_MAX, ADMIN_PATIENCE_MS},
};

/// A connection to a running server.
#[derive(Debug)]
pub struct Caller(UnixStream);

impl Caller {
    /// Connects to the server at `path`; `None` when none listens there.
    ///
    /// # Errors
    /// The OS's: somebody listens, and does not let us in.
    pub fn connect(path: &Path) -> io::Result<Option<Self>> {
        match UnixStream::connect(path) {
            Ok(stream) => {
                let patience = Duration::from_millis(ADMIN_PATIENCE_MS);
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Ok(Some(Self(stream)))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The OS's; `UnexpectedEof` when the server closed: whether it was done is not known.
    pub fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        let mut answer = Zeroizing::new(Vec::with_capacity(64 * 1024));
        let mut buffer = Zeroizing::new([0; 4096]);
        while answer.last() != Some(&b'\n') {
            match self.0.read(&mut *buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if answer.len() > ADMIN_ANSWER_BYTES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}
