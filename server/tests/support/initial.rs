//! A client's first QUIC packet, made by hand: everything in it may be wrong.

use std::sync::Arc;

use rustls::{
    crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    pki_types::ServerName,
    quic::{ClientConnection, Connection, Keys, Version},
};

/// What RFC 9000 §14.1 demands at least.
const INITIAL_BYTES: usize = 1200;
/// Bytes of the packet number we write.
const NUMBER_BYTES: usize = 4;
/// Bytes of the packet's tag.
const TAG_BYTES: usize = 16;

/// An Initial packet whose ClientHello carries these bytes as transport parameters.
pub fn initial(id: [u8; 8], parameters: &[u8], config: rustls::ClientConfig) -> Vec<u8> {
    initial_with(&id, &[], parameters, config)
}

/// The same to any destination id, with the token of a Retry.
pub fn initial_with(id: &[u8], token: &[u8], parameters: &[u8], config: rustls::ClientConfig) -> Vec<u8> {
    let name = ServerName::try_from("mvt").expect("a name");
    let client =
        ClientConnection::new(Arc::new(config), Version::V1, name, parameters.to_vec()).expect("a client");
    let mut hello = Vec::new();
    Connection::Client(client).write_hs(&mut hello);
    // CRYPTO, offset 0, then padding.
    let mut payload = vec![0x06, 0x00, 0x40 | (hello.len() >> 8) as u8, hello.len() as u8];
    payload.extend_from_slice(&hello);
    sealed(id, token, payload)
}

/// An Initial packet of these frames, padded and protected as its destination id demands.
pub fn protected(id: [u8; 8], payload: Vec<u8>) -> Vec<u8> {
    sealed(&id, &[], payload)
}

fn sealed(id: &[u8], token: &[u8], mut payload: Vec<u8>) -> Vec<u8> {
    let mut header = vec![0xc0 | (NUMBER_BYTES - 1) as u8, 0, 0, 0, 1, id.len() as u8];
    header.extend_from_slice(id);
    // No source id; the token with its length in two bytes; then the length, of two bytes, and the packet number.
    header.extend_from_slice(&[0, 0x40 | (token.len() >> 8) as u8, token.len() as u8]);
    header.extend_from_slice(token);
    let head = header.len() + 2 + NUMBER_BYTES;
    payload.resize(payload.len().max(INITIAL_BYTES - head - TAG_BYTES), 0);
    let length = NUMBER_BYTES + payload.len() + TAG_BYTES;
    header.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]);
    let number_at = header.len();
    header.extend_from_slice(&[0; NUMBER_BYTES]);
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is of TLS 1.3");
    let keys: Keys =
        Keys::initial(Version::V1, suite, suite.quic.expect("of QUIC"), id, rustls::Side::Client);
    let tag = keys.local.packet.encrypt_in_place(0, &header, &mut payload).expect("sealed");
    let mut packet = [&header[..], &payload, tag.as_ref()].concat();
    let (head, sample) = packet.split_at_mut(number_at + NUMBER_BYTES);
    let (first, rest) = head.split_at_mut(1);
    let number = &mut rest[number_at - 1..];
    keys.local.header.encrypt_in_place(&sample[..16], &mut first[0], number).expect("protected");
    packet
}
