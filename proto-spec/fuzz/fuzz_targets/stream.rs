//! A stream cut in two is the stream uncut. The first two bytes say where.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::{
    Reject, Role,
    framer::{Cut, cut},
};

fn receive(chunks: &[&[u8]]) -> (Vec<usize>, Option<Reject>) {
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match cut(&buffer, Role::Server) {
                Ok(Cut::Frame(bytes)) => {
                    buffer.drain(..bytes);
                    frames.push(bytes);
                }
                Ok(Cut::Need(bytes)) => {
                    assert!(bytes > buffer.len());
                    break;
                }
                Err(reject) => return (frames, Some(reject)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|bytes: &[u8]| {
    let [high, low, stream @ ..] = bytes else { return };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % (stream.len() + 1);
    let (first, second) = stream.split_at(at);
    assert_eq!(receive(&[stream]), receive(&[first, second]));
});
