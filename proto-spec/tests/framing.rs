//! Bytes to frames: what is judged, when, and what is refused (SPEC §3).

mod support;

use mvt_proto::{
    Flags, Header, Kind, Limits, Reject, Role, Suite,
    constants::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, LENGTH_MAX, LENGTH_MIN},
    frame::{hello::Hello, retry::Retry},
    framer::{Cut, cut},
    login::Mac1,
};
use proptest::prelude::*;
use support::{Pair, flipped, hello, lost_keys, server_identity};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Kinds a role receives with the flags each may carry: the tables of §3.1 and §3.2.4, of the kinds in force.
fn permitted(role: Role) -> &'static [(u8, u8)] {
    match role {
        Role::Server => &[(1, 0x0f), (4, 0x01), (8, 0), (11, 0), (13, 0)],
        Role::Client => {
            &[(2, 0x01), (3, 0x01), (4, 0x01), (6, 0), (9, 0), (10, 0), (12, 0), (14, 0), (15, 0)]
        }
    }
}

/// A header of this kind with every field it must not use at 0, and the others not.
fn header(kind: Kind, payload_bytes: usize) -> Header {
    let (key_id, generation, op, counter, timestamp) = match kind {
        Kind::Req | Kind::Resp | Kind::Err => (7, 1, 3, 5, 9),
        Kind::Ctl => (7, 1, 1, 0, 9),
        Kind::Lost | Kind::Verdicts => (7, 1, 0, 5, 9),
        Kind::Hello | Kind::Retry | Kind::Resume | Kind::Recover => (0, 0, 1, 5, 0),
        Kind::HelloR | Kind::ResumeR | Kind::RecoverR => (0, 0, 0, 5, 0),
    };
    let flags = Flags(0);
    Header { kind, flags, key_id, generation, op, counter, timestamp, payload_bytes }
}

fn frame_of(header: &Header) -> Vec<u8> {
    let mut frame = header.to_bytes().to_vec();
    frame.resize(header.frame_bytes(), 0xa5);
    frame
}

const KINDS: [(Kind, Role); 14] = [
    (Kind::Ctl, Role::Server),
    (Kind::Ctl, Role::Client),
    (Kind::Req, Role::Server),
    (Kind::Hello, Role::Server),
    (Kind::Resume, Role::Server),
    (Kind::Recover, Role::Server),
    (Kind::Resp, Role::Client),
    (Kind::Err, Role::Client),
    (Kind::HelloR, Role::Client),
    (Kind::Verdicts, Role::Client),
    (Kind::ResumeR, Role::Client),
    (Kind::RecoverR, Role::Client),
    (Kind::Retry, Role::Client),
    (Kind::Lost, Role::Client),
];

/// What a connection makes of `chunks`: its frames and how it ended.
fn receive<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, role: Role) -> (Vec<Vec<u8>>, Option<Reject>) {
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match cut(&buffer, role) {
                Ok(Cut::Frame(bytes)) => frames.push(buffer.drain(..bytes).collect()),
                Ok(Cut::Need(bytes)) => {
                    assert!(bytes > buffer.len(), "what is needed is more than what is there");
                    break;
                }
                Err(reject) => return (frames, Some(reject)),
            }
        }
    }
    (frames, None)
}

fn stream() -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut pair = Pair::new(Suite::Gcm256, Limits::DEFAULT);
    let frames = vec![
        pair.request(b"", 1).1,
        hello(&[Suite::Hs256]).1.to_vec(),
        pair.request(&[1; 20], 2).1,
        pair.request(&[2; 300], 3).1,
    ];
    let joined = frames.concat();
    (frames, joined)
}

#[test]
fn every_length_is_judged_from_its_two_bytes_alone() {
    for role in ROLES {
        assert_eq!(cut(&[], role), Ok(Cut::Need(2)));
        for length in 0..=0xffffu16 {
            let bytes = length.to_be_bytes();
            assert_eq!(cut(&bytes[..1], role), Ok(Cut::Need(2)));
            let expected = if (LENGTH_MIN..=LENGTH_MAX).contains(&usize::from(length)) {
                Ok(Cut::Need(usize::from(length) + 2))
            } else {
                Err(Reject::Length)
            };
            assert_eq!(cut(&bytes, role), expected, "{length}");
            // Whatever follows a bad length is not looked at.
            let more = [bytes[0], bytes[1], 0xff, 0xff];
            assert_eq!(cut(&more, role) == Err(Reject::Length), expected.is_err(), "{length}");
        }
    }
}

