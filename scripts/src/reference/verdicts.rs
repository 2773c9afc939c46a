//! One answer for many requests (§7.4).

use super::{
    frame::{Header, SEALED, kind_named, parts},
    hkdf::hmac16,
    reject::Reject,
    suite::{Suite, gcm_nonce, gcm_seal},
};

/// A request a client waits for.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its counter.
    pub counter: u64,
    /// Whether it carried `joint`.
    pub joint: bool,
    /// Its key.
    pub k_req: [u8; 32],
    /// Its tag.
    pub tag: Vec<u8>,
}

fn tag(suite: Suite, k_req: &[u8; 32], header: &[u8], payload: &[u8], request_tags: &[u8]) -> Vec<u8> {
    match suite {
        Suite::Hs256 => hmac16(k_req, &[header, payload, request_tags]).to_vec(),
        Suite::Gcm256 => gcm_seal(k_req, gcm_nonce(header), &[header, payload, request_tags].concat(), b""),
    }
}

/// The frame with this payload, under the key of the first request, bound to the tags of all.
pub fn seal(suite: Suite, k_req: &[u8; 32], header: Header, payload: &[u8], request_tags: &[u8]) -> Vec<u8> {
    let kind = kind_named("VERDICTS").expect("a kind of §3.1").number;
    let header = Header { kind, flags: 0, op: 0, ..header }.encode(payload.len());
    let tag = tag(suite, k_req, &header, payload, request_tags);
    [&header[..], payload, &tag].concat()
}

/// An entry: counter, status.
pub fn entry(counter: u64, status: u16) -> [u8; 8] {
    (counter << 16 | u64::from(status)).to_be_bytes()
}

/// What a client believes of a frame: counters and statuses (7.4.2).
pub fn open(
    suite: Suite,
    names: (u64, u16),
    waiting: &[Waiting],
    frame: &[u8],
) -> Result<Vec<(u64, u16)>, Reject> {
    let (header_bytes, payload, sealed) = parts(frame);
    let header = Header::decode(frame);
    assert_eq!(header.flags & SEALED, 0, "the caller judged the header");
    let entries: Vec<(u64, u16)> = payload
        .chunks_exact(8)
        .map(|bytes| {
            let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            (number >> 16, (number & 0xffff) as u16)
        })
        .collect();
    let is_whole = payload.len() % 8 == 0 && (2..=128).contains(&entries.len());
    let ascends = entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let begins = entries.first().is_some_and(|(counter, _)| *counter == header.counter);
    if !is_whole || !ascends || !begins || (header.key_id, header.generation) != names {
        return Err(Reject::Field);
    }
    let mut tags = Vec::new();
    let mut first = None;
    for (counter, _) in &entries {
        let request = waiting.iter().find(|request| request.counter == *counter && request.joint);
        let request = request.ok_or(Reject::Field)?;
        tags.extend_from_slice(&request.tag);
        first = first.or(Some(request.k_req));
    }
    let k_req = first.ok_or(Reject::Field)?;
    if tag(suite, &k_req, header_bytes, payload, &tags) == sealed { Ok(entries) } else { Err(Reject::BadTag) }
}
