//! What one login thread has made, for each shard. A shard that looks waits for nobody: while the thread holds its box, which it may do
//! for long because it runs only when nothing else does, the shard goes on, and is woken once the box is free.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::{
    limits::OUTCOMES_COUNT_MAX,
    mailbox::{Mail, Mailbox},
};

/// By shard.
#[derive(Debug)]
pub(super) struct Outcomes(Box<[Mutex<Vec<Mail>>]>);

impl Outcomes {
    pub(super) fn new(shard_count: usize) -> Self {
        Self((0..shard_count).map(|_| Mutex::default()).collect())
    }

    /// Leaves `mail` for `shard` and wakes it.
    ///
    /// # Errors
    /// The mail, when the shard has not taken enough of those before it.
    pub(super) fn leave(&self, shard: usize, mail: Mail, mailbox: &Mailbox) -> Result<(), Mail> {
        let mut letters = self.0[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if letters.len() >= OUTCOMES_COUNT_MAX {
            return Err(mail);
        }
        letters.push(mail);
        drop(letters);
        // After the box is free: a shard that found it held looks again.
        mailbox.wake();
        Ok(())
    }

    /// Moves what was left for `shard` into `taken`.
    pub(super) fn take(&self, shard: usize, taken: &mut Vec<Mail>) {
        let letters: Option<MutexGuard<'_, _>> = match self.0[shard].try_lock() {
            Ok(letters) => Some(letters),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if let Some(mut letters) = letters {
            taken.append(&mut letters);
        }
    }
}

#[cfg(test)]
mod tests {
    use mvt_proto::Reject;

    use super::*;
    use crate::shard::ConnectionId;

    fn mail() -> Mail {
        Mail::LoginRefused { connection: ConnectionId::default(), reject: Reject::Noise }
    }

    /// If the shard waited, this would never end.
    #[test]
    fn a_shard_does_not_wait_for_a_thread_that_stands_still() {
        let (outcomes, mut taken) = (Outcomes::new(2), Vec::new());
        let (mailbox, _waiter) = Mailbox::new(1).expect("a socket pair");
        outcomes.leave(0, mail(), &mailbox).expect("room");
        let held = outcomes.0[0].lock().expect("no panic");
        outcomes.take(0, &mut taken);
        assert!(taken.is_empty());
        drop(held);
        outcomes.take(1, &mut taken);
        assert!(taken.is_empty(), "another shard's");
        outcomes.take(0, &mut taken);
        assert_eq!(taken.len(), 1);
    }

    #[test]
    fn a_shard_is_woken_for_what_was_left_and_what_waits_is_bounded() {
        use std::io::Read;

        let outcomes = Outcomes::new(1);
        let (mailbox, waiter) = Mailbox::new(1).expect("a socket pair");
        for _ in 0..OUTCOMES_COUNT_MAX {
            outcomes.leave(0, mail(), &mailbox).expect("room");
        }
        assert!(outcomes.leave(0, mail(), &mailbox).is_err());
        assert_eq!((&waiter).read(&mut [0; 8]).expect("a byte"), 1);
        let mut taken = Vec::new();
        outcomes.take(0, &mut taken);
        assert_eq!(taken.len(), OUTCOMES_COUNT_MAX);
        outcomes.leave(0, mail(), &mailbox).expect("room again");
    }
}
