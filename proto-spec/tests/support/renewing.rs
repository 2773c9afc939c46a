//! A pair that renews: both halves, and the frames that go between them.

use std::sync::Arc;

use mvt_proto::{
    Header, Limits, Reject, Role, Suite,
    agreement::Ephemeral,
    constants::STAY_MS,
    session::{Offering, Pending, Shared, Told},
};

use super::{CLIENT_ORIGIN_MS, ORIGIN_MS, Pair, secret};

/// The offer of form 0 or 1 that a test makes; `fill` tells offers apart.
pub fn offering(fill: u8, exchange: bool) -> Offering {
    Offering {
        nonce: secret(fill),
        ephemeral: exchange.then(|| Arc::new(Ephemeral::new(secret(fill ^ 0x5a)))),
    }
}

impl Pair {
    /// The server's OFFER, `at_ms` after login: made now, or the outstanding one if it is due again; empty otherwise.
    pub fn offer(&mut self, fill: u8, at_ms: u64) -> Vec<u8> {
        let now_ms = ORIGIN_MS + at_ms;
        let exchange = self.server.wants_exchange(now_ms);
        let mut frame = Vec::new();
        self.server.offer(|| offering(fill, exchange), now_ms, &mut frame);
        frame
    }

    /// What the client makes of a CTL, and the SHARE it sends.
    pub fn tell(&mut self, frame: &[u8], at_ms: u64) -> (Result<Told, Reject>, Vec<u8>) {
        let mut share = Vec::new();
        let header = Header::parse(frame, Role::Client).expect("well formed");
        let random = secret(0x3c ^ at_ms as u8);
        let told =
            self.client.control(&header, &mut frame.to_vec(), random, CLIENT_ORIGIN_MS + at_ms, &mut share);
        (told, share)
    }

    /// What the server makes of a CTL.
    pub fn share(&mut self, frame: &[u8], at_ms: u64) -> Result<Shared, Reject> {
        let header = Header::parse(frame, Role::Server).expect("well formed");
        self.server.control(&header, &mut frame.to_vec(), ORIGIN_MS + at_ms)
    }

    /// Offers, takes, shares: everything up to the client's next request. From when on that is the last of its generation.
    pub fn offer_and_take(&mut self, fill: u8, at_ms: u64) -> u64 {
        let offer = self.offer(fill, at_ms);
        let (told, share) = self.tell(&offer, at_ms);
        assert!(matches!(told, Ok(Told::Renewed)), "{told:?}");
        if share.is_empty() {
            return at_ms;
        }
        assert_eq!(self.share(&share, at_ms), Ok(Shared::Taken));
        at_ms + STAY_MS
    }

    /// A request, its verdict, and its answer taken in by the client.
    pub fn exchange(&mut self, at_ms: u64) -> Header {
        let (pending, frame) = self.request(b"payload", at_ms);
        let mut answer = self.reply(&frame, at_ms);
        self.answer(&pending, &mut answer, at_ms).expect("an honest answer");
        Header::parse(&frame, Role::Server).expect("well formed")
    }

    /// Renews once, from offer to confirmation; gives the requests of either generation.
    pub fn renew(&mut self, fill: u8, at_ms: u64) -> (Header, Header) {
        let at_ms = self.offer_and_take(fill, at_ms);
        (self.exchange(at_ms), self.exchange(at_ms))
    }

    /// Requests sealed at one time, unanswered.
    pub fn requests(&mut self, count: usize, at_ms: u64) -> Vec<(Pending, Vec<u8>)> {
        (0..count).map(|_| self.request(b"", at_ms)).collect()
    }
}

/// A used pair of each suite.
pub fn used(limits: Limits) -> impl Iterator<Item = Pair> {
    super::SUITES.into_iter().map(move |suite: Suite| {
        let mut pair = Pair::new(suite, limits);
        pair.exchange(1);
        pair
    })
}
