//! A bounded way from one shard to another, whose sender can have itself woken when there is room again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;

/// What goes through a passage.
pub(super) trait Letter {
    /// Its bytes beside the letter itself.
    fn byte_count(&self) -> usize;
}

/// Letters of one shard to one other, bounded in number and in bytes. One thread puts in, one takes out.
#[derive(Debug)]
pub(super) struct Passage<T> {
    letters: ArrayQueue<T>,
    bytes_max: usize,
    /// Bytes of the letters in it; for an instant also of one that is on its way in or out.
    bytes: AtomicUsize,
    /// The sender found it too full.
    is_awaited: AtomicBool,
}

impl<T: Letter> Passage<T> {
    pub(super) fn new(capacity: usize, bytes_max: usize) -> Self {
        let (bytes, is_awaited) = Default::default();
        Self { letters: ArrayQueue::new(capacity), bytes_max, bytes, is_awaited }
    }

    /// For the sender: puts `letter` in, or gives it back; then the sender is woken once room is made.
    pub(super) fn put(&self, letter: T) -> Result<(), T> {
        self.try_put(letter).or_else(|letter| {
            self.await_room();
            // Room that was made before the receiver could see that it is awaited would tell nobody.
            self.try_put(letter)
        })
    }

    fn try_put(&self, letter: T) -> Result<(), T> {
        let byte_count = letter.byte_count();
        // Nobody else adds: there are no more than these.
        if byte_count > self.byte_room() {
            return Err(letter);
        }
        self.bytes.fetch_add(byte_count, Ordering::SeqCst);
        self.letters.push(letter).inspect_err(|_| {
            self.bytes.fetch_sub(byte_count, Ordering::SeqCst);
        })
    }

    fn byte_room(&self) -> usize {
        self.bytes_max - self.bytes.load(Ordering::SeqCst)
    }

    /// For the sender: how many times `letters` letters of `byte_count` bytes together go in at least; if not once, the sender is
    /// woken when something was taken.
    pub(super) fn room_for(&self, letters: usize, byte_count: usize) -> usize {
        let room = || {
            let count = (self.letters.capacity() - self.letters.len()) / letters;
            count.min(self.byte_room() / byte_count.max(1))
        };
        match room() {
            0 => {
                self.await_room();
                room()
            }
            count => count,
        }
    }

    /// For the sender: has it woken when something was taken from now on.
    fn await_room(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
    }

    /// For the receiver: the oldest letter.
    pub(super) fn take(&self) -> Option<T> {
        let letter = self.letters.pop()?;
        self.bytes.fetch_sub(letter.byte_count(), Ordering::SeqCst);
        Some(letter)
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

    impl Letter for u32 {
        fn byte_count(&self) -> usize {
            *self as usize % 8
        }
    }

    #[test]
    fn a_sender_that_found_it_full_is_awaited_once() {
        let passage = Passage::new(2, 100);
        assert!(passage.put(1).is_ok() && passage.put(2).is_ok() && !passage.is_awaited());
        assert_eq!((passage.put(3), passage.room_for(1, 1)), (Err(3), 0));
        assert_eq!(passage.take(), Some(1));
        assert!(passage.is_awaited() && !passage.is_awaited());
        assert!(passage.put(3).is_ok());
        assert_eq!([passage.take(), passage.take(), passage.take()], [Some(2), Some(3), None]);
    }

    #[test]
    fn bytes_are_bounded_as_letters_are() {
        let passage = Passage::new(100, 10);
        assert_eq!((passage.room_for(1, 10), passage.room_for(30, 2), passage.room_for(1, 11)), (1, 3, 0));
        assert!(passage.is_awaited());
        assert!(passage.put(7).is_ok() && passage.put(3).is_ok() && passage.put(0).is_ok());
        assert!(!passage.is_awaited());
        assert_eq!((passage.put(1), passage.is_awaited()), (Err(1), true));
        assert_eq!((passage.take(), passage.room_for(1, 7), passage.room_for(1, 8)), (Some(7), 1, 0));
        assert!(passage.put(7).is_ok() && passage.put(1).is_err());
        while passage.take().is_some() {}
        assert_eq!(passage.room_for(1, 1), 10, "nothing is kept of what has gone");
    }

    /// Without the second look of `put` a sender sleeps beside an empty passage sooner or later.
    #[test]
    fn no_wake_up_is_lost() {
        const COUNT: u32 = 20_000;
        // By number, and by bytes.
        for (capacity, bytes_max) in [(1, 100), (100, 7)] {
            let passage = Passage::new(capacity, bytes_max);
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
}
