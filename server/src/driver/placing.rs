//! Which accept queue the addresses of clients are given: drawn at start, and anew while some queue is flooded.

use std::{net::TcpListener, sync::Mutex};

use mvt_proto::steering;
use mvt_sys::port_steering::{PortHash, QUEUE_COUNT, SourceHash, Steering};

use crate::{fatal::Fatal, limits::QUEUES_REDRAWN_MS, shard::Shard};

/// Of all shards.
#[derive(Debug)]
pub struct Placing {
    /// None where the kernel does not have it so: it then spreads connections as it likes.
    steering: Option<Steering>,
    drawn: Mutex<Drawn>,
}

#[derive(Debug, Clone, Copy)]
struct Drawn {
    sources: SourceHash,
    count: u64,
    next_ms: u64,
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
        let sources = draw()?;
        let steering = match steering.attach(&sources) {
            Ok(()) => Some(steering),
            Err(error) => {
                tracing::warn!(
                    %error,
                    "connections are not steered to their shard: their frames are forwarded, and a flood of one address is in the way of all"
                );
                None
            }
        };
        Ok(Self { steering, drawn: Mutex::new(Drawn { sources, count: 0, next_ms: 0 }) })
    }

    /// To be called by every shard at every sweep, with what it knew: while floods last, addresses are given other queues now and then, so
    /// that nobody shares one with a flood for ever.
    pub fn look_at(&self, shard: &mut Shard, glance: &mut Glance, now_ms: u64) {
        let Some(steering) = &self.steering else { return };
        // Another shard is at it: the next sweep will do.
        let Ok(mut drawn) = self.drawn.try_lock() else { return };
        if !shard.has_strange_queue() {
            // No flood, or none here.
        } else if drawn.next_ms == 0 {
            drawn.next_ms = now_ms + QUEUES_REDRAWN_MS;
        } else if now_ms >= drawn.next_ms {
            drawn.next_ms = now_ms + QUEUES_REDRAWN_MS;
            // Refused: as before, until the next time.
            if let Ok(sources) = draw()
                && steering.attach(&sources).is_ok()
            {
                (drawn.sources, drawn.count) = (sources, drawn.count + 1);
            }
        }
        if glance.0 != drawn.count {
            glance.0 = drawn.count;
            let sources = drawn.sources;
            drop(drawn);
            shard.move_queues(|address| sources.queue_of(address));
        }
    }
}

fn draw() -> Result<SourceHash, Fatal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Fatal::Randomness)?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok(SourceHash::new([word(0), word(4), word(8), word(12)]))
}
