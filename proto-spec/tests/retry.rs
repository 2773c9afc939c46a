//! RETRY and cookies: what a server may ask before it works on a login (SPEC §14).

mod support;

use mvt_proto::{
    Reject, Suite,
    frame::{hello::Hello, retry::Retry},
    login::{CookieSecret, Mac1},
};
use support::{flipped, hello_with, hello_with_cookie, read_hello, secret, server_identity};

const GCM: &[Suite] = &[Suite::Gcm256];

#[test]
fn a_cookie_is_bound_to_address_port_header_and_secret() {
    let secret_now = CookieSecret::new(secret(0x60));
    let address = [127, 0, 0, 1, 0x1f, 0x90];
    let (_, first) = hello_with_cookie(42, None);
    assert!(!secret_now.accepts(&first, &address), "no cookie yet");
    let cookie = secret_now.cookie(&first, &address);

    let (_, second) = hello_with_cookie(42, Some(cookie));
    let hello = Hello::parse(&second).unwrap();
    assert_eq!(hello.cookie, Some(&cookie));
    assert!(secret_now.accepts(&second, &address));
    assert!(!secret_now.accepts(&second, &[127, 0, 0, 2, 0x1f, 0x90]), "other address");
    assert!(!secret_now.accepts(&second, &[127, 0, 0, 1, 0x1f, 0x91]), "other port");
    assert!(!secret_now.accepts(&second, &address[..5]), "shorter address");
    assert!(!CookieSecret::new(secret(0x61)).accepts(&second, &address), "other secret");

    let (_, other_login) = hello_with_cookie(43, Some(cookie));
    assert!(!secret_now.accepts(&other_login, &address), "other header");
    for bit in 0..128 {
        let forged: [u8; 16] = flipped(&cookie, bit).try_into().unwrap();
        let (_, frame) = hello_with_cookie(42, Some(forged));
        assert!(!secret_now.accepts(&frame, &address), "bit {bit}");
    }
    assert!(read_hello(&second).is_ok(), "a HELLO with a cookie is a HELLO");
}

#[test]
fn a_retry_is_believed_only_by_the_hello_it_answers() {
    let mac1 = Mac1::new(server_identity().public());
    for retry in [Retry::Cookie([7; 16]), Retry::Busy(1_500)] {
        let (initiator, frame) = hello_with_cookie(42, None);
        let answer = retry.to_frame(&frame, &mac1);
        assert!(answer.len() <= frame.len());
        assert_eq!(initiator.retry(&answer), Ok(retry));

        let (same_id, _) = hello_with(GCM, &[], 0xe7);
        assert_eq!(same_id.retry(&answer), Err(Reject::BadTag), "another HELLO of the same login id");
        assert_eq!(hello_with_cookie(43, None).0.retry(&answer), Err(Reject::BadTag), "another login id");
        let forged =
            retry.to_frame(&frame, &Mac1::new(mvt_proto::login::Identity::new(secret(0x99)).public()));
        assert_eq!(initiator.retry(&forged), Err(Reject::BadTag), "by one who does not know the server");
        for bit in 0..answer.len() * 8 {
            assert!(initiator.retry(&flipped(&answer, bit)).is_err(), "bit {bit}");
        }
        // It goes on waiting: nothing of this has ended the login.
        assert_eq!(initiator.retry(&answer), Ok(retry));
        assert_eq!(initiator.finish(&answer, 0).err(), Some(Reject::Kind), "a RETRY is not a HELLO_R");
    }
}
