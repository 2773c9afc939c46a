//! Login: what opens, what is refused, and what a refused or repeated login can change (SPEC §10, §14).

mod support;

use mvt_proto::{
    Limits, Reject, Suite,
    constants::{HEADER_BYTES, HELLO_BYTES, HELLO_R_BYTES_MAX, TAG_BYTES, U48_MAX},
    frame::hello::Hello,
    login::{Admitted, Identity, Initiator, Offer},
    session::Answer,
};
use support::{
    CLIENT_ORIGIN_MS, KEY_ID, ORIGIN_MS, Pair, client_identity, flipped, grant, hello, hello_with,
    hello_with_cookie, lost_key,
    noise::{self, HelloParts, HelloRParts, LISTS},
    points::{bad_points, with_top_bit},
    read_hello, read_hello_with, secret, server_identity,
};

const GCM: &[Suite] = &[Suite::Gcm256];

fn public_of(fill: u8) -> [u8; 32] {
    *Identity::new(secret(fill)).public()
}

fn forged_hello(ephemeral_public: [u8; 32], static_public: [u8; 32], lists: &[u8], padding: u8) -> Vec<u8> {
    let parts = HelloParts { ephemeral_public, static_public, lists, login_id: 42, padding };
    noise::hello(&server_identity(), &parts)
}

/// The plaintext of an honest grant (§10.2).
fn grant_bytes() -> Vec<u8> {
    let mut bytes = KEY_ID.to_be_bytes().to_vec();
    bytes.extend_from_slice(&2u16.to_be_bytes());
    bytes.extend_from_slice(&ORIGIN_MS.to_be_bytes()[2..]);
    for limit in [1u32 << 20, 1 << 21, 600_000, 900_000] {
        bytes.extend_from_slice(&limit.to_be_bytes());
    }
    bytes.extend_from_slice(&1024u16.to_be_bytes());
    bytes.extend_from_slice(lost_key().expose());
    bytes
}

/// What an honest client says to an answer whose every byte the test chose.
fn finish_with(ephemeral_public: [u8; 32], grant: &[u8]) -> Result<(), Reject> {
    let (initiator, hello) = hello(GCM);
    let parts = HelloRParts {
        hello: &hello,
        lists_bytes: LISTS.len(),
        client: &client_identity(),
        client_ephemeral: [0xe1; 32],
        ephemeral_public,
        grant,
        key_id: u64::from_be_bytes(grant[..8].try_into().expect("8")),
    };
    initiator.finish(&noise::hello_r(&server_identity(), &parts), CLIENT_ORIGIN_MS).map(|_| ())
}

