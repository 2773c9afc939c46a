//! RECOVER: who one is, and a new key sealed to the server (SPEC §13.2).

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::{
    ClientId, Reject, Suite,
    constants::{
        CLIENT_ID_BYTES, COOKIE_BYTES, HEADER_BYTES, HELLO_SUITES_MAX, KEY_BYTES, LOGIN_BYTES, TAG_BYTES,
    },
    frame::{Reader, begin_login, login_header, suites, take_cookie},
    header::Kind,
};

/// The only form there is: HPKE in PSK mode.
const FORM_PSK: u16 = 1;

/// A RECOVER whose plain part is well formed. Nothing is believed yet.
#[derive(Debug)]
pub struct Recover<'f> {
    /// Tells the client's logins apart.
    pub login_id: u64,
    /// The cookie of a RETRY; one without is always answered with a RETRY (§13.2.1).
    pub cookie: Option<&'f [u8; COOKIE_BYTES]>,
    /// Whose identity is to be replaced.
    pub client: ClientId,
    /// What the sealing covers beside its content: the frame before `encapsulated`.
    pub plain: &'f [u8],
    /// enc of HPKE.
    pub encapsulated: &'f [u8; KEY_BYTES],
    /// The sealed part with its tag.
    pub sealed: &'f [u8],
    /// The whole frame, for the transcript.
    pub frame: &'f [u8],
}

impl<'f> Recover<'f> {
    /// Reads `frame`, one whole RECOVER.
    ///
    /// # Errors
    /// The header's refusals, `Kind`, or `Field` for a wrong length, form or cookie.
    pub fn parse(frame: &'f [u8]) -> Result<Self, Reject> {
        let header = login_header(frame, Kind::Recover)?;
        if header.op != FORM_PSK {
            return Err(Reject::Field);
        }
        let body = &frame[HEADER_BYTES..frame.len() - TAG_BYTES];
        let mut reader = Reader::new(body);
        let cookie = take_cookie(&mut reader)?;
        let client = ClientId::new(*reader.array::<CLIENT_ID_BYTES>()?);
        let plain = &frame[..HEADER_BYTES + body.len() - reader.left()];
        let encapsulated = reader.array()?;
        let sealed = reader.take(reader.left())?;
        Ok(Self { login_id: header.counter, cookie, client, plain, encapsulated, sealed, frame })
    }
}

/// The frame before enc.
#[must_use]
pub(crate) fn plain(login_id: u64, cookie: Option<&[u8; COOKIE_BYTES]>, client: &ClientId) -> Vec<u8> {
    let mut bytes = begin_login(Kind::Recover, FORM_PSK, login_id, cookie);
    bytes.extend_from_slice(client.as_bytes());
    bytes
}

/// What is sealed inside.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) new_public: [u8; KEY_BYTES],
    pub(crate) point: [u8; KEY_BYTES],
    pub(crate) suites: Vec<Suite>,
}

impl Content {
    /// Reads the plaintext.
    ///
    /// # Errors
    /// `Recovery`, also for padding that is not zero: it was sealed (§13.2.1).
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        Self::read(bytes).map_err(|_| Reject::Recovery)
    }

    fn read(bytes: &[u8]) -> Result<Self, Reject> {
        let mut reader = Reader::new(bytes);
        let (new_public, point) = (*reader.array()?, *reader.array()?);
        let suites = suites::take(&mut reader)?;
        let is_zero = reader.take(reader.left())?.iter().all(|byte| *byte == 0);
        if is_zero { Ok(Self { new_public, point, suites }) } else { Err(Reject::Field) }
    }

    /// The plaintext that fills a frame whose plain part has `plain_bytes`.
    #[must_use]
    pub(crate) fn to_bytes(&self, plain_bytes: usize) -> Zeroizing<Vec<u8>> {
        let length = LOGIN_BYTES - plain_bytes - KEY_BYTES - TAG_BYTES - TAG_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.extend_from_slice(&self.new_public);
        bytes.extend_from_slice(&self.point);
        let ids: Vec<u16> = self.suites.iter().map(|suite| *suite as u16).collect();
        suites::put(&ids, &mut bytes);
        bytes.resize(length, 0);
        bytes
    }
}

// There is room for a cookie and the longest list.
const _: () = assert!(
    HEADER_BYTES
        + 1
        + COOKIE_BYTES
        + CLIENT_ID_BYTES
        + 3 * KEY_BYTES
        + 1
        + 2 * HELLO_SUITES_MAX
        + 2 * TAG_BYTES
        <= LOGIN_BYTES
);
