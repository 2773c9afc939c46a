//! A bounded way from one shard to another, whose sender can have itself woken when there is room again.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;

/// Letters of one shard to one other.
#[derive(Debug)]
pub(super) struct Passage<T> {
    letters: ArrayQueue<T>,
    /// The sender found it too full.
    is_awaited: AtomicBool,
}

impl<T> Passage<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { letters: ArrayQueue::new(capacity), is_awaited: AtomicBool::new(false) }
    }

    /// For the sender: puts `letter` in, or gives it back; then the sender is woken once room is made.
    pub(super) fn put(&self, letter: T) -> Result<(), T> {
        self.letters.push(letter).or_else(|letter| {
            self.await_room();
            // Room that was made before the receiver could see that it is awaited would tell nobody.
            self.letters.push(letter)
        })
    }

    /// For the sender: letters that go in at least.
    pub(super) fn room(&self) -> usize {
        self.letters.capacity() - self.letters.len()
    }

    /// For the sender: has it woken when something was taken from now on.
    pub(super) fn await_room(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
    }

    /// For the receiver: the oldest letter.
    pub(super) fn take(&self) -> Option<T> {
        self.letters.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// For the receiver, after it has taken something: whether the sender is to be woken.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::SeqCst) && self.is_awaited.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_found_it_full_is_awaited_once() {
        let passage = Passage::new(2);
        assert!(passage.put(1).is_ok() && passage.put(2).is_ok() && !passage.is_awaited());
        assert_eq!((passage.put(3), passage.room()), (Err(3), 0));
        assert_eq!(passage.take(), Some(1));
        assert!(passage.is_awaited() && !passage.is_awaited());
        assert!(passage.put(3).is_ok());
        assert_eq!([passage.take(), passage.take(), passage.take()], [Some(2), Some(3), None]);
    }

    /// Without the second look of `put` a sender sleeps beside an empty passage sooner or later.
    #[test]
    fn no_wake_up_is_lost() {
        const COUNT: u32 = 20_000;
        let passage = Passage::new(1);
        let sender = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                for number in 0..COUNT {
                    let mut letter = number;
                    while let Err(back) = passage.put(letter) {
                        letter = back;
                        // The time is only there to fail.
                        std::thread::park_timeout(std::time::Duration::from_secs(20));
                    }
                }
            });
            let mut expected = 0;
            while expected < COUNT {
                let Some(number) = passage.take() else {
                    std::thread::yield_now();
                    continue;
                };
                assert_eq!(number, expected);
                expected += 1;
                if passage.is_awaited() {
                    sender.thread().unpark();
                }
            }
            sender.join()
        });
        assert!(sender.is_ok());
    }
}
