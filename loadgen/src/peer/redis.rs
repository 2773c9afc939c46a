//! Redis: GET over RESP2.

use super::{
    exchange::decimal,
    lines::{Form, Lookup},
};

/// GET of `key`, which must give `value`.
#[must_use]
pub fn get(key: &str, value: &str) -> Lookup {
    let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len());
    Lookup::new("redis-get", request, format!("${}\r\n{value}\r\n", value.len()), form)
}

fn form(line: &[u8]) -> Option<Form> {
    match line.split_first()? {
        (b'+' | b'-' | b':', _) | (b'$', b"-1") => Some(Form::Line),
        (b'$', length) => decimal(length).map(Form::Value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::exchange::{Cut, Exchange as _, checks::cuts_alike_at_every_split};

    #[test]
    fn the_request_is_an_array_of_bulk_strings() {
        assert_eq!(get("key", "v").request(), b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
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
        cuts_alike_at_every_split(&get("key", "four"), &answers);
    }

    #[test]
    fn what_is_not_resp2_is_malformed() {
        let get = get("key", "four");
        for bytes in [&b"VA 4\r\n"[..], b"$x\r\n", b"\r\n", b"$99999999999999999999\r\n", b"$5000\r\n"] {
            assert_eq!(get.cut(bytes), Cut::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(get.cut(&[b'-'; 5_000]), Cut::Malformed);
    }
}
