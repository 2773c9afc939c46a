//! Resume: what opens, what is refused, and what a refused or repeated RESUME can change (SPEC §12.3, §12.4).

mod support;

use mvt_proto::{
    Header, Kind, Limits, Reject, Role, Suite,
    constants::{HEADER_BYTES, LOGIN_BYTES, TAG_BYTES},
    frame::resume::{Mode, Resume},
    frame::retry::Retry,
    login::{Admitted, CookieSecret, Mac1},
    resume::Kept,
    session::Answer,
    ticket::{RingedKey, TicketKey, TicketRing},
};
use support::{
    CLIENT_ORIGIN_MS, KEY_ID, ORIGIN_MS, Pair, SUITES, flipped, grant, noise,
    points::{bad_points, with_top_bit},
    resumption::{MODES, Said, admit, admit_with, kept, resume, ring},
    secret, server_identity,
};

fn pair(suite: Suite, mode: Mode) -> Pair {
    let (initiator, frame) = resume(&kept(suite), Said::plainly(mode));
    let Admitted { answer, session, .. } = admit(&frame).expect("an honest RESUME");
    assert!(answer.len() <= frame.len(), "§14.1");
    Pair { client: initiator.finish(&answer, CLIENT_ORIGIN_MS).expect("an honest RESUME_R"), server: session }
}

/// Signs the bytes before a tag with mac1, which anybody can make.
fn signed(mut before_tag: Vec<u8>) -> Vec<u8> {
    noise::sign(&server_identity(), &mut before_tag);
    before_tag
}

#[test]
fn a_resumed_session_carries_requests() {
    for suite in SUITES {
        for mode in MODES {
            let mut pair = pair(suite, mode);
            assert_eq!((pair.client.key_id(), pair.client.suite()), (KEY_ID, suite));
            let (pending, frame) = pair.request(b"hello", 5);
            let mut answer = pair.reply(&frame, 5);
            let said = pair.answer(&pending, &mut answer, 6);
            assert_eq!(said, Ok(Answer::Response { status: 0, payload: b"done" }));
        }
    }
}

/// §12.1.6 (CASES T-05): the same ticket on two nodes at one time; and CASES H-04.
#[test]
fn one_ticket_used_twice_makes_two_sessions_with_nothing_in_common() {
    for mode in MODES {
        let kept = kept(Suite::Gcm256);
        let mut pairs = [(0xe1, 0xa1), (0xe3, 0xa3)].map(|(client, server)| {
            let (initiator, frame) = resume(&kept, Said { random: client, ..Said::plainly(mode) });
            let admitted = admit_with(&frame, &ring(), &[], server).expect("honest");
            let client = initiator.finish(&admitted.answer, CLIENT_ORIGIN_MS).expect("honest");
            Pair { client, server: admitted.session }
        });
        let frames = pairs.each_mut().map(|pair| pair.request(b"", 5).1);
        assert_eq!(pairs[0].verdict(&frames[1], 5), "bad_tag");
        assert_eq!(pairs[1].verdict(&frames[0], 5), "bad_tag");
        assert_eq!(pairs[0].verdict(&frames[0], 5), "accept");
        assert_eq!(pairs[1].verdict(&frames[1], 5), "accept");
    }
}

/// CASES V-02, T-04, R-10: a replayed RESUME makes a session that nobody can use.
#[test]
fn a_replayed_resume_gives_a_session_its_sender_cannot_use() {
    for mode in MODES {
        let mut honest = pair(Suite::Gcm256, mode);
        let (_, recorded) = honest.request(b"", 5);
        assert_eq!(honest.verdict(&recorded, 5), "accept");
        let (_, frame) = resume(&kept(Suite::Gcm256), Said::plainly(mode));
        let Admitted { session, .. } = admit_with(&frame, &ring(), &[], 0x99).expect("a replay opens");
        assert!(!session.is_confirmed());
        assert_eq!(session.deadline_ms(), ORIGIN_MS + 10_000, "§10.3.2");
        let mut replayed = Pair { server: session, ..pair(Suite::Gcm256, mode) };
        assert_eq!(replayed.verdict(&recorded, 5), "bad_tag");
        assert!(!replayed.server.is_confirmed());
    }
}

