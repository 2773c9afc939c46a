//! A client of the reference on a real socket: logs in for a ticket, and resumes with it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use ring::rand::{SecureRandom, SystemRandom};

use crate::reference::{
    control::{Control, open_control},
    frame::{Header, Role, parts},
    grant::Grant,
    login, resume,
    resume::WITH_DH,
    retry::{COOKIE, open_retry},
    schedule::{first_generation, schedule},
    slot::{request_key, slot_keys},
    suite::{Suite, seal},
    x25519::KeyPair,
};

const PATIENCE: Duration = Duration::from_secs(5);
/// HS256.
const SUITE: u16 = 1;

/// 32 random bytes.
pub(super) fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(bytes)
}

/// A ticket with its secret.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    server_public: [u8; 32],
    bytes: Vec<u8>,
    secret: [u8; 32],
}

struct Line(TcpStream);

/// A login frame, what the server said to it, and what its maker keeps to read that with.
struct Asked<T> {
    asked: Vec<u8>,
    answer: Vec<u8>,
    kept: T,
}

impl Line {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// The next frame; `None` when the server closed.
    fn frame(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut frame = vec![0; 2];
        for part in 0..2 {
            let from = if part == 0 { 0 } else { 2 };
            if part == 1 {
                frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
            }
            match self.0.read_exact(&mut frame[from..]) {
                Ok(()) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(frame))
    }

    /// The answer to a login frame made by `make` of a cookie; `None` when it is refused.
    fn ask<T>(
        &mut self,
        server_public: &[u8; 32],
        make: impl Fn(&[u8]) -> (Vec<u8>, T),
    ) -> anyhow::Result<Option<Asked<T>>> {
        let mut cookie = Vec::new();
        loop {
            let (asked, kept) = make(&cookie);
            self.0.write_all(&asked)?;
            let Some(answer) = self.frame()? else { return Ok(None) };
            if Header::decode(&answer).kind != Header::of("RETRY").kind {
                return Ok(Some(Asked { asked, answer, kept }));
            }
            let retry = open_retry(server_public, &asked, &answer);
            let Ok((COOKIE, bytes)) = retry else { bail!("the server is busy") };
            ensure!(cookie.is_empty(), "a second cookie");
            cookie = bytes;
        }
    }
}

/// Logs in and sends one request, for which the server gives a ticket.
pub(super) fn log_in(
    address: SocketAddr,
    server_public: [u8; 32],
    identity: KeyPair,
) -> anyhow::Result<Ticket> {
    let mut line = Line::open(address)?;
    let client = login::Client {
        identity,
        ephemeral: KeyPair::new(random()?),
        server_public,
        channel_binding: Vec::new(),
    };
    let answer = line.ask(&server_public, |cookie| client.padded_hello(1, cookie, &[SUITE]))?;
    let Asked { answer, kept: mut noise, .. } = answer.context("the login was refused")?;
    let received = Instant::now();
    let (_, message, _) = parts(&answer);
    let grant = noise.read(message).ok().context("the HELLO_R does not open")?;
    let grant = Grant::decode(&grant, &[SUITE]).ok().context("not a grant")?;
    let (h, k1, k2) = noise.finish();
    let keys = schedule(first_generation(&h, &k1, &k2), grant.key_id, 0);
    let header = Header {
        key_id: grant.key_id,
        op: 1,
        timestamp: grant.server_time + received.elapsed().as_millis() as u64,
        ..Header::of("REQ")
    };
    let key = request_key(&slot_keys(&keys.ck0, 0).0, 0, 0);
    let suite = Suite::of(SUITE.into()).context("a suite")?;
    line.0.write_all(&seal(suite, &key, header, b"a ticket, please", &[]))?;
    loop {
        let frame = line.frame()?.context("the server closed before it gave a ticket")?;
        // The answer comes first.
        if Header::decode(&frame).kind == Header::of("CTL").kind
            && let Ok((_, Control::Ticket(bytes))) = open_control(Role::Client, &keys, &frame)
        {
            return Ok(Ticket { server_public, bytes, secret: keys.rs });
        }
    }
}

/// Tries the ticket at a node; true when the node resumed the session, and proved that it can.
pub(super) fn resumes(address: SocketAddr, ticket: &Ticket) -> anyhow::Result<bool> {
    let client = resume::Client {
        rs: ticket.secret,
        ticket: ticket.bytes.clone(),
        suite: SUITE,
        nonce: random()?,
        ephemeral: KeyPair::new(random()?),
        server_public: ticket.server_public,
        channel_binding: Vec::new(),
    };
    let mut line = Line::open(address)?;
    let answer = line.ask(&ticket.server_public, |cookie| (client.resume(WITH_DH, 1, cookie), ()))?;
    let Some(Asked { asked, answer, .. }) = answer else { return Ok(false) };
    ensure!(client.read(&asked, &answer).is_ok(), "the RESUME_R does not open");
    Ok(true)
}
