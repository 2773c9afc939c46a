//! A RETRY, as is and with its tag made right: then it means what it says, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{frame::retry::Retry, login::Mac1};

fuzz_target!(|bytes: &[u8]| {
    let mac1 = Mac1::new(&[9; 32]);
    let mut hello = [0u8; 512];
    hello[496..].copy_from_slice(&[7; 16]);
    if let Ok(retry) = Retry::parse(bytes, 0, &[7; 16], &mac1) {
        assert_eq!(retry.to_frame(&hello, &mac1), bytes);
    }
    let retry = match bytes {
        [1, rest @ ..] if rest.len() >= 16 => Retry::Cookie(rest[..16].try_into().expect("16")),
        [_, a, b, c, d, ..] => Retry::Busy(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => return,
    };
    let frame = retry.to_frame(&hello, &mac1);
    assert_eq!(Retry::parse(&frame, 0, &[7; 16], &mac1), Ok(retry));
    assert!(Retry::parse(&frame, 1, &[7; 16], &mac1).is_err());
    assert!(Retry::parse(&frame, 0, &[8; 16], &mac1).is_err());
});
