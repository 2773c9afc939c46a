//! A server of one thread for each connection, on the protocol core, with faults on demand.
#![allow(dead_code)] // each test binary uses its part

use std::{
    collections::{HashMap, VecDeque},
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    frame::{grant::Grant, hello::Hello, retry::Retry},
    framer::{Cut, cut},
    login::{CookieSecret, Identity, Mac1, Responder},
    lost::LostKeys,
    secret::Secret,
    session::ServerSession,
    suite::payload_of,
};

const ORIGIN_MS: u64 = 1_700_000_000_000;

/// What goes wrong next. A fault waits for the frame it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A request is executed and the connection closed instead of answered.
    CloseAfterExecuting,
    /// The connection is closed when a request arrives.
    CloseBeforeExecuting,
    /// A request is answered with an ERR REPLAY after it was executed.
    AnswerReplay,
    /// A request finds its key lost.
    Lost,
    /// A request is answered with a decoy first, then properly.
    DecoyFirst,
    /// A request is not answered.
    Silent,
    /// A HELLO is answered BUSY, with this wait.
    Busy(u32),
    /// A HELLO is answered with a cookie to repeat.
    Cookie,
    /// A HELLO ends the connection.
    RefuseLogin,
    /// After a response the connection is closed.
    CloseWhenIdle,
}

impl Fault {
    const fn is_about_hello(self) -> bool {
        matches!(self, Self::Busy(_) | Self::Cookie | Self::RefuseLogin)
    }
}

pub struct Server {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    identity: Identity,
    clients: Vec<[u8; 32]>,
    limits: Limits,
    lost_keys: LostKeys,
    cookies: CookieSecret,
    started: Instant,
    skew_ms: AtomicI64,
    connection_count: AtomicU64,
    ended_count: AtomicU64,
    random: AtomicU64,
    faults: Mutex<VecDeque<Fault>>,
    executed: Mutex<Vec<Vec<u8>>>,
    sessions: Mutex<HashMap<u64, ServerSession>>,
}

pub fn client_identity() -> Identity {
    Identity::new(Secret::new([0xc1; 32]))
}

impl Server {
    pub fn start(limits: Limits, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            identity: Identity::new(Secret::new([0x51; 32])),
            clients: vec![*client_identity().public()],
            limits,
            lost_keys: LostKeys::new(&Secret::new([0x77; 32]), 0),
            cookies: CookieSecret::new(Secret::new([0x60; 32])),
            started: Instant::now(),
            skew_ms: AtomicI64::new(0),
            connection_count: AtomicU64::new(0),
            ended_count: AtomicU64::new(0),
            random: AtomicU64::new(1),
            faults: Mutex::new(faults.iter().copied().collect()),
            executed: Mutex::default(),
            sessions: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.connection_count.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.serve(stream);
                    shared.ended_count.fetch_add(1, Ordering::Release);
                });
            }
        });
        Self { address, state }
    }

    pub fn public(&self) -> [u8; 32] {
        *self.state.identity.public()
    }

    pub fn add_fault(&self, fault: Fault) {
        self.state.faults.lock().unwrap().push_back(fault);
    }

    pub fn faults_left(&self) -> usize {
        self.state.faults.lock().unwrap().len()
    }

    /// Moves the server's clock.
    pub fn skew(&self, ms: i64) {
        self.state.skew_ms.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn connection_count(&self) -> u64 {
        self.state.connection_count.load(Ordering::Relaxed)
    }

    /// Waits until so many connections were closed from here.
    pub fn wait_for_ended(&self, count: u64) {
        while self.state.ended_count.load(Ordering::Acquire) < count {
            thread::sleep(Duration::from_millis(1));
        }
        // What tells the client may still be on its way.
        thread::sleep(Duration::from_millis(50));
    }

    pub fn executed(&self) -> Vec<Vec<u8>> {
        self.state.executed.lock().unwrap().clone()
    }
}

impl State {
    fn now_ms(&self) -> u64 {
        let elapsed = self.started.elapsed().as_millis() as u64;
        (ORIGIN_MS + elapsed).saturating_add_signed(self.skew_ms.load(Ordering::Relaxed))
    }

