//! HTTP/1.1: a GET with a bearer token, answered 200 when the token holds.

use super::exchange::{Cut, Exchange, decimal, first_line, unfinished, wrong};

/// GET of `/` with a JWT.
#[derive(Debug)]
pub struct BearerGet {
    request: Vec<u8>,
}

impl BearerGet {
    /// GET with `token`, which must give 200.
    #[must_use]
    pub fn new(token: &str) -> Self {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        Self { request: request.into_bytes() }
    }
}

impl Exchange for BearerGet {
    fn name(&self) -> &'static str {
        "http-bearer"
    }

    fn request(&self) -> &[u8] {
        &self.request
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        let Some((status_line, mut at)) = first_line(bytes) else { return unfinished(bytes) };
        let Some(status) = status_line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)) else {
            return Cut::Malformed;
        };
        let mut body_bytes = None;
        loop {
            let Some((field, length)) = first_line(&bytes[at..]) else { return unfinished(bytes) };
            at += length;
            if field.is_empty() {
                break;
            }
            let mut parts = field.splitn(2, |byte| *byte == b':');
            let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            if name.eq_ignore_ascii_case(b"content-length") {
                body_bytes = decimal(value.trim_ascii());
            }
        }
        // Without a length the answer would end with the connection, or be chunked: neither is expected here.
        let Some(body_bytes) = body_bytes else { return Cut::Malformed };
        match wrong(bytes, at.saturating_add(body_bytes)) {
            Cut::Wrong(length) if status == b"200" => Cut::Right(length),
            cut => cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::checks::cuts_alike_at_every_split;

    #[test]
    fn the_request_carries_the_token() {
        let get = BearerGet::new("a.b.c");
        let text = std::str::from_utf8(get.request()).unwrap();
        assert!(text.contains("\r\nAuthorization: Bearer a.b.c\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn answers_are_cut_alike_at_every_split() {
        let answers: [(&[u8], bool); 5] = [
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
            (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 9\r\n\r\nno\r\n\r\nway", false),
            (b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length:2\r\nc: d\r\n\r\nok", true),
            (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", false),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ];
        cuts_alike_at_every_split(&BearerGet::new("t"), &answers);
    }

    #[test]
    fn an_answer_without_a_length_is_malformed() {
        let get = BearerGet::new("t");
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n",
            b"SSH-2.0\r\n",
        ] {
            assert_eq!(get.cut(bytes), Cut::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
