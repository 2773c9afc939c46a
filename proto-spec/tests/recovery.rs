//! Recovery: what opens, what is refused, and what a refused or repeated RECOVER can change (SPEC §13).

mod support;

use mvt_proto::{
    ClientId, Limits, Reject, Suite,
    constants::{HEADER_BYTES, LOGIN_BYTES, TAG_BYTES},
    frame::{recover::Recover, retry::Retry},
    login::{Admitted, CookieSecret, Identity, Mac1},
    recovery::{Initiator, Offer, RecoveryKey, RecoveryKit, Responder},
    session::Answer,
};
use support::{
    CLIENT_ORIGIN_MS, Pair, SUITES, flipped, grant, noise,
    points::{bad_points, with_top_bit},
    secret, server_identity,
};

fn key() -> RecoveryKey {
    RecoveryKey::new(&secret(0x77))
}

fn kit() -> RecoveryKit {
    RecoveryKit {
        name: "alice".into(),
        recovery_secret: secret(0x33),
        server_public: *server_identity().public(),
        recovery_public: *key().public(),
    }
}

fn new_identity() -> Identity {
    Identity::new(secret(0xc2))
}

#[derive(Clone, Copy)]
struct Said<'a> {
    suites: &'a [Suite],
    login_id: u64,
    cookie: Option<&'a [u8; 16]>,
    channel_binding: &'a [u8],
    random: u8,
}

const PLAINLY: Said<'_> = Said {
    suites: &[Suite::Gcm256],
    login_id: 42,
    cookie: Some(&[7; 16]),
    channel_binding: &[],
    random: 0xe1,
};

fn recover(kit: &RecoveryKit, said: Said<'_>) -> (Initiator, [u8; 512]) {
    recover_to(kit, &new_identity(), said)
}

fn recover_to(kit: &RecoveryKit, new_identity: &Identity, said: Said<'_>) -> (Initiator, [u8; 512]) {
    let Said { suites, login_id, cookie, channel_binding, random } = said;
    let offer = Offer { new_identity, suites, login_id, cookie, channel_binding };
    Initiator::start(kit, &offer, &secret(random ^ 0x0f), secret(random)).expect("good keys")
}

fn read<'f>(frame: &'f [u8], psk: u8, channel_binding: &'f [u8]) -> Result<Responder<'f>, Reject> {
    let server = server_identity();
    Mac1::new(server.public()).verify(frame)?;
    Responder::read(&Recover::parse(frame)?, &key(), server.public(), &secret(psk), channel_binding)
}

fn admit_as(responder: Responder<'_>, random: u8) -> Result<Admitted, Reject> {
    let suite = responder.choose_suite(&SUITES)?;
    responder.admit(&grant(suite, Limits::DEFAULT), &secret(random ^ 0x0f), &secret(random))
}

fn admit(frame: &[u8]) -> Result<Admitted, Reject> {
    admit_as(read(frame, 0x33, &[])?, 0xe2)
}

fn signed(mut before_tag: Vec<u8>) -> Vec<u8> {
    noise::sign(&server_identity(), &mut before_tag);
    before_tag
}

#[test]
fn a_recovered_session_carries_requests_and_names_the_new_key() {
    for suite in SUITES {
        let (initiator, frame) = recover(&kit(), Said { suites: &[suite], ..PLAINLY });
        let responder = read(&frame, 0x33, &[]).expect("opens");
        assert_eq!(responder.client(), &ClientId::of_name("alice"));
        assert_eq!(responder.new_public(), new_identity().public());
        let Admitted { answer, session, .. } = admit_as(responder, 0xe2).expect("honest");
        assert!(answer.len() <= frame.len(), "§14.1");
        let client = initiator.finish(&answer, CLIENT_ORIGIN_MS).expect("honest");
        assert_eq!(client.suite(), suite);
        let mut pair = Pair { client, server: session };
        let (pending, request) = pair.request(b"hello", 5);
        let mut answer = pair.reply(&request, 5);
        let said = pair.answer(&pending, &mut answer, 6);
        assert_eq!(said, Ok(Answer::Response { status: 0, payload: b"done" }));
    }
}