    fn fresh_secret(&self) -> Secret {
        let mut bytes = [0x5e; 32];
        bytes[..8].copy_from_slice(&self.random.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Secret::new(bytes)
    }

    /// The next fault, if it is about this kind of frame.
    fn fault(&self, about_hello: bool) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        faults.pop_front_if(|fault| fault.is_about_hello() == about_hello)
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut buffer = Vec::new();
        loop {
            match cut(&buffer, Role::Server).ok()? {
                Cut::Frame(bytes) => {
                    let mut frame: Vec<u8> = buffer.drain(..bytes).collect();
                    let answers = match Header::parse(&frame, Role::Server).ok()?.kind {
                        Kind::Hello => self.admit(&frame, &stream)?,
                        _ => self.judge(&mut frame)?,
                    };
                    stream.write_all(&answers.0).ok()?;
                    answers.1.then_some(())?;
                }
                Cut::Need(_) => {
                    let mut received = [0; 65_536];
                    let count = stream.read(&mut received).ok().filter(|count| *count > 0)?;
                    buffer.extend_from_slice(&received[..count]);
                }
            }
        }
    }

    /// What a HELLO is answered with, and whether the connection goes on.
    fn admit(&self, frame: &[u8], stream: &TcpStream) -> Option<(Vec<u8>, bool)> {
        let mac1 = Mac1::new(self.identity.public());
        mac1.verify(frame).ok()?;
        let hello = Hello::parse(frame).ok()?;
        let peer = stream.peer_addr().ok()?.to_string();
        match self.fault(true) {
            Some(Fault::Busy(wait_ms)) => return Some((Retry::Busy(wait_ms).to_frame(frame, &mac1), true)),
            Some(Fault::Cookie) => {
                let cookie = self.cookies.cookie(frame, peer.as_bytes());
                return Some((Retry::Cookie(cookie).to_frame(frame, &mac1), true));
            }
            Some(Fault::RefuseLogin) => return None,
            _ => {}
        }
        assert!(hello.cookie.is_none() || self.cookies.accepts(frame, peer.as_bytes()), "a cookie is right");
        let responder = Responder::read(&self.identity, hello, &[], self.fresh_secret()).ok()?;
        self.clients.contains(responder.client_public()).then_some(())?;
        let suite = responder.choose_suite(&[Suite::Hs256, Suite::Gcm256]).ok()?;
        let key_id = 0xff_0000 + self.random.fetch_add(1, Ordering::Relaxed);
        let grant = Grant {
            key_id,
            suite,
            server_time_ms: self.now_ms(),
            limits: self.limits,
            lost_key: self.lost_keys.lost_key(key_id),
        };
        let admitted = responder.admit(&grant).ok()?;
        self.sessions.lock().unwrap().insert(key_id, admitted.session);
        Some((admitted.answer, true))
    }

    /// What a request is answered with, and whether the connection goes on.
    fn judge(&self, frame: &mut [u8]) -> Option<(Vec<u8>, bool)> {
        let received = frame.to_vec();
        let header = Header::parse(frame, Role::Server).ok()?;
        let fault = self.fault(false);
        let mut sessions = self.sessions.lock().unwrap();
        match fault {
            Some(Fault::CloseBeforeExecuting) => return None,
            Some(Fault::Silent) => return Some((Vec::new(), true)),
            Some(Fault::Lost) => sessions.clear(),
            _ => {}
        }
        let Some(session) = sessions.get_mut(&header.key_id) else {
            return Some((self.lost_keys.answer(&received, true).to_vec(), true));
        };
        let mut answer = Vec::new();
        if fault == Some(Fault::DecoyFirst) {
            answer.extend_from_slice(&self.lost_keys.answer(&received, false));
        }
        let now_ms = self.now_ms();
        let fresh = session.check(&header, now_ms);
        let Ok(authentic) = session.open(fresh, frame) else {
            return Some((self.lost_keys.answer(&received, false).to_vec(), true));
        };
        match session.commit(authentic, now_ms) {
            Ok(exchange) => {
                let payload = payload_of(frame).to_vec();
                self.executed.lock().unwrap().push(payload.clone());
                match fault {
                    Some(Fault::CloseAfterExecuting) => return None,
                    Some(Fault::AnswerReplay) => {
                        exchange.refuse(mvt_proto::reject::ErrReason::Replay, now_ms, &mut answer);
                    }
                    _ => exchange.respond(header.op, &payload, now_ms, &mut answer),
                }
            }
            Err(refused) => {
                let reason = refused.reason();
                refused.exchange.refuse(reason, now_ms, &mut answer);
            }
        }
        Some((answer, fault != Some(Fault::CloseWhenIdle)))
    }
}
