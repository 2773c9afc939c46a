//! No `Debug` of a type that holds a secret prints a byte of it (CASES O-05).

mod support;

use core::fmt::Debug;

use mvt_proto::{
    Header, Limits, Role,
    keyfile::KeyFile,
    login::{CookieSecret, Offer},
    schedule::GenerationKeys,
    session::Granted,
    slot::SlotKeys,
    suite::RequestKey,
};
use support::{
    ORIGIN_MS, Pair, SLOT_MS, SUITES, client_identity, grant, hello, lost_key, lost_keys, read_hello, secret,
    server_identity,
};

/// The longest list of numbers in a debug text that is not one of the `public` byte strings; zeros, as of an empty
/// replay window, do not count.
fn longest_list(text: &str, public: &[&[u8]]) -> usize {
    let mut text = text.replace(['\n', ' '], "").replace(",]", "]");
    for bytes in public {
        text = text.replace(&format!("{bytes:?}").replace(' ', ""), "(public)");
    }
    text.split(|c: char| !c.is_ascii_digit() && c != ',')
        .map(|run| run.split(',').filter(|number| !matches!(*number, "" | "0")).count())
        .max()
        .unwrap_or(0)
}

/// Prints `value` in both ways and looks for byte strings, in decimal and in hexadecimal.
fn assert_redacted(value: &dyn Debug, public: &[&[u8]]) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(longest_list(&text, public) < 8, "{text}");
        let hexadecimal = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0);
        assert!(hexadecimal < 24, "{text}");
    }
}

#[test]
fn this_test_sees_bytes_when_they_are_printed() {
    assert_eq!(longest_list(&format!("{:?}", [7u8; 32]), &[]), 32);
    assert_eq!(longest_list(&format!("{:#?}", [7u8; 32]), &[]), 32);
    assert_eq!(longest_list(&format!("{:?}", [7u8; 32]), &[&[7; 32]]), 0);
}

#[test]
fn keys_do_not_print() {
    let public = *client_identity().public();
    assert_eq!(format!("{:?}", secret(7)), "[redacted]");
    assert_redacted(&client_identity(), &[&public]);
    let file = KeyFile { identity: client_identity(), reset_secret: Some(secret(4)) };
    assert!(format!("{file:?}").contains("[redacted]"));
    assert_redacted(&file, &[&public]);
    assert_redacted(&lost_key(), &[]);
    assert_redacted(&lost_keys(), &[]);
    assert_redacted(&CookieSecret::new(secret(5)), &[]);
    assert_redacted(&GenerationKeys::derive(secret(6), 7, 0), &[]);
    assert_redacted(&mvt_lanes::HmacKey::new(&[7; 32]), &[]);
    let slots = SlotKeys::new(secret(8), ORIGIN_MS);
    assert_redacted(&slots, &[]);
    assert_redacted(&slots.select(ORIGIN_MS + SLOT_MS).unwrap(), &[]);
    for suite in SUITES {
        assert_redacted(&RequestKey::new(suite, secret(9)), &[]);
    }
}

#[test]
fn logins_do_not_print() {
    let server = server_identity();
    for suite in SUITES {
        let (initiator, frame) = hello(&[suite]);
        let tag = &frame[496..];
        // mac1's key is made of the server's public key: known to everybody.
        let mac1 = format!("{:?}", mvt_proto::login::Mac1::new(server.public()));
        let text = format!("{initiator:?}").replace(&mac1, "");
        assert!(longest_list(&text, &[tag]) < 8, "{text}");

        let offer = Offer {
            server_public: server.public(),
            suites: &[suite],
            login_id: 1,
            cookie: None,
            channel_binding: &[],
        };
        assert_redacted(&offer, &[server.public()]);
        let responder = read_hello(&frame).unwrap();
        assert_redacted(&responder, &[client_identity().public()]);
        let terms = grant(suite, Limits::DEFAULT);
        assert_redacted(&terms, &[]);
        let admitted = responder.admit(&terms).unwrap();
        assert_redacted(&admitted, &[&admitted.answer]);
    }
}

#[test]
fn sessions_and_exchanges_do_not_print() {
    for suite in SUITES {
        let mut pair = Pair::new(suite, Limits::DEFAULT);
        let (pending, frame) = pair.request(b"", 5);
        let tag = &frame[28..];
        assert_redacted(&pending, &[tag, &frame[..28]]);
        assert_redacted(&pair.client, &[]);
        assert_redacted(&pair.server, &[]);
        let header = Header::parse(&frame, Role::Server).unwrap();
        let fresh = pair.server.check(&header, ORIGIN_MS + 5);
        assert_redacted(&fresh, &[]);
        let authentic = pair.server.open(fresh, &mut frame.clone()).unwrap();
        assert_redacted(&authentic, &[tag]);
        let exchange = pair.server.commit(authentic, ORIGIN_MS + 5).unwrap();
        assert_redacted(&exchange, &[tag]);
        let fresh = pair.server.check(&header, ORIGIN_MS + 5);
        let again = pair.server.open(fresh, &mut frame.clone()).unwrap();
        assert_redacted(&pair.server.commit(again, ORIGIN_MS + 5).unwrap_err(), &[tag]);
        let granted = Granted {
            key_id: 7,
            suite,
            limits: Limits::DEFAULT,
            server_time_ms: ORIGIN_MS,
            keys: support::keys(1, 0xab),
            lost_key: lost_key(),
        };
        assert_redacted(&granted, &[]);
    }
}