/// CASES V-01.
#[test]
fn a_flip_of_any_bit_of_the_recover_is_refused() {
    let (_, frame) = recover(&kit(), PLAINLY);
    assert!(admit(&frame).is_ok());
    for bit in 0..frame.len() * 8 {
        let mut forged = flipped(&frame, bit);
        assert!(admit(&forged).is_err(), "bit {bit}");
        forged.truncate(LOGIN_BYTES - TAG_BYTES);
        let is_mac1 = bit / 8 >= LOGIN_BYTES - TAG_BYTES;
        assert_eq!(admit(&signed(forged)).is_err(), !is_mac1, "bit {bit}, mac1 made again");
    }
}

#[test]
fn a_flip_of_any_bit_of_the_answer_is_refused() {
    let Admitted { answer, .. } = admit(&recover(&kit(), PLAINLY).1).expect("honest");
    for bit in 0..answer.len() * 8 {
        assert!(recover(&kit(), PLAINLY).0.finish(&flipped(&answer, bit), 0).is_err(), "bit {bit}");
    }
    for bytes in 0..answer.len() {
        assert!(recover(&kit(), PLAINLY).0.finish(&answer[..bytes], 0).is_err(), "{bytes} bytes");
    }
    assert!(recover(&kit(), PLAINLY).0.finish(&answer, 0).is_ok());
}

/// §13.2.2: a psk that is not the client's, random or another's, opens nothing.
#[test]
fn a_wrong_secret_name_server_or_recovery_key_is_refused() {
    let (_, frame) = recover(&kit(), PLAINLY);
    assert_eq!(read(&frame, 0x34, &[]).err(), Some(Reject::Recovery));
    let bad = |kit: RecoveryKit| read(&signed(recover(&kit, PLAINLY).1[..496].to_vec()), 0x33, &[]).err();
    assert_eq!(bad(kit()), None);
    assert_eq!(bad(RecoveryKit { recovery_secret: secret(0x34), ..kit() }), Some(Reject::Recovery));
    assert_eq!(bad(RecoveryKit { server_public: [9; 32], ..kit() }), Some(Reject::Recovery));
    let other = *RecoveryKey::new(&secret(0x78)).public();
    assert_eq!(bad(RecoveryKit { recovery_public: other, ..kit() }), Some(Reject::Recovery));
    // Another name is another psk_id: the server would also look up another psk.
    let mut renamed = recover(&kit(), PLAINLY).1[..496].to_vec();
    renamed[HEADER_BYTES + 17..HEADER_BYTES + 33].copy_from_slice(ClientId::of_name("bob").as_bytes());
    assert_eq!(read(&signed(renamed), 0x33, &[]).err(), Some(Reject::Recovery));
}

/// §10.3.1, §13.2.4 (CASES V-07).
#[test]
fn low_order_and_non_canonical_points_end_a_recovery() {
    let (_, frame) = recover(&kit(), PLAINLY);
    let enc = HEADER_BYTES + 1 + 16 + 16;
    let Admitted { answer, .. } = admit(&frame).expect("honest");
    for point in bad_points().into_iter().chain(with_top_bit()) {
        let mut forged = frame[..LOGIN_BYTES - TAG_BYTES].to_vec();
        forged[enc..enc + 32].copy_from_slice(&point);
        assert_eq!(admit(&signed(forged)).err(), Some(Reject::Recovery), "enc = {point:x?}");
        let mut forged = answer.clone();
        forged[HEADER_BYTES + 32..HEADER_BYTES + 64].copy_from_slice(&point);
        assert!(recover(&kit(), PLAINLY).0.finish(&forged, 0).is_err(), "e_s = {point:x?}");
        let to = RecoveryKit { recovery_public: point, ..kit() };
        let offer = Offer {
            new_identity: &new_identity(),
            suites: PLAINLY.suites,
            login_id: 1,
            cookie: None,
            channel_binding: &[],
        };
        assert_eq!(
            Initiator::start(&to, &offer, &secret(1), secret(2)).err(),
            Some(Reject::Recovery),
            "recovery key {point:x?}"
        );
    }
}

/// CASES V-02: what a replay gives is of no use to who sent it.
#[test]
fn a_replayed_recover_gives_a_session_its_sender_cannot_use() {
    let (initiator, frame) = recover(&kit(), PLAINLY);
    let first = admit(&frame).expect("honest");
    let replayed = admit_as(read(&frame, 0x33, &[]).expect("a replay opens"), 0x99).expect("and is answered");
    assert!(!replayed.session.is_confirmed());
    let client = initiator.finish(&first.answer, CLIENT_ORIGIN_MS).expect("honest");
    let mut pair = Pair { client, server: first.session };
    let (_, recorded) = pair.request(b"", 5);
    assert_eq!(pair.verdict(&recorded, 5), "accept");
    pair.server = replayed.session;
    assert_eq!(pair.verdict(&recorded, 5), "bad_tag");
    assert!(!pair.server.is_confirmed());
}

