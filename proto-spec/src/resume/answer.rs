//! The answer of a resume and of a recovery: a nonce, a point, a sealed grant and a confirmation (SPEC §12.4, §13.3).

use alloc::vec::Vec;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce, Tag},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    Header, Reject, Suite,
    agreement::{agree, public_of},
    constants::{GRANT_BYTES, HEADER_BYTES, KEY_BYTES, LOGIN_ANSWER_BYTES_MAX, TAG_BYTES},
    frame::{Reader, grant::Grant},
    header::{Flags, Kind, Role},
    login::{Admitted, established},
    resume::bound_channel,
    schedule::{GenerationKeys, extract, label},
    secret::Secret,
    session::ClientSession,
    suite::payload_of,
};

/// What a resume and a recovery differ in.
#[derive(Debug)]
pub(crate) struct Form {
    /// The kind of the answer.
    pub(crate) kind: Kind,
    /// What the transcript begins with.
    pub(crate) label: &'static [u8],
    /// How a point that is not canonical or of low order is counted (§12.4.4, §13.2.1).
    pub(crate) bad_point: Reject,
}

/// The answer to a RESUME.
pub(crate) const RESUME: Form =
    Form { kind: Kind::ResumeR, label: b"mvt1 resume", bad_point: Reject::Binder };
/// The answer to a RECOVER.
pub(crate) const RECOVER: Form =
    Form { kind: Kind::RecoverR, label: b"mvt1 recover", bad_point: Reject::Recovery };

/// Diffie-Hellman secrets of one answer, at most: e with e, and in a recovery the new static key with e.
const AGREEMENTS_MAX: usize = 2;

/// What is being answered, the same for both sides.
pub(crate) struct Asked<'a> {
    pub(crate) form: &'static Form,
    pub(crate) login_id: u64,
    /// The whole frame.
    pub(crate) frame: &'a [u8],
    pub(crate) channel_binding: &'a [u8],
    /// RS_g, or the export of HPKE.
    pub(crate) secret: &'a Secret,
}

impl Asked<'_> {
    /// `HKDF-Extract(th, secret ‖ shared …)`; `plain` is header ‖ nonce_s ‖ e_s.
    fn generation_secret(&self, plain: &[u8], shared: &[Secret]) -> Secret {
        let (length, channel) = bound_channel(self.channel_binding);
        let transcript = Sha256::new()
            .chain_update(self.form.label)
            .chain_update(length)
            .chain_update(channel)
            .chain_update(self.frame)
            .chain_update(plain)
            .finalize();
        let mut ikm = Zeroizing::new(Vec::with_capacity((1 + AGREEMENTS_MAX) * KEY_BYTES));
        ikm.extend_from_slice(self.secret.expose());
        shared.iter().for_each(|secret| ikm.extend_from_slice(secret.expose()));
        extract(&transcript, &ikm)
    }
}

fn grant_cipher(generation_secret: &Secret) -> Aes256Gcm {
    Aes256Gcm::new(label(generation_secret, "grant", &[]).expose().into())
}

/// Writes the answer with `grant` and makes the server's half of the session. `points` are the client's: none, e_c, or e_c
/// and s_new; `nonce` and `ephemeral` are 32 random bytes each, used for this answer only.
///
/// # Errors
/// The form's reason when a point of the client is not canonical or of low order (§10.3.1).
pub(crate) fn seal(
    asked: &Asked<'_>,
    points: &[&[u8; KEY_BYTES]],
    grant: &Grant,
    nonce: &Secret,
    ephemeral: &Secret,
) -> Result<Admitted, Reject> {
    let point_bytes = if points.is_empty() { 0 } else { KEY_BYTES };
    let header = Header {
        kind: asked.form.kind,
        flags: Flags(0),
        key_id: 0,
        generation: 0,
        op: 0,
        counter: asked.login_id,
        timestamp: 0,
        payload_bytes: KEY_BYTES + point_bytes + GRANT_BYTES + TAG_BYTES,
    };
    let mut answer = Vec::with_capacity(header.frame_bytes());
    answer.extend_from_slice(&header.to_bytes());
    answer.extend_from_slice(nonce.expose());
    if !points.is_empty() {
        answer.extend_from_slice(&public_of(ephemeral));
    }
    let shared: Option<Vec<Secret>> = points.iter().map(|point| agree(ephemeral, point)).collect();
    let secret = asked.generation_secret(&answer, &shared.ok_or(asked.form.bad_point)?);
    let mut sealed = grant.to_bytes();
    let tag = grant_cipher(&secret)
        .encrypt_inout_detached(&Nonce::<Aes256Gcm>::default(), &answer, (&mut sealed[..]).into())
        .expect("a grant is far below GCM's bound");
    answer.extend_from_slice(&*sealed);
    answer.extend_from_slice(&tag);
    let mut admitted = established::admitted(answer, grant, GenerationKeys::derive(secret, grant.key_id, 0));
    if points.is_empty() {
        // §11.2.4: there was no Diffie-Hellman yet, so the first OFFER brings one.
        admitted.session = admitted.session.exchanged_at(0);
    }
    Ok(admitted)
}

/// Opens `frame` as the answer and makes the client's half of the session; `privates` are those of the points it sent, `suites` are those the client takes, `now_ms` its monotonic clock.
///
/// # Errors
/// `Kind`, `Field`, `BadTag`, or the form's reason for a bad point of the server: this attempt is over.
pub(crate) fn open(
    asked: &Asked<'_>,
    privates: &[&Secret],
    suites: &[Suite],
    frame: &[u8],
    now_ms: u64,
) -> Result<ClientSession, Reject> {
    let header = Header::parse(frame, Role::Client)?;
    if header.kind != asked.form.kind {
        return Err(Reject::Kind);
    }
    if header.counter != asked.login_id || frame.len() > LOGIN_ANSWER_BYTES_MAX {
        return Err(Reject::Field);
    }
    let mut reader = Reader::new(payload_of(frame));
    reader.take(KEY_BYTES)?;
    let shared: Option<Vec<Secret>> = if privates.is_empty() {
        Some(Vec::new())
    } else {
        let point = reader.array()?;
        privates.iter().map(|private| agree(private, point)).collect()
    };
    let plain = &frame[..HEADER_BYTES + header.payload_bytes - reader.left()];
    let mut bytes = Zeroizing::new(*reader.array::<GRANT_BYTES>()?);
    let tag: Tag<Aes256Gcm> = (*reader.array::<TAG_BYTES>()?).into();
    reader.end()?;
    let secret = asked.generation_secret(plain, &shared.ok_or(asked.form.bad_point)?);
    grant_cipher(&secret)
        .decrypt_inout_detached(&Nonce::<Aes256Gcm>::default(), plain, (&mut bytes[..]).into(), &tag)
        .map_err(|_| Reject::BadTag)?;
    let grant = Grant::parse(&bytes[..])?;
    if !suites.contains(&grant.suite) {
        return Err(Reject::Field);
    }
    let keys = GenerationKeys::derive(secret, grant.key_id, 0);
    established::granted(frame, &header, grant, keys, now_ms)
}
