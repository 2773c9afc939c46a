//! Tickets and their ring: what opens, what is refused, and for how long (SPEC §12.1).

mod support;

use mvt_proto::{
    ClientId, Reject, Suite,
    constants::{AUTHENTICATION_MS, TICKET_BYTES, U48_MAX},
    ticket::{
        RingError, RingTextError, RingedKey, SealedTicket, Terms, Ticket, TicketKey, TicketRing,
        ring_from_text, ring_to_text,
    },
};
use proptest::prelude::*;
use support::{ORIGIN_MS, flipped, secret};

const HOUR_MS: u64 = 3_600_000;

fn key(fill: u8) -> TicketKey {
    TicketKey::new(&[fill; 32]).expect("a key")
}

fn ringed(fill: u8, seal_from_ms: u64, open_until_ms: u64) -> RingedKey {
    RingedKey { key: key(fill), seal_from_ms, open_until_ms }
}

fn ring_of(fill: u8) -> TicketRing {
    TicketRing::new(vec![ringed(fill, 0, ORIGIN_MS + 48 * HOUR_MS)]).expect("a ring")
}

fn terms() -> Terms {
    Terms {
        suite: Suite::Gcm256,
        client: ClientId::of_name("alice"),
        authenticated_ms: ORIGIN_MS,
        generation: 3,
        psk_alone: false,
        life_ms: HOUR_MS,
    }
}

fn ticket() -> Ticket {
    Ticket {
        suite: Suite::Hs256,
        client: ClientId::of_name("alice"),
        resume_secret: secret(0x25),
        issued_ms: ORIGIN_MS,
        expires_ms: ORIGIN_MS + HOUR_MS,
        authenticated_ms: ORIGIN_MS,
        generation: 0xfffe,
        psk_alone: true,
    }
}

fn issue(ring: &TicketRing, now_ms: u64) -> SealedTicket {
    ring.issue(&terms(), &secret(0x25), &[4; 24], now_ms).expect("a key seals")
}

#[test]
fn what_is_sealed_opens_with_every_field() {
    let sealed = ticket().seal(&key(1), &[9; 24]);
    assert_eq!(sealed.len(), TICKET_BYTES);
    let opened = ring_of(1).open(&sealed, ORIGIN_MS + 1).expect("opens");
    assert_eq!(format!("{opened:?}"), format!("{:?}", ticket()));
    assert_eq!(opened.resume_secret.expose(), &[0x25; 32]);
    assert!(format!("{opened:?}").contains("[redacted]"));
}

/// §12.1.5: the AEAD comes before any field, so nothing of a changed ticket is read (CASES T-02).
#[test]
fn a_flip_of_any_bit_a_cut_and_an_exchanged_nonce_are_refused() {
    let ring = ring_of(1);
    let sealed = issue(&ring, ORIGIN_MS);
    assert!(ring.open(&sealed, ORIGIN_MS).is_ok());
    for bit in 0..TICKET_BYTES * 8 {
        let forged: SealedTicket = flipped(&sealed, bit).try_into().expect("117 bytes");
        assert_eq!(ring.open(&forged, ORIGIN_MS).err(), Some(Reject::Ticket), "bit {bit}");
    }
    let mut other = ring.issue(&terms(), &secret(0x25), &[5; 24], ORIGIN_MS).expect("sealed");
    other[5..29].copy_from_slice(&sealed[5..29]);
    assert_eq!(ring.open(&other, ORIGIN_MS).err(), Some(Reject::Ticket), "another ticket's nonce");
    assert_eq!(ring.open(&[0; TICKET_BYTES], ORIGIN_MS).err(), Some(Reject::Ticket));
}

/// CASES T-01: nodes with different rings share no ticket, whatever the place of the key in the ring.
#[test]
fn a_ring_without_the_key_opens_nothing() {
    for count in 1..5u8 {
        let ring = |first: u8| {
            let keys = (0..count).map(|i| ringed(first + i, u64::from(i), ORIGIN_MS + 9 * HOUR_MS));
            TicketRing::new(keys.collect()).expect("a ring")
        };
        let (here, there) = (ring(1), ring(101));
        let sealed = issue(&here, ORIGIN_MS);
        assert!(here.open(&sealed, ORIGIN_MS).is_ok());
        assert_eq!(there.open(&sealed, ORIGIN_MS).err(), Some(Reject::Ticket));
        // Nor does a key that merely has the same id open it.
        let mut renamed = sealed;
        renamed[1..5].copy_from_slice(&there.keys()[0].key.id());
        assert_eq!(there.open(&renamed, ORIGIN_MS).err(), Some(Reject::Ticket));
    }
}