#[test]
fn every_version_kind_and_flag_byte_is_judged_as_the_tables_say() {
    for role in ROLES {
        for (version_kind, flags) in
            (0..=255u8).flat_map(|first| (0..=255u8).map(move |second| (first, second)))
        {
            let row = permitted(role).iter().find(|(kind, _)| *kind == version_kind & 15);
            let expected = match row {
                _ if version_kind >> 4 != 1 => Err(Reject::Version),
                None => Err(Reject::Kind),
                Some((_, permitted)) if flags & !permitted != 0 => Err(Reject::Flags),
                // `ack` and `last`: never both.
                Some(_) if flags & 0x06 == 0x06 => Err(Reject::Flags),
                Some(_) => Ok(Cut::Need(FRAME_BYTES_MIN)),
            };
            let start = [0, LENGTH_MIN as u8, version_kind, flags];
            assert_eq!(cut(&start, role), expected, "{version_kind:#x} {flags:#x} {role:?}");
            let mut frame = [0u8; FRAME_BYTES_MIN];
            frame[..4].copy_from_slice(&start);
            let parsed = Header::parse(&frame, role);
            match expected {
                Err(reject) => assert_eq!(parsed, Err(reject)),
                Ok(_) => assert!(!matches!(parsed, Err(Reject::Version | Reject::Kind | Reject::Flags))),
            }
        }
    }
}

#[test]
fn a_stream_means_the_same_however_it_is_split() {
    let (frames, joined) = stream();
    assert_eq!(receive([&joined[..]], Role::Server), (frames.clone(), None));
    assert_eq!(receive(joined.chunks(1), Role::Server), (frames.clone(), None));
    for at in 0..=joined.len() {
        let (first, second) = joined.split_at(at);
        assert_eq!(receive([first, second], Role::Server), (frames.clone(), None), "split at {at}");
    }
}

proptest! {
    #[test]
    fn a_stream_means_the_same_in_pieces_of_any_size(sizes in prop::collection::vec(1usize..700, 1..60)) {
        let (frames, joined) = stream();
        let mut pieces = Vec::new();
        let mut rest = &joined[..];
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(receive(pieces, Role::Server), (frames, None));
    }
}

#[test]
fn a_truncated_tail_has_no_effect() {
    let (frames, joined) = stream();
    let last = frames.last().expect("frames").len();
    for missing in 1..=last {
        let (whole, end) = receive([&joined[..joined.len() - missing]], Role::Server);
        assert_eq!((&whole[..], end), (&frames[..frames.len() - 1], None), "{missing} bytes missing");
    }
}

#[test]
fn frames_before_a_refused_one_are_cut_first() {
    let (frames, mut joined) = stream();
    for (bad, reject) in [
        (&[0u8, 41][..], Reject::Length),
        (&[0xff, 0xff], Reject::Length),
        (&[0, 42, 0x21, 0], Reject::Version),
        (&[0, 42, 0x12, 0], Reject::Kind),
        (&[0, 42, 0x11, 0x80], Reject::Flags),
    ] {
        let good = joined.len();
        joined.extend_from_slice(bad);
        assert_eq!(receive([&joined[..]], Role::Server), (frames.clone(), Some(reject)));
        assert_eq!(receive(joined.chunks(1), Role::Server), (frames.clone(), Some(reject)));
        joined.truncate(good);
    }
}

#[test]
fn the_header_of_every_kind_is_read_as_written() {
    for (kind, role) in KINDS {
        for payload_bytes in [0, 1, 16_384] {
            let header = header(kind, payload_bytes);
            let expected = if payload_bytes > 0 && matches!(kind, Kind::Err | Kind::Lost) {
                Err(Reject::Field)
            } else {
                Ok(header)
            };
            assert_eq!(Header::parse(&frame_of(&header), role), expected);
        }
    }
    assert_eq!(frame_of(&header(Kind::Req, 16_384)).len(), FRAME_BYTES_MAX);
}

#[test]
fn a_field_that_its_kind_does_not_use_must_be_zero() {
    // Offset, bytes, and the kinds that use it.
    let fields: [(usize, usize, &[Kind]); 4] = [
        (4, 8, &[Kind::Req, Kind::Resp, Kind::Err, Kind::Ctl, Kind::Verdicts, Kind::Lost]),
        (12, 2, &[Kind::Req, Kind::Resp, Kind::Err, Kind::Ctl, Kind::Verdicts, Kind::Lost]),
        (
            14,
            2,
            &[
                Kind::Req,
                Kind::Resp,
                Kind::Err,
                Kind::Ctl,
                Kind::Hello,
                Kind::Retry,
                Kind::Resume,
                Kind::Recover,
            ],
        ),
        (22, 6, &[Kind::Req, Kind::Resp, Kind::Err, Kind::Ctl, Kind::Verdicts, Kind::Lost]),
    ];
    for (kind, role) in KINDS {
        let frame = frame_of(&header(kind, 0));
        for (offset, bytes, users) in fields {
            for bit in offset * 8..(offset + bytes) * 8 {
                let parsed = Header::parse(&flipped(&frame, bit), role);
                // A used key id must not become 0 either; no single flip of 7 does that.
                let expected = if users.contains(&kind) { Ok(()) } else { Err(Reject::Field) };
                assert_eq!(parsed.map(|_| ()), expected, "{kind:?} bit {bit}");
            }
        }
        for bit in 16 * 8..22 * 8 {
            let expected = if kind == Kind::Ctl { Err(Reject::Field) } else { Ok(()) };
            assert_eq!(
                Header::parse(&flipped(&frame, bit), role).map(|_| ()),
                expected,
                "{kind:?} bit {bit}"
            );
        }
    }
}

