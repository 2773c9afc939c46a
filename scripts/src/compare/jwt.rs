//! A JSON Web Token under HS256 (RFC 7515), as HAProxy verifies it.

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::hmac;

/// The claims of every token: of the usual size, far from their end.
const CLAIMS: &str = r#"{"sub":"compare","iat":1700000000,"exp":4102444800}"#;

/// A token signed with `secret`.
#[must_use]
pub fn sign(secret: &str) -> String {
    let head = Base64UrlUnpadded::encode_string(br#"{"alg":"HS256","typ":"JWT"}"#);
    let body = format!("{head}.{}", Base64UrlUnpadded::encode_string(CLAIMS.as_bytes()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = Base64UrlUnpadded::encode_string(hmac::sign(&key, body.as_bytes()).as_ref());
    format!("{body}.{tag}")
}

/// `token` with one bit of its signature changed.
#[must_use]
pub fn forge(token: &str) -> String {
    let at = token.rfind('.').map_or(0, |dot| dot + 1);
    let (body, tag) = token.split_at(at);
    let changed = if tag.starts_with('A') { "B" } else { "A" };
    format!("{body}{changed}{}", tag.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_of_the_first_two_parts() {
        let token = sign("a secret");
        let (body, tag) = token.rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret");
        let tag = Base64UrlUnpadded::decode_vec(tag).unwrap();
        hmac::verify(&key, body.as_bytes(), &tag).unwrap();
        assert_eq!(token.matches('.').count(), 2);
    }

    #[test]
    fn a_forged_token_differs_in_the_signature_only() {
        let token = sign("a secret");
        let forged = forge(&token);
        assert_ne!(token, forged);
        assert_eq!(token.rsplit_once('.').unwrap().0, forged.rsplit_once('.').unwrap().0);
        assert_eq!(token.len(), forged.len());
    }
}
