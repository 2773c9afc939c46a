//! A RESUME or a RECOVER that was sent: what its answer is known by and opened with.

use alloc::vec::Vec;

use crate::{
    Reject, Suite,
    constants::{KEY_BYTES, LOGIN_BYTES},
    frame::retry::Retry,
    login::Mac1,
    resume::answer::{self, Asked, Form},
    secret::Secret,
    session::ClientSession,
    suite::tag_of,
};

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    form: &'static Form,
    login_id: u64,
    frame: [u8; LOGIN_BYTES],
    channel_binding: Vec<u8>,
    secret: Secret,
    mac1: Mac1,
}

impl Attempt {
    /// Ends `bytes`, the frame before its tag, with mac1. `secret` is RS_g, or the export of HPKE.
    ///
    /// # Panics
    /// If the frame is not of 512 bytes then.
    pub(crate) fn new(
        form: &'static Form,
        server_public: &[u8; KEY_BYTES],
        login_id: u64,
        channel_binding: &[u8],
        secret: Secret,
        mut bytes: Vec<u8>,
    ) -> Self {
        let mac1 = Mac1::new(server_public);
        bytes.extend_from_slice(&mac1.tag(&bytes));
        let frame = bytes.try_into().expect("padded to 512 bytes");
        Self { form, login_id, frame, channel_binding: channel_binding.to_vec(), secret, mac1 }
    }

    pub(crate) const fn login_id(&self) -> u64 {
        self.login_id
    }

    /// The frame to send.
    pub(crate) const fn frame(&self) -> [u8; LOGIN_BYTES] {
        self.frame
    }

    /// Reads a RETRY for this attempt (§14).
    ///
    /// # Errors
    /// Not a RETRY, or not for this frame: the attempt goes on waiting.
    pub(crate) fn retry(&self, frame: &[u8]) -> Result<Retry, Reject> {
        Retry::parse(frame, self.login_id, &tag_of(&self.frame), &self.mac1)
    }

    /// Opens the answer; `privates` are those of the points that were sent.
    ///
    /// # Errors
    /// Those of [`answer::open`]: this attempt is over.
    pub(crate) fn finish(
        &self,
        privates: &[&Secret],
        suites: &[Suite],
        frame: &[u8],
        now_ms: u64,
    ) -> Result<ClientSession, Reject> {
        let asked = Asked {
            form: self.form,
            login_id: self.login_id,
            frame: &self.frame,
            channel_binding: &self.channel_binding,
            secret: &self.secret,
        };
        answer::open(&asked, privates, suites, frame, now_ms)
    }
}
