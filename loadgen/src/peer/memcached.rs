//! Memcached: meta-get over the text protocol.

use super::exchange::{Cut, Exchange, decimal, first_line, unfinished, wrong};

/// `mg` of one key that holds one value.
#[derive(Debug)]
pub struct MetaGet {
    request: Vec<u8>,
    right: Vec<u8>,
}

impl MetaGet {
    /// `mg key v`, which must give `value`.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            request: format!("mg {key} v\r\n").into_bytes(),
            right: format!("VA {}\r\n{value}\r\n", value.len()).into_bytes(),
        }
    }
}

impl Exchange for MetaGet {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        if bytes.starts_with(&self.right) {
            return Cut::Right(self.right.len());
        }
        let Some((line, after)) = first_line(bytes) else { return unfinished(bytes) };
        let mut words = line.split(|byte| *byte == b' ');
        match words.next() {
            // A value with its flags behind the length.
            Some(b"VA") => match words.next().and_then(decimal) {
                Some(length) => wrong(bytes, after.saturating_add(length).saturating_add(2)),
                None => Cut::Malformed,
            },
            Some(b"EN" | b"HD" | b"NF" | b"NS" | b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR") => {
                wrong(bytes, after)
            }
            _ => Cut::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::checks::cuts_alike_at_every_split;

    #[test]
    fn the_request_asks_for_the_value_only() {
        assert_eq!(MetaGet::new("key", "v").request(), b"mg key v\r\n");
    }

    #[test]
    fn answers_are_cut_alike_at_every_split() {
        let answers: [(&[u8], bool); 7] = [
            (b"VA 4\r\nfour\r\n", true),
            (b"VA 4\r\nfive\r\n", false),
            (b"EN\r\n", false),
            (b"VA 4 t-1\r\nfour\r\n", false),
            (b"VA 2\r\n\r\n\r\n", false),
            (b"CLIENT_ERROR bad\r\n", false),
            (b"VA 4\r\nfour\r\n", true),
        ];
        cuts_alike_at_every_split(&MetaGet::new("key", "four"), &answers);
    }

    #[test]
    fn what_is_not_of_the_protocol_is_malformed() {
        let get = MetaGet::new("key", "four");
        for bytes in [&b"$4\r\n"[..], b"VA\r\n", b"VA x\r\n", b"VA 5000\r\n", b"\r\n"] {
            assert_eq!(get.cut(bytes), Cut::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