fn finish_with_grant(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Reject> {
    let mut grant = grant_bytes();
    change(&mut grant);
    finish_with(public_of(0xe2), &grant)
}

#[test]
fn the_forger_of_these_tests_is_believed_when_it_is_honest() {
    let honest = forged_hello(public_of(0xe1), *client_identity().public(), LISTS, 0);
    assert_eq!(honest, hello(GCM).1);
    assert_eq!(read_hello(&honest).map(|_| ()), Ok(()));
    assert_eq!(finish_with(public_of(0xe2), &grant_bytes()), Ok(()));
}

#[test]
fn low_order_and_non_canonical_points_end_a_login_at_the_server() {
    let honest = *client_identity().public();
    for point in bad_points().into_iter().chain(with_top_bit()) {
        let as_ephemeral = forged_hello(point, honest, LISTS, 0);
        assert_eq!(read_hello(&as_ephemeral).err(), Some(Reject::Noise), "e = {point:x?}");
        let as_static = forged_hello(public_of(0xe1), point, LISTS, 0);
        assert_eq!(read_hello(&as_static).err(), Some(Reject::Noise), "s = {point:x?}");
    }
}

#[test]
fn low_order_and_non_canonical_points_end_a_login_at_the_client() {
    for point in bad_points().into_iter().chain(with_top_bit()) {
        assert_eq!(finish_with(point, &grant_bytes()), Err(Reject::Noise), "e = {point:x?}");
        let offer =
            Offer { server_public: &point, suites: GCM, login_id: 1, cookie: None, channel_binding: &[] };
        let started = Initiator::start(&client_identity(), &offer, secret(1));
        assert_eq!(started.err(), Some(Reject::Noise), "server key {point:x?}");
    }
}

#[test]
fn a_flip_of_any_bit_of_the_hello_is_refused() {
    let (_, frame) = hello(&[Suite::Gcm256, Suite::Hs256]);
    let server = server_identity();
    for bit in 0..frame.len() * 8 {
        let mut forged = flipped(&frame, bit);
        assert!(read_hello(&forged).is_err(), "bit {bit}");
        // And by the handshake itself when mac1, which anybody can make, is made again.
        forged.truncate(HELLO_BYTES - TAG_BYTES);
        noise::sign(&server, &mut forged);
        let is_mac1 = bit / 8 >= HELLO_BYTES - TAG_BYTES;
        assert_eq!(read_hello(&forged).is_err(), !is_mac1, "bit {bit}, mac1 made again");
    }
}

#[test]
fn a_flip_of_any_bit_of_the_hello_r_is_refused() {
    let (_, frame) = hello(GCM);
    let Admitted { answer: hello_r, .. } =
        read_hello(&frame).unwrap().admit(&grant(Suite::Gcm256, Limits::DEFAULT)).unwrap();
    assert!(hello(GCM).0.finish(&hello_r, 0).is_ok());
    for bit in 0..hello_r.len() * 8 {
        assert!(hello(GCM).0.finish(&flipped(&hello_r, bit), 0).is_err(), "bit {bit}");
    }
    for bytes in 0..hello_r.len() {
        assert!(hello(GCM).0.finish(&hello_r[..bytes], 0).is_err(), "{bytes} bytes");
    }
}

#[test]
fn a_message_sent_back_to_its_sender_is_refused() {
    let (initiator, frame) = hello(GCM);
    assert_eq!(initiator.finish(&frame, 0).err(), Some(Reject::Kind));
    let (initiator, mut renamed) = hello(GCM);
    renamed[2] = 0x19;
    renamed[15] = 0;
    assert_eq!(initiator.finish(&renamed, 0).err(), Some(Reject::Noise));

    let responder = read_hello(&frame).unwrap();
    let mut back = responder.admit(&grant(Suite::Gcm256, Limits::DEFAULT)).unwrap().answer;
    assert_eq!(Hello::parse(&back).err(), Some(Reject::Kind));
    back.resize(HELLO_BYTES - TAG_BYTES, 0);
    back[..HEADER_BYTES].copy_from_slice(&frame[..HEADER_BYTES]);
    noise::sign(&server_identity(), &mut back);
    assert!(read_hello(&back).is_err());
}

#[test]
fn a_client_with_the_servers_own_key_gains_no_other_identity() {
    let server = server_identity();
    let offer = Offer {
        server_public: server.public(),
        suites: GCM,
        login_id: 42,
        cookie: None,
        channel_binding: &[],
    };
    let (_, frame) = Initiator::start(&server, &offer, secret(0xe1)).unwrap();
    assert_eq!(read_hello(&frame).unwrap().client_public(), server.public());
}

#[test]
fn a_wrong_server_key_is_refused_by_mac1_and_by_the_handshake() {
    let other = public_of(0x99);
    let offer =
        Offer { server_public: &other, suites: GCM, login_id: 42, cookie: None, channel_binding: &[] };
    let (_, frame) = Initiator::start(&client_identity(), &offer, secret(0xe1)).unwrap();
    assert_eq!(read_hello(&frame).err(), Some(Reject::Mac1));
    let mut signed = frame[..HELLO_BYTES - TAG_BYTES].to_vec();
    noise::sign(&server_identity(), &mut signed);
    assert_eq!(read_hello(&signed).err(), Some(Reject::Noise));
}

#[test]
fn a_server_without_the_private_key_cannot_answer() {
    let (initiator, frame) = hello(GCM);
    let impostor = Identity::new(secret(0x52));
    let parts = HelloRParts {
        hello: &frame,
        lists_bytes: LISTS.len(),
        client: &client_identity(),
        client_ephemeral: [0xee; 32], // does not know the client's
        ephemeral_public: public_of(0xe2),
        grant: &grant_bytes(),
        key_id: KEY_ID,
    };
    assert_eq!(initiator.finish(&noise::hello_r(&impostor, &parts), 0).err(), Some(Reject::Noise));
}

#[test]
fn the_first_suite_of_the_clients_list_that_is_allowed_is_chosen() {
    use Suite::{Gcm256, Hs256};
    for (offered, allowed, chosen) in [
        (&[Hs256, Gcm256][..], &[Hs256, Gcm256][..], Ok(Hs256)),
        (&[Gcm256, Hs256], &[Hs256, Gcm256], Ok(Gcm256)),
        (&[Gcm256, Hs256], &[Hs256], Ok(Hs256)),
        (&[Gcm256], &[Hs256], Err(Reject::NoSuite)),
        (&[Gcm256], &[], Err(Reject::NoSuite)),
    ] {
        let (_, frame) = hello(offered);
        assert_eq!(read_hello(&frame).unwrap().choose_suite(allowed), chosen);
    }
}

/// §10.1.4.
#[test]
fn unknown_suites_are_skipped_and_a_bad_list_is_refused() {
    let both = [Suite::Hs256, Suite::Gcm256];
    let eight = [0u8, 8, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2];
    for (lists, expected) in [
        (&[0u8, 3, 1, 2, 0, 2, 0, 1][..], Ok(Ok(Suite::Gcm256))), // 0x102 first, unknown
        (&[0, 1, 0xff, 0xff], Ok(Err(Reject::NoSuite))),
        (&[0, 1, 0, 0], Ok(Err(Reject::NoSuite))),
        (&eight, Ok(Ok(Suite::Gcm256))),
        (&[0, 0], Err(Reject::Field)),
        (&[0, 9, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0, 3, 0, 2, 0, 1], Err(Reject::Field)),
        (&[0, 2, 0, 2, 0, 2], Err(Reject::Field)),
        (&[0, 3, 0, 9, 0, 2, 0, 9], Err(Reject::Field)),
        (&[15, 1, 0, 2], Err(Reject::Field)),
        (&[17, 1, 0, 2], Err(Reject::Field)),
        (&[255, 1, 0, 2], Err(Reject::Field)),
    ] {
        let frame = forged_hello(public_of(0xe1), *client_identity().public(), lists, 0);
        let chosen = read_hello(&frame).map(|responder| responder.choose_suite(&both));
        assert_eq!(chosen.as_ref().map_err(|reject| *reject), expected.as_ref().map_err(|r| *r), "{lists:?}");
    }
}

#[test]
fn a_hello_of_another_length_or_pattern_is_refused() {
    let server = server_identity();
    let (_, frame) = hello(GCM);
    for bytes in [44, 200, 511, 513, 600] {
        let mut cut = frame.to_vec();
        cut.resize(bytes - TAG_BYTES, 0);
        cut[..2].copy_from_slice(&(bytes as u16 - 2).to_be_bytes());
        noise::sign(&server, &mut cut);
        assert_eq!(read_hello(&cut).err(), Some(Reject::Field), "{bytes} bytes");
    }
    for pattern in [0u8, 2, 3, 255] {
        let mut other = frame[..HELLO_BYTES - TAG_BYTES].to_vec();
        other[15] = pattern;
        noise::sign(&server, &mut other);
        assert_eq!(read_hello(&other).err(), Some(Reject::Field), "pattern {pattern}");
    }
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    for padding in [1, 0x80, 0xff] {
        let frame = forged_hello(public_of(0xe1), *client_identity().public(), LISTS, padding);
        assert_eq!(read_hello(&frame).err(), Some(Reject::Field), "{padding}");
    }
}

#[test]
fn a_login_cannot_be_relayed_onto_another_connection() {
    let (here, there) = ([1u8; 32], [2u8; 32]);
    let (_, frame) = hello_with(GCM, &here, 0xe1);
    for binding in [&there[..], &[], &here[..31]] {
        assert_eq!(read_hello_with(&frame, binding, 0xe2).err(), Some(Reject::Noise));
    }
    let responder = read_hello_with(&frame, &here, 0xe2).expect("its own connection");
    let Admitted { answer: hello_r, .. } = responder.admit(&grant(Suite::Gcm256, Limits::DEFAULT)).unwrap();
    assert_eq!(hello_with(GCM, &there, 0xe1).0.finish(&hello_r, 0).err(), Some(Reject::Noise));
    assert!(hello_with(GCM, &here, 0xe1).0.finish(&hello_r, 0).is_ok());
}

/// §10.3.2.
#[test]
fn a_replayed_hello_gives_a_session_its_sender_cannot_use() {
    let mut honest = Pair::new(Suite::Gcm256, Limits::DEFAULT);
    let (initiator, frame) = hello(GCM);
    // The same HELLO again, later: the server's ephemeral is fresh.
    let responder = read_hello_with(&frame, &[], 0xee).expect("a replay opens");
    let Admitted { answer: hello_r, mut session, .. } =
        responder.admit(&grant(Suite::Gcm256, Limits::DEFAULT)).unwrap();
    assert!(!session.is_confirmed());
    assert_eq!(session.deadline_ms(), ORIGIN_MS + 10_000);

    // Whoever recorded the first session's frames has nothing that verifies under the new one.
    let (pending, mut recorded) = honest.request(b"", 5);
    let header = mvt_proto::Header::parse(&recorded, mvt_proto::Role::Server).unwrap();
    let fresh = session.check(&header, ORIGIN_MS + 5);
    assert_eq!(session.open(fresh, &mut recorded.clone()).err(), Some(Reject::BadTag));
    assert!(!session.is_confirmed());

    // The honest session goes on, and the new answer is of no use to the client that holds it.
    let exchange = honest.serve(&mut recorded, 5).expect("still accepted");
    let mut answer = Vec::new();
    exchange.respond(0, &[], ORIGIN_MS + 5, &mut answer);
    assert_eq!(honest.answer(&pending, &mut answer, 6), Ok(Answer::Response { status: 0, payload: &[] }));
    // Only the holder of the HELLO's ephemeral secret could have finished it.
    assert!(initiator.finish(&hello_r, 0).is_ok());
    assert_eq!(hello_with(GCM, &[], 0xe9).0.finish(&hello_r, 0).err(), Some(Reject::Noise));
}

#[test]
fn two_logins_that_race_get_two_keys() {
    let (first, first_hello) = hello_with(GCM, &[], 0xe1);
    let (second, second_hello) = hello_with(GCM, &[], 0xe3);
    let terms = grant(Suite::Gcm256, Limits::DEFAULT);
    let second_admitted = read_hello_with(&second_hello, &[], 0xe4).unwrap().admit(&terms).unwrap();
    let first_admitted = read_hello_with(&first_hello, &[], 0xe2).unwrap().admit(&terms).unwrap();
    assert_eq!(
        hello_with(GCM, &[], 0xe1).0.finish(&second_admitted.answer, 0).err(),
        Some(Reject::Noise),
        "an answer to the other login"
    );
    let mut pairs = [(first, first_admitted), (second, second_admitted)].map(|(initiator, admitted)| Pair {
        client: initiator.finish(&admitted.answer, CLIENT_ORIGIN_MS).unwrap(),
        server: admitted.session,
    });
    let frames = pairs.each_mut().map(|pair| pair.request(b"", 5).1);
    assert_eq!(pairs[0].verdict(&frames[1], 5), "bad_tag");
    assert_eq!(pairs[1].verdict(&frames[0], 5), "bad_tag");
    assert_eq!(pairs[0].verdict(&frames[0], 5), "accept");
    assert_eq!(pairs[1].verdict(&frames[1], 5), "accept");
}

#[test]
fn a_grant_has_exactly_its_fields() {
    assert_eq!(finish_with_grant(|_| ()), Ok(()));
    assert_eq!(finish_with_grant(|grant| grant.push(0)), Err(Reject::Field), "trailing byte");
    for bytes in 8..50 {
        assert!(finish_with_grant(|grant| grant.truncate(bytes)).is_err(), "{bytes} bytes");
    }
    assert_eq!(finish_with_grant(|grant| grant.truncate(49)), Err(Reject::Field), "a byte short");
}

#[test]
fn a_grant_out_of_bounds_is_refused() {
    let set = |offset: usize, bytes: &[u8]| {
        finish_with_grant(|grant| grant[offset..offset + bytes.len()].copy_from_slice(bytes))
    };
    assert_eq!(set(0, &[0; 8]), Err(Reject::Field), "key id 0");
    assert_eq!(set(8, &[0, 1]), Err(Reject::Field), "a suite not offered");
    assert_eq!(set(8, &[0, 3]), Err(Reject::Field), "a suite unknown");
    assert_eq!(set(16, &[0, 0x20, 0, 1]), Err(Reject::Field), "requests inverted");
    assert_eq!(set(16, &[0, 0x20, 0, 0]), Ok(()), "requests equal");
    assert_eq!(set(16, &[0; 4]), Err(Reject::Field), "no requests");
    assert_eq!(set(20, &[0; 4]), Err(Reject::Field), "nothing accepted");
    assert_eq!(set(24, &900_001u32.to_be_bytes()), Err(Reject::Field), "times inverted");
    assert_eq!(set(24, &900_000u32.to_be_bytes()), Ok(()), "times equal");
    assert_eq!(set(24, &[0; 4]), Err(Reject::Field), "no time");
    for window in [0u16, 1, 32, 63, 65, 1000, 8193, 16_384, u16::MAX] {
        assert_eq!(set(32, &window.to_be_bytes()), Err(Reject::Field), "window {window}");
    }
    for window in [64u16, 128, 8192] {
        assert_eq!(set(32, &window.to_be_bytes()), Ok(()), "window {window}");
    }
}

#[test]
fn a_session_at_the_end_of_the_timescale_seals_nothing_wrong() {
    let (initiator, hello) = hello(GCM);
    let mut grant = grant_bytes();
    grant[10..16].copy_from_slice(&U48_MAX.to_be_bytes()[2..]);
    let parts = HelloRParts {
        hello: &hello,
        lists_bytes: LISTS.len(),
        client: &client_identity(),
        client_ephemeral: [0xe1; 32],
        ephemeral_public: public_of(0xe2),
        grant: &grant,
        key_id: KEY_ID,
    };
    let hello_r = noise::hello_r(&server_identity(), &parts);
    let mut session = initiator.finish(&hello_r, CLIENT_ORIGIN_MS).expect("a time is a time");
    let mut out = Vec::new();
    assert!(session.seal_request(0, &[], CLIENT_ORIGIN_MS, &mut out).is_ok());
    assert!(session.seal_request(0, &[], CLIENT_ORIGIN_MS + 1, &mut out).is_err());
}

#[test]
fn an_answer_is_never_longer_than_the_hello() {
    let (initiator, frame) = hello(GCM);
    let terms = grant(Suite::Gcm256, Limits::DEFAULT);
    let Admitted { answer: hello_r, .. } = read_hello(&frame).unwrap().admit(&terms).unwrap();
    assert!(hello_r.len() <= HELLO_R_BYTES_MAX && HELLO_R_BYTES_MAX <= frame.len());
    assert!(initiator.finish(&hello_r, 0).is_ok());
}

#[test]
fn an_answer_to_another_login_id_is_refused() {
    let (_, frame) = hello_with_cookie(42, None);
    let terms = grant(Suite::Gcm256, Limits::DEFAULT);
    let Admitted { answer: hello_r, .. } = read_hello(&frame).unwrap().admit(&terms).unwrap();
    assert_eq!(hello_with_cookie(43, None).0.finish(&hello_r, 0).err(), Some(Reject::Field));
}

#[test]
fn an_answer_that_confirms_no_key_is_refused() {
    // The Noise message is right; the tag that proves the derived keys is not.
    let (initiator, frame) = hello(GCM);
    let terms = grant(Suite::Gcm256, Limits::DEFAULT);
    let Admitted { answer: mut hello_r, .. } = read_hello(&frame).unwrap().admit(&terms).unwrap();
    let tag = hello_r.len() - TAG_BYTES;
    hello_r[tag..].fill(0);
    assert_eq!(initiator.finish(&hello_r, 0).err(), Some(Reject::BadTag));
}
