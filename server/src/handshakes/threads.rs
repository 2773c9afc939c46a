//! The threads of the pool: some take what is idle, a steady one sees to it that there is progress where nothing is.
//!
//! A thread of a lower class may be stopped between any two instructions for as long as others have work. So nothing a shard or
//! the steady thread does waits for one: frames wait in a queue that a stopped taker does not hold up, what is made lies in a box
//! for each thread, and who sleeps is told by `unpark`, which takes no lock.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use mvt_proto::secret::scrub_stack;

use crate::{
    handshakes::{Inner, Job, Seat, judge},
    limits::{LOGIN_STEADY_NICE, LOGIN_STEADY_PACE},
    mailbox::Mailbox,
    node::Node,
};

/// Attempts to hand a result to its shard, 1 ms apart.
const LEAVE_ATTEMPTS: usize = 20;

/// A thread that can be woken by one who waits for nothing.
#[derive(Debug, Default)]
pub(super) struct Sleeper {
    thread: OnceLock<Thread>,
    is_asleep: AtomicBool,
}

impl Sleeper {
    /// Sleeps unless `has_work`; false work is none the worse.
    fn sleep(&self, has_work: impl FnOnce() -> bool) {
        self.thread.get_or_init(thread::current);
        self.is_asleep.store(true, Ordering::SeqCst);
        // Looked at once more after it said so: who brings work either finds it asleep or is seen here.
        if !has_work() {
            thread::park();
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes it; false when it did not sleep.
    pub(super) fn wake(&self) -> bool {
        let is_asleep = self.is_asleep.load(Ordering::SeqCst) && self.is_asleep.swap(false, Ordering::SeqCst);
        if is_asleep && let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        is_asleep
    }
}

/// What a thread works with.
pub(super) struct Bench {
    pub(super) inner: Arc<Inner>,
    pub(super) node: Arc<Node>,
    pub(super) mailboxes: Arc<[Mailbox]>,
    /// Of its seat.
    pub(super) number: usize,
}

impl Bench {
    fn seat(&self) -> &Seat {
        &self.inner.seats()[self.number]
    }

    /// Takes what is idle.
    pub(super) fn take_what_is_idle(&self) {
        if let Err(error) = mvt_sys::priority::run_when_idle() {
            tracing::warn!(%error, "login threads share their cores with the shards as equals");
        }
        while !self.inner.is_over() {
            let Some(job) = self.inner.take() else {
                self.seat().sleeper.sleep(|| self.inner.has_work());
                continue;
            };
            let under_way = Arc::new(UnderWay::new(job));
            self.seat().under_way.store(Some(under_way.clone()));
            self.work_on(&under_way);
            self.seat().under_way.store(None);
        }
    }

    /// One frame every [`LOGIN_STEADY_PACE`] while some wait, whatever else there is to do; and key pairs for the stock. A frame that
    /// another thread has had for too long comes first: that one does not run.
    pub(super) fn keep_steady(&self) {
        // On Linux this concerns the calling thread alone. Refused, it is less considerate.
        let _ = rustix::process::setpriority_process(None, LOGIN_STEADY_NICE);
        while !self.inner.is_over() {
            if self.inner.stock.is_low() {
                self.inner.stock.fill();
                scrub_stack();
            }
            if !self.inner.is_at_work() {
                let has_work = || self.inner.is_at_work() || self.inner.stock.is_low();
                self.seat().sleeper.sleep(has_work);
                continue;
            }
            thread::sleep(LOGIN_STEADY_PACE);
            let overdue = self.inner.seats().iter().find_map(Seat::overdue);
            if let Some(job) = overdue.or_else(|| Some(Arc::new(UnderWay::new(self.inner.take()?)))) {
                self.work_on(&job);
            }
        }
    }

    fn work_on(&self, under_way: &UnderWay) {
        let job = &under_way.job;
        let mut mail = judge(&self.node, job);
        // The keys that were agreed are in the box; what was left of them on the way is not needed.
        scrub_stack();
        if under_way.is_done.swap(true, Ordering::AcqRel) {
            return;
        }
        // A full box means the shard is behind. The thread waits a little with it, and the queue fills and sheds; but a shard that
        // stands still must not stop the logins of the others: then the login is dropped, and its connection ends at its
        // deadline.
        for _ in 0..LEAVE_ATTEMPTS {
            match self.seat().outcomes.leave(job.shard, mail, &self.mailboxes[job.shard]) {
                Ok(()) => break,
                Err(returned) => mail = returned,
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A frame that a thread works on. Another may do so too: nothing of it has an effect before its shard has it, and who is done first
/// leaves it there.
#[derive(Debug)]
pub(super) struct UnderWay {
    job: Job,
    since: Instant,
    is_done: AtomicBool,
}

impl UnderWay {
    fn new(job: Job) -> Self {
        Self { job, since: Instant::now(), is_done: AtomicBool::new(false) }
    }

    /// Whether nobody is done with it, and somebody should be.
    fn is_overdue(&self) -> bool {
        !self.is_done.load(Ordering::Acquire) && self.since.elapsed() > LOGIN_STEADY_PACE
    }
}

impl Seat {
    fn overdue(&self) -> Option<Arc<UnderWay>> {
        self.under_way.load_full().filter(|under_way| under_way.is_overdue())
    }
}

#[cfg(test)]
mod tests {
    use mvt_proto::Kind;

    use super::*;
    use crate::{handshakes::Outcomes, shard::ConnectionId};

    #[test]
    fn what_a_thread_has_had_for_too_long_is_overdue_until_somebody_is_done() {
        let seat = Seat {
            sleeper: Sleeper::default(),
            outcomes: Outcomes::new(1),
            under_way: arc_swap::ArcSwapOption::empty(),
        };
        assert!(seat.overdue().is_none());
        let connection = ConnectionId::default();
        let job =
            Job { shard: 0, connection, channel_binding: None, kind: Kind::Hello, frame: Box::default() };
        seat.under_way.store(Some(Arc::new(UnderWay::new(job))));
        while seat.overdue().is_none() {
            thread::yield_now();
        }
        let under_way = seat.overdue().expect("as before");
        assert!(under_way.since.elapsed() > LOGIN_STEADY_PACE);
        under_way.is_done.store(true, Ordering::Release);
        assert!(seat.overdue().is_none());
    }

    #[test]
    fn a_sleeper_does_not_sleep_over_work_and_wakes_when_told() {
        let sleeper = Arc::new(Sleeper::default());
        assert!(!sleeper.wake(), "nobody sleeps");
        let other = sleeper.clone();
        let asleep = thread::spawn(move || {
            other.sleep(|| true);
            other.sleep(|| false);
        });
        // Where it did not wake this would not end.
        while !asleep.is_finished() {
            sleeper.wake();
            thread::yield_now();
        }
        assert!(asleep.join().is_ok() && !sleeper.wake());
    }
}
