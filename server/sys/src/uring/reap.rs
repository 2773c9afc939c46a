//! Completion queue entries made into [`Completion`]s.

use std::io;

use io_uring::cqueue;
use rustix::io::Errno;

use super::{
    Completion, LineId, ReceiveEnd, Ring,
    lines::Receive,
    token::{Purpose, Token},
};

impl Ring {
    /// The next thing that happened, of what the last [`Ring::enter`] brought.
    pub fn next_completion(&mut self) -> Option<Completion> {
        loop {
            let (token, entry) = self.next_raw()?;
            if let Some(completion) = self.complete(token, &entry) {
                return Some(completion);
            }
        }
    }

    pub(super) fn next_raw(&mut self) -> Option<(Token, cqueue::Entry)> {
        if self.reaped.is_empty() {
            self.reaped.extend(self.uring.completion());
            self.old_news = 0;
        }
        let entry = self.reaped.pop_front()?;
        if !cqueue::more(entry.flags()) {
            self.in_flight -= 1;
        }
        let token = Token::from_bits(entry.user_data()).expect("the kernel returns what it was given");
        Some((token, entry))
    }

    fn complete(&mut self, token: Token, entry: &cqueue::Entry) -> Option<Completion> {
        let line = LineId { index: token.index, generation: token.generation };
        match token.purpose {
            Purpose::Accept => self.complete_accept(token.index, entry.result()),
            Purpose::Receive => self.complete_receive(line, entry),
            Purpose::Send => self.complete_send(line, entry.result()),
            Purpose::Shutdown => {
                self.lent.lines.completed_mut(line)?.is_shutting_down = false;
                Some(Completion::ShutDown { line })
            }
            Purpose::Close => None,
            Purpose::Cancel => {
                // Not found: it ended by itself, or is between two states and must be cancelled again.
                if entry.result() < 0
                    && let Some(place) = self.lent.lines.completed_mut(line)
                    && place.receive == Receive::Cancelling
                {
                    place.receive = Receive::Armed;
                }
                None
            }
            Purpose::Bell => {
                self.listen_to_bell();
                Some(Completion::Rung)
            }
            Purpose::Tick => {
                self.tick();
                Some(Completion::Ticked)
            }
            Purpose::Readable => Some(Completion::Readable),
            Purpose::ReceivePackets => self.complete_packets(token.generation, entry),
            Purpose::SendPackets => self.complete_transmission(token.index, entry.result()),
        }
    }

    fn complete_accept(&mut self, queue: u32, result: i32) -> Option<Completion> {
        self.lent.accepts.put_back(queue);
        let Ok(index) = u32::try_from(result) else {
            return match error_of(result) {
                Errno::CANCELED => None,
                errno => Some(Completion::AcceptFailed(errno.into())),
            };
        };
        let peer = self.lent.accepts.peer(queue);
        let line = self.lent.lines.open(index);
        match peer {
            Some(peer) => Some(Completion::Accepted { line, peer, queue: queue as usize }),
            None => {
                self.close(line);
                self.accept(queue as usize);
                None
            }
        }
    }

    fn complete_receive(&mut self, line: LineId, entry: &cqueue::Entry) -> Option<Completion> {
        let is_armed = cqueue::more(entry.flags());
        // Taken even if nobody wants the bytes: the buffer must go back.
        let filled = cqueue::buffer_select(entry.flags())
            .map(|id| self.lent.buffers.fill(id, u32::try_from(entry.result()).unwrap_or(0)));
        let Some(place) = self.lent.lines.completed_mut(line) else {
            filled.into_iter().for_each(|filled| self.recycle(filled));
            return None;
        };
        if !is_armed {
            place.receive = Receive::Idle;
        }
        match (entry.result(), filled) {
            (1.., Some(filled)) => Some(Completion::Received { line, filled, is_armed }),
            (result, filled) => {
                filled.into_iter().for_each(|filled| self.recycle(filled));
                let end = match result {
                    0.. => ReceiveEnd::EndOfStream,
                    _ => match error_of(result) {
                        Errno::NOBUFS => {
                            self.shortages.buffers_exhausted += 1;
                            ReceiveEnd::Stopped
                        }
                        Errno::CANCELED | Errno::INTR | Errno::AGAIN => ReceiveEnd::Stopped,
                        errno => ReceiveEnd::Broken(errno.into()),
                    },
                };
                (!is_armed).then_some(Completion::ReceiveEnded { line, end })
            }
        }
    }

    fn complete_send(&mut self, line: LineId, result: i32) -> Option<Completion> {
        let place = self.lent.lines.completed_mut(line)?;
        let sending = place.sending.as_mut().expect("a send under way");
        let result = match usize::try_from(result) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                sending.begin += count;
                if sending.begin < sending.buffer.len() {
                    self.send_patiently(line);
                    return None;
                }
                Ok(())
            }
            Err(_) if error_of(result) == Errno::AGAIN => {
                self.send_patiently(line);
                return None;
            }
            Err(_) => Err(error_of(result).into()),
        };
        let mut buffer = place.sending.take().expect("a send under way").buffer;
        buffer.clear();
        Some(Completion::Sent { line, buffer, result })
    }
}

pub(super) fn error_of(result: i32) -> Errno {
    Errno::from_raw_os_error(-result)
}
