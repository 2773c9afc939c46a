//! How MVT over QUIC treats a path, the same at both ends: its congestion control, which is CUBIC with a floor; the size of [`packets`].
//!
//! CUBIC takes each lost packet for congestion. On a path that loses packets at random its window ends at two packets, of
//! which `quinn-proto` has one on its way at a time; every second round trip then ends in a probe timeout, each of which
//! waits twice as long as the one before, without a bound: at 30 % loss a connection stands still for a minute now and then.
//! Frames are small, and what is outstanding is bounded by the replay window, so a connection is never denied the window
//! that it began with (RFC 9002 §7.2, that of RFC 6928), which any client would get again by connecting anew. Where
//! nothing arrives, the probe timeouts still back off.

pub mod packets;

use std::{any::Any, sync::Arc, time::Instant};

use quinn_proto::{
    RttEstimator,
    congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig},
};

/// Makes the controllers of connections.
#[derive(Debug, Default)]
pub struct Floored {
    cubic: Arc<CubicConfig>,
}

impl ControllerFactory for Floored {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(FlooredCubic(self.cubic.clone().build(now, current_mtu)))
    }
}

/// The controller of one connection: CUBIC, whose window counts as its initial one where it is below that.
struct FlooredCubic(Box<dyn Controller>);

impl Controller for FlooredCubic {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.0.on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.0.on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window().max(self.0.initial_window())
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.0.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.0.into_any()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the only way to an instant; which one does not matter")]
    fn losses_do_not_take_the_initial_window_away() {
        let start = Instant::now();
        let mut floored = Arc::new(Floored::default()).build(start, 1452);
        let mut plain = Arc::new(CubicConfig::default()).build(start, 1452);
        let initial = plain.initial_window();
        assert_eq!(floored.window(), initial);
        for number in 1..50u64 {
            let sent = start + Duration::from_millis(10 * number);
            for controller in [&mut floored, &mut plain] {
                controller.on_congestion_event(sent, sent, number.is_multiple_of(7), 1452);
            }
        }
        assert_eq!(plain.window(), 2 * 1452, "CUBIC alone falls to two packets");
        assert_eq!(floored.window(), initial);
        assert_eq!(floored.clone_box().window(), initial);
    }

    /// A window set by hand.
    struct Set(u64);

    impl Controller for Set {
        fn on_congestion_event(&mut self, _now: Instant, _sent: Instant, _is_persistent: bool, _lost: u64) {}

        fn on_mtu_update(&mut self, new_mtu: u16) {
            self.0 = new_mtu.into();
        }

        fn window(&self) -> u64 {
            self.0
        }

        fn clone_box(&self) -> Box<dyn Controller> {
            Box::new(Self(self.0))
        }

        fn initial_window(&self) -> u64 {
            12_000
        }

        fn into_any(self: Box<Self>) -> Box<dyn Any> {
            self
        }
    }

    #[test]
    fn above_the_floor_the_window_is_as_it_was_told() {
        let mut floored = FlooredCubic(Box::new(Set(12_001)));
        assert_eq!(floored.window(), 12_001);
        assert_eq!(floored.metrics().congestion_window, 12_001);
        floored.on_mtu_update(11_999);
        assert_eq!((floored.window(), floored.metrics().congestion_window), (12_000, 12_000));
    }
}