/// §13.3: the first request proves the new static key. A RECOVER naming a key its sender does not hold, made with the right
/// kit, ends in a session the sender cannot use.
#[test]
fn a_new_key_the_sender_does_not_hold_is_not_taken() {
    let victim = Identity::new(secret(0xd4));
    // The forger seals the victim's public key beside a private key of its own.
    let (forger, frame) = recover_to(&kit(), &victim, PLAINLY);
    let Admitted { answer, .. } = admit(&frame).expect("opens: the kit is right");
    assert!(forger.finish(&answer, 0).is_ok(), "with the private key it can be finished");
    let (without, same_random) = recover_to(&kit(), &new_identity(), PLAINLY);
    assert_ne!(frame, same_random);
    assert!(without.finish(&answer, 0).is_err(), "without it cannot");
}

#[test]
fn a_recover_cannot_be_relayed_onto_another_connection() {
    let (here, there) = ([1u8; 32], [2u8; 32]);
    let said = Said { channel_binding: &here, ..PLAINLY };
    let (_, frame) = recover(&kit(), said);
    for binding in [&there[..], &[], &here[..31]] {
        assert_eq!(read(&frame, 0x33, binding).err(), Some(Reject::Recovery));
    }
    let admitted = admit_as(read(&frame, 0x33, &here).expect("its own connection"), 0xe2).expect("admitted");
    assert!(recover(&kit(), said).0.finish(&admitted.answer, 0).is_ok());
}

#[test]
fn the_suite_is_chosen_as_at_a_login() {
    use Suite::{Gcm256, Hs256};
    for (offered, allowed, chosen) in [
        (&[Hs256, Gcm256][..], &[Hs256, Gcm256][..], Ok(Hs256)),
        (&[Gcm256, Hs256], &[Hs256], Ok(Hs256)),
        (&[Gcm256], &[Hs256], Err(Reject::NoSuite)),
    ] {
        let (_, frame) = recover(&kit(), Said { suites: offered, ..PLAINLY });
        assert_eq!(read(&frame, 0x33, &[]).expect("opens").choose_suite(allowed), chosen);
    }
}

/// §13.2.1: the parts nobody sealed are judged first.
#[test]
fn a_recover_of_another_form_or_length_is_refused() {
    let (_, frame) = recover(&kit(), PLAINLY);
    for (at, byte) in [(15, 2), (15, 0), (HEADER_BYTES, 15)] {
        let mut forged = frame[..LOGIN_BYTES - TAG_BYTES].to_vec();
        forged[at] = byte;
        assert_eq!(admit(&signed(forged)).err(), Some(Reject::Field));
    }
    for bytes in [44, 511, 513, 600] {
        let mut other = frame.to_vec();
        other.resize(bytes - TAG_BYTES, 0);
        other[..2].copy_from_slice(&(bytes as u16 - 2).to_be_bytes());
        assert_eq!(admit(&signed(other)).err(), Some(Reject::Field), "{bytes} bytes");
    }
}

/// §14.2.
#[test]
fn a_recover_follows_a_cookie() {
    let (secret_now, address) = (CookieSecret::new(secret(0x60)), [127, 0, 0, 1, 0x1f, 0x90]);
    let mac1 = Mac1::new(server_identity().public());
    let (initiator, frame) = recover(&kit(), Said { cookie: None, ..PLAINLY });
    assert!(!secret_now.accepts(&frame, &address));
    let retry = Retry::Cookie(secret_now.cookie(&frame, &address)).to_frame(&frame, &mac1);
    let Ok(Retry::Cookie(cookie)) = initiator.retry(&retry) else { panic!("a cookie") };
    let (_, again) = recover(&kit(), Said { cookie: Some(&cookie), ..PLAINLY });
    assert!(secret_now.accepts(&again, &address));
    assert!(admit(&again).is_ok());
}

#[test]
fn a_recovery_does_not_print() {
    let (initiator, frame) = recover(&kit(), PLAINLY);
    let responder = read(&frame, 0x33, &[]).expect("opens");
    for text in [format!("{initiator:?}"), format!("{responder:?}"), format!("{:?}", key())] {
        assert!(text.contains("[redacted]"), "{text}");
        assert!(!text.contains("51, 51, 51, 51"), "{text}");
    }
}
