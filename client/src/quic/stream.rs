//! One QUIC stream for the blocking client. A thread of its own serves the connection between calls too.

use std::{future::Future, io, net::SocketAddr, thread, time::Instant};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::timeout,
};

use crate::{
    connection::{Ended, left},
    quic::{
        ServerCertificate,
        dial::{Dialed, dial},
    },
};

/// A connection with its only stream.
#[derive(Debug)]
pub(crate) struct QuicStream {
    dialed: Dialed,
    runtime: Handle,
    /// Dropped, it ends the thread that runs the runtime.
    _end: oneshot::Sender<()>,
}

impl QuicStream {
    /// Connects by `deadline`.
    pub(crate) fn open(
        address: SocketAddr,
        certificate: &ServerCertificate,
        deadline: Instant,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel::<()>());
        thread::Builder::new().name("mvt-quic".into()).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        let left = deadline.saturating_duration_since(Instant::now());
        let dialed = handle.block_on(async { timeout(left, dial(address, certificate)).await })??;
        Ok(Self { dialed, runtime: handle, _end: end })
    }

    pub(crate) const fn channel_binding(&self) -> &[u8] {
        &self.dialed.channel_binding
    }

    pub(crate) fn is_open(&self) -> bool {
        self.dialed.connection.close_reason().is_none()
    }

    /// Sends all of `bytes` by `deadline`.
    pub(crate) fn send(&mut self, bytes: &[u8], deadline: Instant) -> Result<(), Ended> {
        wait(&self.runtime, deadline, self.dialed.send.write_all(bytes))?.map_err(|_| Ended::Closed)
    }

    /// Reads once; not 0 bytes.
    pub(crate) fn receive(&mut self, room: &mut [u8], deadline: Instant) -> Result<usize, Ended> {
        match wait(&self.runtime, deadline, self.dialed.receive.read(room))? {
            Ok(Some(count @ 1..)) => Ok(count),
            _ => Err(Ended::Closed),
        }
    }
}

fn wait<T>(runtime: &Handle, deadline: Instant, future: impl Future<Output = T>) -> Result<T, Ended> {
    let left = left(deadline)?;
    runtime.block_on(async { timeout(left, future).await }).map_err(|_| Ended::TimedOut)
}

impl Drop for QuicStream {
    fn drop(&mut self) {
        self.dialed.connection.close(0u8.into(), &[]);
        // The close leaves with the thread's next turn; nobody waits for it.
    }
}