#[test]
fn key_id_zero_names_no_session() {
    for (kind, role) in KINDS {
        let mut header = header(kind, 0);
        if header.key_id != 0 {
            header.key_id = 0;
            assert_eq!(Header::parse(&frame_of(&header), role), Err(Reject::Field), "{kind:?}");
        }
    }
}

/// §3.2.7: nothing offers generation 0.
#[test]
fn ack_in_generation_0_is_refused() {
    let mut header = header(Kind::Req, 0);
    header.flags = header.flags.with(Flags::ACK);
    assert_eq!(Header::parse(&frame_of(&header), Role::Server), Ok(header));
    header.generation = 0;
    assert_eq!(Header::parse(&frame_of(&header), Role::Server), Err(Reject::Field));
    header.flags = Flags(Flags::LAST);
    assert_eq!(Header::parse(&frame_of(&header), Role::Server), Ok(header));
}

#[test]
fn a_frame_that_is_not_as_long_as_it_says_is_refused() {
    let frame = frame_of(&header(Kind::Req, 20));
    for bytes in 0..frame.len() {
        assert_eq!(Header::parse(&frame[..bytes], Role::Server), Err(Reject::Length), "{bytes}");
    }
    let longer = [&frame[..], &[0]].concat();
    assert_eq!(Header::parse(&longer, Role::Server), Err(Reject::Length));
    assert_eq!(Header::parse(&vec![0; FRAME_BYTES_MAX + 1], Role::Server), Err(Reject::Length));
}

#[test]
fn no_kind_but_ctl_is_received_by_both_roles() {
    for (kind, role) in KINDS.into_iter().filter(|(kind, _)| *kind != Kind::Ctl) {
        let other = if role == Role::Client { Role::Server } else { Role::Client };
        assert_eq!(Header::parse(&frame_of(&header(kind, 0)), other), Err(Reject::Kind), "{kind:?}");
    }
}

/// Arbitrary bytes, often with a plausible start so that they get past the first judgements.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..600);
    let kinds = prop::sample::select(vec![1u8, 2, 3, 4, 6, 8, 9, 10, 15]);
    let plausible = (bytes(), kinds, any::<bool>()).prop_map(|(mut bytes, kind, zeroed)| {
        bytes.resize(bytes.len().max(FRAME_BYTES_MIN), 0);
        let length = bytes.len() as u16 - 2;
        bytes[..2].copy_from_slice(&length.to_be_bytes());
        bytes[2] = 0x10 | kind;
        bytes[3] = 0;
        if zeroed {
            bytes[4..16].fill(0);
            bytes[22..28].fill(0);
            bytes[15] = 1;
        }
        bytes
    });
    prop_oneof![bytes(), plausible]
}

/// A HELLO of the right length and header, its lists and Noise message arbitrary.
fn hostile_hello() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 512), 0u8..18, 0u8..10).prop_map(|(mut bytes, cookie, suites)| {
        bytes[..28].copy_from_slice(&hello(&[Suite::Hs256]).1[..28]);
        bytes[28] = cookie;
        bytes[29 + usize::from(cookie)] = suites;
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_panic_a_decoder(bytes in prop_oneof![hostile(), hostile_hello()]) {
        for role in ROLES {
            if let Ok(Cut::Frame(length)) = cut(&bytes, role) {
                let _ = Header::parse(&bytes[..length], role);
            }
            if let Ok(header) = Header::parse(&bytes, role) {
                prop_assert_eq!(&header.to_bytes()[..], &bytes[..28]);
            }
        }
        if let Ok(hello) = Hello::parse(&bytes) {
            prop_assert_eq!(hello.plain.len() + hello.noise.len() + 16, 512);
        }
        let mac1 = Mac1::new(server_identity().public());
        prop_assert!(Retry::parse(&bytes, 42, &[0; 16], &mac1).is_err());
        prop_assert!(hello(&[Suite::Hs256]).0.finish(&bytes, 0).is_err());
        prop_assert!(hello(&[Suite::Hs256]).0.retry(&bytes).is_err());
    }

    #[test]
    fn no_bytes_panic_a_server(mut bytes in hostile()) {
        let mut pair = Pair::new(Suite::Hs256, Limits::DEFAULT);
        prop_assert!(pair.serve(&mut bytes, 5).is_err());
        if Header::parse(&bytes, Role::Server).is_ok_and(|header| header.kind == Kind::Req) {
            prop_assert_eq!(lost_keys().answer(&bytes, true).len(), FRAME_BYTES_MIN);
        }
    }

    #[test]
    fn no_bytes_panic_a_waiting_client(mut bytes in hostile()) {
        let mut pair = Pair::new(Suite::Gcm256, Limits::DEFAULT);
        let (pending, _) = pair.request(b"", 5);
        prop_assert!(pair.answer(&pending, &mut bytes, 5).is_err());
    }
}
