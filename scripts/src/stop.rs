//! The wish of the user to end: SIGINT, SIGTERM or SIGHUP, looked at wherever something is waited for.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a wait looks.
const GLANCE: Duration = Duration::from_millis(10);

/// A run was ended by the user.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal; every process of the run was ended")]
pub struct Stopped;

/// Whether the user wishes to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wished: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to the signals from now on; they no longer end this process by themselves.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn listen() -> io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, stop.wished.clone())?;
        }
        Ok(stop)
    }

    /// # Errors
    /// [`Stopped`] once a signal came.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.wished.load(Ordering::Relaxed) { Err(Stopped) } else { Ok(()) }
    }

    /// Asks `ready` again and again until it gives something or `patience` is over; then `None`.
    ///
    /// # Errors
    /// What `ready` gives, or [`Stopped`].
    pub fn wait_for<T>(
        &self,
        patience: Duration,
        mut ready: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        let begun = Instant::now();
        loop {
            self.check()?;
            if let Some(value) = ready()? {
                return Ok(Some(value));
            }
            if begun.elapsed() >= patience {
                return Ok(None);
            }
            thread::sleep(GLANCE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_by_its_patience_or_by_the_wish_to_stop() {
        let stop = Stop::default();
        assert_eq!(stop.wait_for(GLANCE, || Ok(None::<()>)).unwrap(), None);
        assert_eq!(stop.wait_for(GLANCE, || Ok(Some(7))).unwrap(), Some(7));
        stop.wished.store(true, Ordering::Relaxed);
        let error = stop.wait_for(Duration::from_secs(60), || Ok(None::<()>)).unwrap_err();
        assert!(error.is::<Stopped>());
    }
}