/// §12.1.4, §12.1.5 (CASES T-08).
#[test]
fn a_ticket_lives_no_longer_than_it_says_its_key_or_its_authentication() {
    let until = ORIGIN_MS + 48 * HOUR_MS;
    for (life_ms, authenticated_ms, key_until_ms, expires_ms) in [
        (HOUR_MS, ORIGIN_MS, until, ORIGIN_MS + HOUR_MS),
        (HOUR_MS, ORIGIN_MS, ORIGIN_MS + 7, ORIGIN_MS + 7),
        (HOUR_MS, ORIGIN_MS + 9 - AUTHENTICATION_MS, until, ORIGIN_MS + 9),
        (u64::MAX, ORIGIN_MS, until, ORIGIN_MS + AUTHENTICATION_MS),
    ] {
        let ring = TicketRing::new(vec![ringed(1, 0, key_until_ms)]).expect("a ring");
        let terms = Terms { life_ms, authenticated_ms, ..terms() };
        let sealed = ring.issue(&terms, &secret(2), &[3; 24], ORIGIN_MS).expect("sealed");
        assert_eq!(ring.open(&sealed, ORIGIN_MS).expect("opens").expires_ms, expires_ms);
        assert!(ring.open(&sealed, expires_ms - 1).is_ok());
        for late_ms in [expires_ms, expires_ms + 1_000, u64::MAX] {
            assert_eq!(ring.open(&sealed, late_ms).err(), Some(Reject::Ticket), "at {late_ms}");
        }
        // A clock that is 5 s behind the issuer's takes it, one further behind does not, and gains it no life.
        assert!(ring.open(&sealed, ORIGIN_MS - 5_000).is_ok());
        assert_eq!(ring.open(&sealed, ORIGIN_MS - 5_001).err(), Some(Reject::Ticket));
    }
    let old = Terms { authenticated_ms: ORIGIN_MS - AUTHENTICATION_MS, ..terms() };
    assert!(ring_of(1).issue(&old, &secret(2), &[3; 24], ORIGIN_MS).is_none(), "an old authentication");
}

#[test]
fn a_ticket_that_outlives_its_authentication_is_refused_whoever_sealed_it() {
    let ring = ring_of(1);
    let long = Ticket { expires_ms: ORIGIN_MS + AUTHENTICATION_MS + 1, ..ticket() };
    assert_eq!(ring.open(&long.seal(&key(1), &[9; 24]), ORIGIN_MS).err(), Some(Reject::Ticket));
    let exact = Ticket { expires_ms: ORIGIN_MS + AUTHENTICATION_MS, ..ticket() };
    assert!(ring.open(&exact.seal(&key(1), &[9; 24]), ORIGIN_MS).is_ok());
}

/// §12.1.3: the newest key whose time has come seals; any opens as long as it may.
#[test]
fn keys_seal_and_open_at_their_times() {
    let ring = TicketRing::new(vec![
        ringed(1, ORIGIN_MS, ORIGIN_MS + 300),
        ringed(3, ORIGIN_MS + 200, ORIGIN_MS + 500),
        ringed(2, ORIGIN_MS + 100, ORIGIN_MS + 400),
    ])
    .expect("a ring");
    let sealing = |at_ms: u64| ring.sealing(ORIGIN_MS + at_ms).map(|ringed| ringed.key.id());
    assert!(ring.sealing(ORIGIN_MS - 1).is_none());
    for (at_ms, fill) in [(0, 1), (99, 1), (100, 2), (199, 2), (200, 3), (499, 3)] {
        assert_eq!(sealing(at_ms), Some(key(fill).id()), "at {at_ms}");
    }
    assert!(sealing(500).is_none());
    let first = issue(&ring, ORIGIN_MS);
    assert!(ring.open(&first, ORIGIN_MS + 299).is_ok(), "an older key still opens");
    assert_eq!(ring.open(&first, ORIGIN_MS + 300).err(), Some(Reject::Ticket), "no longer than it may");
    assert!(TicketRing::default().issue(&terms(), &secret(2), &[3; 24], ORIGIN_MS).is_none());
}

