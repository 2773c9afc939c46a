//! One QUIC stream for the blocking client. A thread of its own serves the connection between calls too.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

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
    /// Connects within `left`.
    pub(crate) fn open(
        address: SocketAddr,
        certificate: &ServerCertificate,
        left: Duration,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel::<()>());
        thread::Builder::new().name("mvt-quic".into()).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        let dialed = handle.block_on(async { timeout(left, dial(address, certificate)).await })??;
        Ok(Self { dialed, runtime: handle, _end: end })
    }

    pub(crate) const fn channel_binding(&self) -> &[u8] {
        &self.dialed.channel_binding
    }

    /// Reads what is there already; `None` when nothing is.
    pub(crate) fn receive_ready(&mut self, room: &mut [u8]) -> Result<Option<usize>, Ended> {
        let _inside = self.runtime.enter();
        // A read that is dropped before it is ready has taken nothing.
        let mut read = pin!(self.dialed.receive.read(room));
        let ready = poll_fn(|context| Poll::Ready(read.as_mut().poll(context)));
        match self.runtime.block_on(ready) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(Some(count @ 1..))) => Ok(Some(count)),
            Poll::Ready(_) => Err(Ended::Closed),
        }
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
