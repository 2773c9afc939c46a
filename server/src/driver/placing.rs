//! Which accept queue the addresses of clients are given: drawn at start, and anew while some queue is flooded; one that floods is set
//! apart.

use std::{net::TcpListener, sync::Mutex};

use mvt_proto::steering;
use mvt_sys::port_steering::{APART_MAX, PortHash, QUEUE_COUNT, SET_APART, Source, SourceHash, Steering};

use crate::{
    fatal::Fatal,
    limits::{QUEUES_REDRAWN_MS, QUEUES_TOLD_MS},
    shard::Shard,
};

/// Of all shards.
#[derive(Debug)]
pub struct Placing {
    /// None where the kernel does not have it so: it then spreads connections as it likes.
    steering: Option<Steering>,
    drawn: Mutex<Drawn>,
}

#[derive(Debug, Clone)]
struct Drawn {
    sources: SourceHash,
    /// How often they were drawn.
    count: u64,
    /// When to draw again, if that is to be.
    next_ms: u64,
    /// Who is set apart, and until when. At most [`APART_MAX`].
    apart: Vec<(Source, u64)>,
    /// Whether that is not what the kernel knows, and when it may be told.
    is_news: bool,
    told_ms: u64,
}

/// How often queues had been drawn when a shard last looked.
#[derive(Debug, Default)]
pub struct Glance(u64);

impl Placing {
    /// Hands connections to `shard_count` shards as SPEC §17.1.1 says, and to accept queues by address, where `listeners` are
    /// [`QUEUE_COUNT`] for each shard, in order. Where that is forbidden they land anywhere, and frames are forwarded.
    ///
    /// # Errors
    /// [`Fatal::Randomness`], or [`Fatal::Os`] when no descriptor is left.
    ///
    /// # Panics
    /// When there are other listeners.
    pub fn new(listeners: &[TcpListener], shard_count: usize) -> Result<Self, Fatal> {
        assert_eq!(listeners.len(), shard_count * QUEUE_COUNT);
        let hash = PortHash { multiplier: steering::PORT_MULTIPLIER, shift: steering::PORT_SHIFT };
        let steering = Steering::new(listeners, shard_count, hash)
            .map_err(|source| Fatal::Os { what: "cannot duplicate a listening socket", source })?;
        let drawn =
            Drawn { sources: draw()?, count: 0, next_ms: 0, apart: Vec::new(), is_news: false, told_ms: 0 };
        let steering = match steering.attach(&drawn.sources, &[]) {
            Ok(()) => Some(steering),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "connections are not steered to their shard: their frames are forwarded, and a flood of one address is in the way of all"
                );
                None
            }
        };
        Ok(Self { steering, drawn: Mutex::new(drawn) })
    }

    /// To be called by every shard at every sweep, with what it knew. Who floods a queue is set apart, if it is one address or one prefix;
    /// and while floods last all are given other queues now and then, so that nobody shares one with a flood for ever.
    pub fn look_at(&self, shard: &mut Shard, glance: &mut Glance, now_ms: u64) {
        let Some(steering) = &self.steering else { return };
        // Another shard is at it: the next sweep will do.
        let Ok(mut drawn) = self.drawn.try_lock() else { return };
        drawn.set_apart(shard, now_ms);
        if shard.has_strange_queue() {
            drawn.draw_again(now_ms);
        }
        if drawn.is_news && now_ms >= drawn.told_ms + QUEUES_TOLD_MS {
            drawn.told_ms = now_ms;
            let apart: Vec<Source> = drawn.apart.iter().map(|(source, _)| *source).collect();
            // Refused: as before, until the next time.
            drawn.is_news = steering.attach(&drawn.sources, &apart).is_err();
        }
        if glance.0 != drawn.count {
            glance.0 = drawn.count;
            let (sources, apart) = (drawn.sources, drawn.apart.clone());
            drop(drawn);
            shard.move_queues(|address| {
                let is_apart = apart.iter().any(|(source, _)| source.holds(address));
                if is_apart { SET_APART } else { sources.queue_of(address) }
            });
        }
    }
}

impl Drawn {
    fn set_apart(&mut self, shard: &mut Shard, now_ms: u64) {
        let until_ms = now_ms + QUEUES_REDRAWN_MS;
        let suspects: Vec<(usize, Option<Source>)> = shard.suspects().collect();
        for (queue, source) in suspects {
            let has_room = self.apart.len() < APART_MAX;
            let known = self.apart.iter_mut().find(|(named, _)| Some(*named) == source);
            match (source, known) {
                (Some(_), Some((_, until))) => *until = until_ms,
                (Some(source), None) if has_room => {
                    self.apart.push((source, until_ms));
                    self.is_news = true;
                }
                // Several of those that are set apart flood, and it is not known which.
                (None, _) if queue == SET_APART => {
                    self.apart.iter_mut().for_each(|(_, until)| *until = until_ms)
                }
                _ => continue,
            }
            if queue != SET_APART {
                shard.forgive(queue);
            }
        }
        let before = self.apart.len();
        self.apart.retain(|(_, until_ms)| now_ms < *until_ms);
        self.is_news |= self.apart.len() != before;
    }

    fn draw_again(&mut self, now_ms: u64) {
        if now_ms < self.next_ms {
            return;
        }
        let is_first = self.next_ms == 0;
        self.next_ms = now_ms + QUEUES_REDRAWN_MS;
        if let Some(sources) = draw().ok().filter(|_| !is_first) {
            (self.sources, self.count, self.is_news) = (sources, self.count + 1, true);
        }
    }
}

fn draw() -> Result<SourceHash, Fatal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Fatal::Randomness)?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok(SourceHash::new([word(0), word(4), word(8), word(12)]))
}