/// CASES H-05, and §12.3.1: with mac1 as it was, and made again as anybody can.
#[test]
fn a_flip_of_any_bit_of_the_resume_is_refused() {
    for mode in MODES {
        let (_, frame) = resume(&kept(Suite::Gcm256), Said { cookie: Some(&[7; 16]), ..Said::plainly(mode) });
        assert!(admit(&frame).is_ok());
        for bit in 0..frame.len() * 8 {
            let mut forged = flipped(&frame, bit);
            assert!(admit(&forged).is_err(), "bit {bit}");
            forged.truncate(LOGIN_BYTES - TAG_BYTES);
            let is_mac1 = bit / 8 >= LOGIN_BYTES - TAG_BYTES;
            assert_eq!(admit(&signed(forged)).is_err(), !is_mac1, "bit {bit}, mac1 made again");
        }
    }
}

/// §12.4.1, §10.2.2.
#[test]
fn a_flip_of_any_bit_of_the_answer_is_refused() {
    for mode in MODES {
        let resume = || resume(&kept(Suite::Gcm256), Said::plainly(mode));
        let Admitted { answer, .. } = admit(&resume().1).expect("honest");
        for bit in 0..answer.len() * 8 {
            assert!(resume().0.finish(&flipped(&answer, bit), 0).is_err(), "bit {bit}");
        }
        for bytes in 0..answer.len() {
            assert!(resume().0.finish(&answer[..bytes], 0).is_err(), "{bytes} bytes");
        }
        assert!(resume().0.finish(&answer, 0).is_ok());
    }
}

#[test]
fn the_reasons_are_those_of_the_order() {
    let frame_of = |mode| resume(&kept(Suite::Gcm256), Said::plainly(mode)).1;
    let with = |mode, at: usize, byte: u8| {
        let mut forged = frame_of(mode)[..LOGIN_BYTES - TAG_BYTES].to_vec();
        forged[at] ^= byte;
        admit(&signed(forged)).err()
    };
    let (dh, psk) = (Mode::DiffieHellman, Mode::PskAlone);
    let ticket_length = HEADER_BYTES + 1 + 64;
    for (case, mode, at, expected) in [
        ("mode 3", psk, 15, Reject::Field),
        ("cookie bytes", dh, HEADER_BYTES, Reject::Field),
        ("ticket bytes", dh, ticket_length + 1, Reject::Field),
        ("padding", dh, LOGIN_BYTES - 33, Reject::Field),
        ("ticket version", dh, ticket_length + 2, Reject::Ticket),
        ("ticket key id", dh, ticket_length + 3, Reject::Ticket),
        ("ticket", dh, ticket_length + 60, Reject::Ticket),
        ("nonce_c", dh, HEADER_BYTES + 1, Reject::Binder),
        ("e_c", dh, HEADER_BYTES + 33, Reject::Binder),
        ("login id", dh, 21, Reject::Binder),
        ("binder", dh, LOGIN_BYTES - 17, Reject::Binder),
    ] {
        assert_eq!(with(mode, at, 1), Some(expected), "{case}");
    }
    let mut unsigned = frame_of(dh);
    unsigned[511] ^= 1;
    assert_eq!(admit(&unsigned).err(), Some(Reject::Mac1), "before everything");
    let (_, hello) = support::hello(&[Suite::Gcm256]);
    assert_eq!(Resume::parse(&hello).err(), Some(Reject::Kind));
}

#[test]
fn a_resume_of_another_length_is_refused() {
    let (_, frame) = resume(&kept(Suite::Gcm256), Said::plainly(Mode::PskAlone));
    for bytes in [44, 200, 511, 513, 600] {
        let mut other = frame.to_vec();
        other.resize(bytes - TAG_BYTES, 0);
        other[..2].copy_from_slice(&(bytes as u16 - 2).to_be_bytes());
        assert_eq!(admit(&signed(other)).err(), Some(Reject::Field), "{bytes} bytes");
    }
}

