//! A flag one task of a thread waits for and others of the same thread set.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

/// Setting it many times before the wait is one wake-up. One waiter.
#[derive(Debug, Default)]
pub(super) struct Signal {
    is_set: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Signal {
    /// Wakes the waiter, now or when it comes.
    pub(super) fn set(&self) {
        if !self.is_set.replace(true)
            && let Some(waker) = self.waiter.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// Takes it back unheard.
    pub(super) fn unset(&self) {
        self.is_set.set(false);
    }

    /// Waits until it is set, and takes it back.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.is_set.replace(false) {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
