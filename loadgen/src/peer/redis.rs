//! Redis: GET over RESP2.

use super::exchange::{Cut, Exchange, decimal, first_line, unfinished, wrong};

/// GET of one key that holds one value.
#[derive(Debug)]
pub struct Get {
    request: Vec<u8>,
    right: Vec<u8>,
}

impl Get {
    /// GET of `key`, which must give `value`.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self {
            request: format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len()).into_bytes(),
            right: format!("${}\r\n{value}\r\n", value.len()).into_bytes(),
        }
    }
}

impl Exchange for Get {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        if bytes.starts_with(&self.right) {
            return Cut::Right(self.right.len());
        }
        let Some((line, after)) = first_line(bytes) else { return unfinished(bytes) };
        match line.split_first() {
            Some((b'+' | b'-' | b':', _)) | Some((b'$', b"-1")) => wrong(bytes, after),
            Some((b'$', length)) => match decimal(length) {
                Some(length) => wrong(bytes, after.saturating_add(length).saturating_add(2)),
                None => Cut::Malformed,
            },
            _ => Cut::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::checks::cuts_alike_at_every_split;

    #[test]
    fn the_request_is_an_array_of_bulk_strings() {
        assert_eq!(Get::new("key", "v").request(), b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
    }

    #[test]
    fn answers_are_cut_alike_at_every_split() {
        let answers: [(&[u8], bool); 7] = [
            (b"$4\r\nfour\r\n", true),
            (b"$4\r\nfive\r\n", false),
            (b"$-1\r\n", false),
            (b"$6\r\nfo\r\nur\r\n", false),
            (b"-ERR no\r\n", false),
            (b"+OK\r\n", false),
            (b"$4\r\nfour\r\n", true),
        ];
        cuts_alike_at_every_split(&Get::new("key", "four"), &answers);
    }

    #[test]
    fn what_is_not_resp2_is_malformed() {
        let get = Get::new("key", "four");
        for bytes in [&b"VA 4\r\n"[..], b"$x\r\n", b"\r\n", b"$99999999999999999999\r\n", b"$5000\r\n"] {
            assert_eq!(get.cut(bytes), Cut::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(get.cut(&[b'-'; 5_000]), Cut::Malformed);
    }
}