/// §12.3.2.
#[test]
fn psk_alone_is_refused_where_the_ticket_does_not_allow_it() {
    let terms = mvt_proto::ticket::Terms {
        suite: Suite::Gcm256,
        client: mvt_proto::ClientId::of_name("alice"),
        authenticated_ms: ORIGIN_MS,
        generation: 0,
        psk_alone: false,
        life_ms: 3_600_000,
    };
    let ticket = ring().issue(&terms, &secret(0x25), &[4; 24], ORIGIN_MS).expect("sealed");
    let strict = Kept { ticket, ..kept(Suite::Gcm256) };
    assert!(admit(&resume(&strict, Said::plainly(Mode::DiffieHellman)).1).is_ok());
    let refused = admit(&resume(&strict, Said::plainly(Mode::PskAlone)).1);
    assert_eq!(refused.err(), Some(Reject::Binder));
}

/// A stolen ticket without its secret is worth nothing.
#[test]
fn a_ticket_without_its_secret_is_refused() {
    let thief = Kept { resume_secret: secret(0x26), ..kept(Suite::Gcm256) };
    for mode in MODES {
        assert_eq!(admit(&resume(&thief, Said::plainly(mode)).1).err(), Some(Reject::Binder));
    }
}

/// §10.3.1, §12.4.4 (CASES H-01). The client can bind any point it likes.
#[test]
fn low_order_and_non_canonical_points_end_a_resume_on_both_sides() {
    let kept = kept(Suite::Gcm256);
    let (_, honest) = resume(&kept, Said::plainly(Mode::DiffieHellman));
    let (_, second) = resume(&kept, Said::plainly(Mode::DiffieHellman));
    assert_eq!(honest, second);
    for point in bad_points().into_iter().chain(with_top_bit()) {
        let mut bound = honest[..LOGIN_BYTES - 2 * TAG_BYTES].to_vec();
        bound[HEADER_BYTES + 33..HEADER_BYTES + 65].copy_from_slice(&point);
        let key = mvt_proto::schedule::label(&kept.resume_secret, "binder", &[]);
        let mac = mvt_lanes::mac(&mvt_lanes::HmacKey::new(key.expose()), &[&[0][..], &bound].concat());
        bound.extend_from_slice(&mac[..TAG_BYTES]);
        assert_eq!(admit(&signed(bound)).err(), Some(Reject::Binder), "e_c = {point:x?}");

        let Admitted { mut answer, .. } = admit(&honest).expect("honest");
        answer[HEADER_BYTES + 32..HEADER_BYTES + 64].copy_from_slice(&point);
        let (initiator, _) = resume(&kept, Said::plainly(Mode::DiffieHellman));
        assert!(initiator.finish(&answer, 0).is_err(), "e_s = {point:x?}");
    }
}

#[test]
fn a_resume_cannot_be_relayed_onto_another_connection() {
    let (here, there) = ([1u8; 32], [2u8; 32]);
    for mode in MODES {
        let said = Said { channel_binding: &here, ..Said::plainly(mode) };
        let (_, frame) = resume(&kept(Suite::Gcm256), said);
        for binding in [&there[..], &[], &here[..31]] {
            let refused = admit_with(&frame, &ring(), binding, 0xe2);
            assert_eq!(refused.err(), Some(Reject::Binder));
        }
        let Admitted { answer, .. } = admit_with(&frame, &ring(), &here, 0xe2).expect("its own connection");
        assert!(resume(&kept(Suite::Gcm256), said).0.finish(&answer, 0).is_ok());
    }
}

/// §12.4.1.
#[test]
fn a_grant_of_another_suite_than_the_old_session_is_refused() {
    let (_, frame) = resume(&kept(Suite::Gcm256), Said::plainly(Mode::DiffieHellman));
    let Admitted { answer, .. } = admit(&frame).expect("honest");
    // The same ticket and secret, but the client remembers the other suite.
    let mistaken = Kept { suite: Suite::Hs256, ..kept(Suite::Gcm256) };
    let (initiator, same) = resume(&mistaken, Said::plainly(Mode::DiffieHellman));
    assert_eq!(same, frame);
    assert_eq!(initiator.finish(&answer, 0).err(), Some(Reject::Field));
}

