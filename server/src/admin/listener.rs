//! The admin socket: mode 600, and who connects is asked of the kernel.

use std::{
    io,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, fchmod},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
        sockopt::socket_peercred,
    },
};

/// Connections the kernel holds for us.
const BACKLOG: i32 = 16;

/// A listening socket whose name goes with it.
#[derive(Debug)]
pub struct AdminListener {
    path: PathBuf,
    listener: UnixListener,
}

impl AdminListener {
    /// Listens at `path`; takes the place of a socket nobody listens on.
    ///
    /// # Errors
    /// The OS's; `AddrInUse` when somebody listens there, or something else than a socket is there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(io::ErrorKind::AddrInUse.into()),
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
            Ok(_) => std::fs::remove_file(path)?,
            Err(_) => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before it has a name: there is no moment at which others may connect.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG)?;
        Ok(Self { path: path.to_owned(), listener: socket.into() })
    }

    /// The next caller with its user, if it is ours or root; `Ok(None)` when a foreign one was turned away.
    ///
    /// # Errors
    /// The OS's; `WouldBlock` when nobody waits.
    pub fn accept(&self) -> io::Result<Option<(UnixStream, u32)>> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        let uid = socket_peercred(&stream)?.uid.as_raw();
        if uid != 0 && uid != rustix::process::geteuid().as_raw() {
            tracing::warn!(uid, "admin socket: a foreign user was turned away");
            return Ok(None);
        }
        Ok(Some((stream, uid)))
    }

    /// To wait on.
    pub const fn as_fd(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
