//! Label derivation (§1).

use super::hkdf::{array, expand};

/// `Label(k, l, c, n)`.
pub fn label(key: &[u8], label: &str, context: &[u8], bytes: usize) -> Vec<u8> {
    let name = format!("mvt1 {label}");
    let mut info = Vec::new();
    info.extend_from_slice(&u16::try_from(bytes).expect("n is a u16").to_be_bytes());
    info.push(u8::try_from(name.len()).expect("a label is at most 250 bytes"));
    info.extend_from_slice(name.as_bytes());
    info.push(u8::try_from(context.len()).expect("a context is at most 255 bytes"));
    info.extend_from_slice(context);
    expand(key, &info, bytes)
}

/// [`label`] of 32 bytes.
pub fn label32(key: &[u8], name: &str, context: &[u8]) -> [u8; 32] {
    array(&label(key, name, context, 32))
}
