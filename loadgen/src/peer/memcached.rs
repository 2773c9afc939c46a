//! Memcached: meta-get over the text protocol.

use super::{
    exchange::decimal,
    lines::{Form, Lookup},
};

/// `mg key v`, which must give `value`.
#[must_use]
pub fn meta_get(key: &str, value: &str) -> Lookup {
    let right = format!("VA {}\r\n{value}\r\n", value.len());
    Lookup::new("memcached-mg", format!("mg {key} v\r\n"), right, form)
}

fn form(line: &[u8]) -> Option<Form> {
    let mut words = line.split(|byte| *byte == b' ');
    match words.next()? {
        // A value with its flags behind the length.
        b"VA" => words.next().and_then(decimal).map(Form::Value),
        b"EN" | b"HD" | b"NF" | b"NS" | b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR" => Some(Form::Line),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::{Cut, Exchange as _, checks::cuts_alike_at_every_split};

    #[test]
    fn the_request_asks_for_the_value_only() {
        assert_eq!(meta_get("key", "v").request(), b"mg key v\r\n");
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
        cuts_alike_at_every_split(&meta_get("key", "four"), &answers);
    }

    #[test]
    fn what_is_not_of_the_protocol_is_malformed() {
        let get = meta_get("key", "four");
        for bytes in [&b"$4\r\n"[..], b"VA\r\n", b"VA x\r\n", b"VA 5000\r\n", b"\r\n"] {
            assert_eq!(get.cut(bytes), Cut::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