#[test]
#[should_panic(expected = "a session keeps its suite")]
fn a_server_grants_no_other_suite() {
    let (_, frame) = resume(&kept(Suite::Gcm256), Said::plainly(Mode::DiffieHellman));
    let opened = mvt_proto::resume::Opened::open(Resume::parse(&frame).unwrap(), &ring(), ORIGIN_MS).unwrap();
    let responder = opened.verify(&[]).unwrap();
    let _ = responder.admit(&grant(Suite::Hs256, Limits::DEFAULT), &secret(1), &secret(2));
}

#[test]
fn an_answer_to_another_resume_is_refused() {
    for mode in MODES {
        let kept = kept(Suite::Gcm256);
        let (_, frame) = resume(&kept, Said::plainly(mode));
        let Admitted { answer, .. } = admit(&frame).expect("honest");
        let (other, _) = resume(&kept, Said { random: 0xe5, ..Said::plainly(mode) });
        assert_eq!(other.finish(&answer, 0).err(), Some(Reject::BadTag));
        let (other, _) = resume(&kept, Said { login_id: 43, ..Said::plainly(mode) });
        assert_eq!(other.finish(&answer, 0).err(), Some(Reject::Field));
        let (initiator, back) = resume(&kept, Said::plainly(mode));
        assert_eq!(initiator.finish(&back, 0).err(), Some(Reject::Kind), "its own frame (CASES H-13)");
    }
}

/// §14: the cookie and the RETRY serve a RESUME as they serve a HELLO.
#[test]
fn a_resume_follows_a_cookie() {
    let (secret_now, address) = (CookieSecret::new(secret(0x60)), [127, 0, 0, 1, 0x1f, 0x90]);
    let mac1 = Mac1::new(server_identity().public());
    let (initiator, frame) = resume(&kept(Suite::Gcm256), Said::plainly(Mode::DiffieHellman));
    assert!(!secret_now.accepts(&frame, &address));
    let retry = Retry::Cookie(secret_now.cookie(&frame, &address)).to_frame(&frame, &mac1);
    assert!(retry.len() <= frame.len());
    let Ok(Retry::Cookie(cookie)) = initiator.retry(&retry) else { panic!("a cookie") };
    let said = Said { cookie: Some(&cookie), random: 0xe7, ..Said::plainly(Mode::DiffieHellman) };
    let (_, again) = resume(&kept(Suite::Gcm256), said);
    assert!(secret_now.accepts(&again, &address));
    assert!(admit(&again).is_ok());
    let (_, hello) = support::hello_with_cookie(42, Some(cookie));
    assert!(!secret_now.accepts(&hello, &address), "a cookie for a RESUME is none for a HELLO");
}

#[test]
fn what_a_client_keeps_is_read_back_and_not_printed() {
    let kept = kept(Suite::Hs256);
    let bytes = kept.to_bytes();
    let read = Kept::from_bytes(&bytes).expect("read back");
    assert_eq!((read.ticket, read.suite), (kept.ticket, kept.suite));
    assert_eq!(read.resume_secret.expose(), kept.resume_secret.expose());
    for length in 0..bytes.len() {
        assert_eq!(Kept::from_bytes(&bytes[..length]).err(), Some(Reject::Field), "{length} bytes");
    }
    assert_eq!(Kept::from_bytes(&[&bytes[..], &[0]].concat()).err(), Some(Reject::Field));
    let (initiator, frame) = resume(&kept, Said::plainly(Mode::DiffieHellman));
    for text in [format!("{kept:?}"), format!("{initiator:?}")] {
        assert!(text.contains("[redacted]") && !text.contains("37, 37, 37"), "{text}");
    }
    let header = Header::parse(&frame, Role::Server).expect("well formed");
    assert_eq!(header.kind, Kind::Resume);
}

#[test]
fn a_ring_of_other_keys_opens_no_resume() {
    let key = TicketKey::new(&[0x4c; 32]).expect("a key");
    let other = TicketRing::new(vec![RingedKey { key, seal_from_ms: 0, open_until_ms: ORIGIN_MS + 9 }])
        .expect("a ring");
    let (_, frame) = resume(&kept(Suite::Gcm256), Said::plainly(Mode::DiffieHellman));
    assert_eq!(admit_with(&frame, &other, &[], 0xe2).err(), Some(Reject::Ticket));
}