/// §12.1.2.
#[test]
fn keys_that_are_short_long_zero_or_repeated_are_refused() {
    for bytes in [&[][..], &[7; 16], &[7; 31], &[7; 33], &[7; 64], &[0; 32]] {
        assert_eq!(TicketKey::new(bytes).err(), Some(RingError::Key), "{} bytes", bytes.len());
    }
    let refused = |keys| TicketRing::new(keys).err();
    assert_eq!(refused(vec![ringed(1, 0, 5), ringed(1, 1, 6)]), Some(RingError::Repeated));
    assert_eq!(refused(vec![ringed(1, 5, 5)]), Some(RingError::Times));
    assert_eq!(refused(vec![ringed(1, 5, U48_MAX + 1)]), Some(RingError::Times));
    assert_eq!(refused((1..=65).map(|fill| ringed(fill, 0, 5)).collect()), Some(RingError::TooMany));
}

#[test]
fn a_ring_is_read_back_from_its_text_and_a_bad_line_is_named() {
    let ring = TicketRing::new(vec![ringed(1, 5, 10), ringed(2, 7, 12)]).expect("a ring");
    let text = ring_to_text(ring.keys());
    let read = ring_from_text(&text).expect("a ring");
    let shape = |ring: &TicketRing| -> Vec<_> {
        ring.keys().iter().map(|k| (k.key.id(), k.seal_from_ms, k.open_until_ms)).collect()
    };
    assert_eq!(shape(&read), shape(&ring));
    let good = text.lines().nth(1).expect("a key");
    let words: Vec<&str> = good.split(' ').collect();
    for (text, error) in [
        (format!("{good} 1"), RingTextError::Line(1)),
        (good.replace("mvt-ticket-key", "key"), RingTextError::Line(1)),
        (good.replace(" 12", " x"), RingTextError::Line(1)),
        (format!("#\n{}", good.replace(" 12", " -1")), RingTextError::Line(2)),
        (good.replace(words[1], "AAAA"), RingTextError::Key(1)),
        (good.replace(words[1], &format!("{}=", "A".repeat(43))), RingTextError::Key(1)),
        (format!("{good}\n{good}"), RingTextError::Ring(RingError::Repeated)),
    ] {
        assert_eq!(ring_from_text(&text).err(), Some(error), "{text}");
    }
    assert_eq!(ring_from_text("# none\n").expect("an empty ring").keys().len(), 0);
}

#[test]
fn a_ring_does_not_print_its_keys() {
    let ring = TicketRing::new(vec![ringed(0x77, 5, 10)]).expect("a ring");
    assert!(!format!("{ring:?}").contains("119, 119, 119, 119"), "{ring:?}");
}

proptest! {
    /// CASES T-11: two tickets are sealed under one key and nonce only if the 24 random bytes repeat: the cipher's key
    /// follows from all plain bytes, so the same content under another nonce has nothing in common.
    #[test]
    fn the_sealed_part_follows_from_every_bit_of_the_nonce(nonce: [u8; 24], bit in 0usize..192) {
        let other: [u8; 24] = flipped(&nonce, bit).try_into().expect("24 bytes");
        let (a, b) = (ticket().seal(&key(1), &nonce), ticket().seal(&key(1), &other));
        let same = a[29..].iter().zip(&b[29..]).filter(|(a, b)| a == b).count();
        prop_assert!(same < 20, "{same} of 88 bytes are the same");
    }

    #[test]
    fn arbitrary_bytes_are_no_ticket(bytes in proptest::collection::vec(any::<u8>(), TICKET_BYTES)) {
        let mut bytes: SealedTicket = bytes.try_into().expect("117");
        prop_assert_eq!(ring_of(1).open(&bytes, ORIGIN_MS).err(), Some(Reject::Ticket));
        bytes[0] = 1;
        bytes[1..5].copy_from_slice(&key(1).id());
        prop_assert_eq!(ring_of(1).open(&bytes, ORIGIN_MS).err(), Some(Reject::Ticket));
    }
}
