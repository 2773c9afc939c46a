//! A stand-in for the server: one thread per connection, std sockets, honest answers except for one fault.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mvt_proto::{
    ClientId, Header, Kind, Limits, Role, Suite,
    frame::{grant::Grant, hello::Hello, resume::Resume, retry::Retry},
    framer::{Cut, cut},
    header::key_id_of,
    login::{Admitted, Mac1, Responder},
    lost::LostKey,
    reject::ErrReason,
    resume::Opened,
    secret::Secret,
    session::{Exchange, ServerSession},
    suite::tag_of,
    ticket::{RingedKey, SealedTicket, Terms, TicketKey, TicketRing},
};

use super::{client_identity, server_identity};

/// What the stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Every 100th answer has a flipped tag bit.
    FlippedTag,
    /// Closes after 100 answers.
    Closes,
    /// Closes on HELLO.
    RefusesLogin,
    /// Reads HELLOs and says nothing.
    SilentLogin,
    /// The first HELLO is answered RETRY COOKIE, the second RETRY BUSY.
    Retries,
    /// Verifies requests and says nothing.
    NeverAnswers,
    /// The first request is answered ERR STALE.
    StaleOnce,
    /// The first request is answered with an authentic LOST.
    LostOnce,
    /// Every 100th answer is sent twice.
    AnswersTwice,
    /// Answers of a read are sent last first.
    Reversed,
    /// After the login, bytes that are no frame.
    Garbage,
    /// Speaks HTTP.
    Http,
    /// Executes a request whose counter it has seen.
    AcceptsReplays,
    /// Executes a request out of time.
    AcceptsStale,
    /// Answers a request whose tag does not hold.
    AcceptsForged,
}

/// Listens until the test process ends.
pub(crate) fn serve(fault: Fault, limits: Limits) -> SocketAddr {
    serve_counted(fault, limits).0
}

/// The same, with the count of requests that were answered.
pub(crate) fn serve_counted(fault: Fault, limits: Limits) -> (SocketAddr, Arc<AtomicU64>) {
    let (address, answered, _) = serve_gated(fault, limits);
    (address, answered)
}

/// The same; nothing is sent while somebody else holds the gate.
pub(crate) fn serve_gated(fault: Fault, limits: Limits) -> (SocketAddr, Arc<AtomicU64>, Gate) {
    let gate = Gate::default();
    let (address, answered) = listen(fault, limits, &gate);
    (address, answered, gate)
}

fn listen(fault: Fault, limits: Limits, gate: &Gate) -> (SocketAddr, Arc<AtomicU64>) {
    let gate = gate.clone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let answered = Arc::<AtomicU64>::default();
    let counted = answered.clone();
    thread::spawn(move || {
        let sessions = Sessions::default();
        for stream in listener.incoming().flatten() {
            let (sessions, answered, gate) = (Sessions::clone(&sessions), counted.clone(), gate.clone());
            thread::spawn(move || {
                Conversation::new(fault, limits, sessions, answered).hold(stream, &gate);
                // The time of a thread that has ended is no part of its process's: whoever looks at that looks late, perhaps.
                loop {
                    thread::park();
                }
            });
        }
    });
    (address, answered)
}

/// Waits until so many requests were answered.
pub(crate) fn wait_for(answered: &AtomicU64, count: u64) {
    let begun = Instant::now();
    while answered.load(Ordering::Relaxed) < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "not {count} answers");
        thread::sleep(Duration::from_millis(1));
    }
}

/// An honest stand-in with the limits of SPEC §2.
pub(crate) fn honest() -> SocketAddr {
    serve(Fault::None, Limits::DEFAULT)
}

/// What is sent passes it.
pub(crate) type Gate = Arc<Mutex<()>>;

/// Sessions are of the server, not of a connection.
type Sessions = Arc<Mutex<HashMap<u64, ServerSession>>>;

struct Conversation {
    fault: Fault,
    limits: Limits,
    sessions: Sessions,
    /// Requests on any connection that were answered.
    answered: Arc<AtomicU64>,
    /// Requests on this connection that did not verify (SPEC §9.4).
    unverified_count: u32,
    hello_count: u32,
    answer_count: u64,
    out: Vec<u8>,
}

/// Ends a conversation.
struct Close;

const LOST_KEY: [u8; 16] = [9; 16];

impl Conversation {
    fn new(fault: Fault, limits: Limits, sessions: Sessions, answered: Arc<AtomicU64>) -> Self {
        Self {
            fault,
            limits,
            sessions,
            answered,
            unverified_count: 0,
            hello_count: 0,
            answer_count: 0,
            out: Vec::new(),
        }
    }

    fn hold(mut self, mut stream: TcpStream, gate: &Gate) {
        stream.set_nodelay(true).expect("nodelay");
        let mut inbox = vec![0; 256 * 1024];
        let mut filled = 0;
        loop {
            let Ok(count @ 1..) = stream.read(&mut inbox[filled..]) else { return };
            filled += count;
            if self.fault == Fault::Http {
                let _ = stream.write_all(
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nServer: none at all\r\n\r\n",
                );
                return;
            }
            let mut start = 0;
            let mut verdict = Ok(());
            while let Ok(Cut::Frame(bytes)) = cut(&inbox[start..filled], Role::Server) {
                verdict = self.frame(&mut inbox[start..start + bytes]);
                start += bytes;
                if verdict.is_err() {
                    break;
                }
            }
            inbox.copy_within(start..filled, 0);
            filled -= start;
            let passed = gate.lock().expect("no panic");
            let sent = stream.write_all(&self.out);
            drop(passed);
            self.out.clear();
            if verdict.is_err() || sent.is_err() {
                return;
            }
        }
    }

    fn frame(&mut self, frame: &mut [u8]) -> Result<(), Close> {
        let header = Header::parse(frame, Role::Server).map_err(|_| Close)?;
        match header.kind {
            Kind::Hello => self.hello(frame),
            Kind::Resume => self.resume(frame),
            _ => self.request(&header, frame),
        }
    }

    fn resume(&mut self, frame: &[u8]) -> Result<(), Close> {
        Mac1::new(server_identity().public()).verify(frame).map_err(|_| Close)?;
        let resume = Resume::parse(frame).map_err(|_| Close)?;
        let opened = Opened::open(resume, &ring(), now_ms()).map_err(|_| Close)?;
        let responder = opened.verify(&[]).map_err(|_| Close)?;
        let grant = self.grant(responder.ticket().suite);
        let admitted = responder.admit(&grant, &random_secret(), &random_secret()).map_err(|_| Close)?;
        self.admit(admitted);
        Ok(())
    }

    fn grant(&self, suite: Suite) -> Grant {
        Grant {
            key_id: 1 + getrandom::u64().expect("randomness") % (1 << 40),
            suite,
            server_time_ms: now_ms(),
            limits: self.limits,
            lost_key: LostKey::new(LOST_KEY),
        }
    }

    fn admit(&mut self, admitted: Admitted) {
        let Admitted { answer, session, .. } = admitted;
        self.sessions.lock().expect("no panic").insert(session.key_id(), session);
        self.out.extend(answer);
    }

    fn hello(&mut self, frame: &[u8]) -> Result<(), Close> {
        let identity = server_identity();
        let mac1 = Mac1::new(identity.public());
        mac1.verify(frame).map_err(|_| Close)?;
        self.hello_count += 1;
        match (self.fault, self.hello_count) {
            (Fault::RefusesLogin, _) => return Err(Close),
            (Fault::SilentLogin, _) => return Ok(()),
            (Fault::Retries, 1) => {
                self.out.extend(Retry::Cookie([7; 16]).to_frame(frame, &mac1));
                return Ok(());
            }
            (Fault::Retries, 2) => {
                self.out.extend(Retry::Busy(60).to_frame(frame, &mac1));
                return Ok(());
            }
            _ => {}
        }
        let hello = Hello::parse(frame).map_err(|_| Close)?;
        if self.fault == Fault::Retries {
            assert_eq!(hello.cookie, Some(&[7; 16]), "the cookie is kept through a BUSY");
        }
        let responder = Responder::read(&identity, hello, &[], random_secret()).map_err(|_| Close)?;
        if responder.client_public() != client_identity().public() {
            return Err(Close);
        }
        let suite = responder.choose_suite(&Suite::ALL.map(|(suite, _)| suite)).map_err(|_| Close)?;
        let admitted = responder.admit(&self.grant(suite)).map_err(|_| Close)?;
        self.admit(admitted);
        if self.fault == Fault::Garbage {
            self.out.extend([0xff; 64]);
        }
        Ok(())
    }

    fn request(&mut self, header: &Header, frame: &mut [u8]) -> Result<(), Close> {
        let now_ms = now_ms();
        let sessions = Sessions::clone(&self.sessions);
        let mut sessions = sessions.lock().expect("no panic");
        let session = sessions.get_mut(&key_id_of(frame)).ok_or(Close)?;
        let request_header: [u8; 28] = frame[..28].try_into().expect("28 bytes");
        let judged_ms = match self.fault {
            Fault::AcceptsStale => header.timestamp,
            _ => now_ms,
        };
        let fresh = session.check(header, judged_ms);
        let request_tag = tag_of(frame);
        let Ok(authentic) = session.open(fresh, frame) else {
            self.unverified_count += 1;
            if self.fault == Fault::AcceptsForged {
                // Whatever it answers, it is no LOST.
                self.out.extend(response(&request_header));
                return Ok(());
            }
            // Of another key than the client's: a decoy.
            self.out.extend(lost(&request_header, &request_tag, &[8; 16]));
            return if self.unverified_count >= 8 { Err(Close) } else { Ok(()) };
        };
        match session.commit(authentic, now_ms) {
            Ok(exchange) => {
                let issue = |secret: &Secret| ticket(header, secret, now_ms);
                session.ticket(issue, now_ms, &mut self.out);
                self.answer(exchange, &request_header, &request_tag, now_ms)
            }
            Err(refused) => {
                let reason = refused.reason();
                if self.fault == Fault::AcceptsReplays && reason == ErrReason::Replay {
                    refused.exchange.respond(0, &[], now_ms, &mut self.out);
                } else {
                    refused.exchange.refuse(reason, now_ms, &mut self.out);
                }
                Ok(())
            }
        }
    }

    fn answer(
        &mut self,
        exchange: Exchange,
        request_header: &[u8],
        request_tag: &[u8; 16],
        now_ms: u64,
    ) -> Result<(), Close> {
        self.answer_count += 1;
        self.answered.fetch_add(1, Ordering::Relaxed);
        let start = self.out.len();
        match (self.fault, self.answer_count) {
            (Fault::NeverAnswers, _) => return Ok(()),
            (Fault::StaleOnce, 1) => exchange.refuse(ErrReason::Stale, now_ms, &mut self.out),
            (Fault::LostOnce, 1) => self.out.extend(lost(request_header, request_tag, &LOST_KEY)),
            (Fault::Reversed, _) => {
                let mut answer = Vec::new();
                exchange.respond(0, &[], now_ms, &mut answer);
                self.out.splice(..0, answer);
            }
            _ => exchange.respond(0, &[], now_ms, &mut self.out),
        }
        match self.fault {
            Fault::FlippedTag if self.answer_count.is_multiple_of(100) => {
                *self.out.last_mut().expect("a tag") ^= 1;
            }
            Fault::AnswersTwice if self.answer_count.is_multiple_of(100) => {
                self.out.extend_from_within(start..)
            }
            Fault::Closes if self.answer_count >= 100 => return Err(Close),
            _ => {}
        }
        Ok(())
    }
}

fn ring() -> TicketRing {
    let key = TicketKey::new(&[0x4b; 32]).expect("a key");
    TicketRing::new(vec![RingedKey { key, seal_from_ms: 0, open_until_ms: 1 << 47 }]).expect("a ring")
}

/// The ticket of the session of a request.
fn ticket(request: &Header, resume_secret: &Secret, now_ms: u64) -> SealedTicket {
    let terms = Terms {
        suite: if request.flags.sealed() { Suite::Gcm256 } else { Suite::Hs256 },
        client: ClientId::of_name("load"),
        authenticated_ms: now_ms,
        generation: request.generation,
        psk_alone: false,
        life_ms: 3_600_000,
    };
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).expect("randomness");
    ring().issue(&terms, resume_secret, &nonce, now_ms).expect("a key seals")
}

/// An authentic LOST for a request (SPEC §9), made of its text and no other code.
fn lost(request_header: &[u8], request_tag: &[u8; 16], key: &[u8; 16]) -> Vec<u8> {
    let mut frame = request_header.to_vec();
    frame[..2].copy_from_slice(&42u16.to_be_bytes());
    frame[2..4].copy_from_slice(&[0x1f, 0]);
    frame[14..16].fill(0);
    let tag =
        mvt_lanes::mac_parts(&mvt_lanes::HmacKey::new(key), &[b"mvt1 lost", request_header, request_tag]);
    frame.extend_from_slice(&tag[..16]);
    frame
}

/// A RESP to a request, with a tag of nothing.
fn response(request_header: &[u8]) -> Vec<u8> {
    let mut frame = lost(request_header, &[0; 16], &LOST_KEY);
    // Of the flags an answer carries `sealed` alone.
    frame[2..4].copy_from_slice(&[0x12, request_header[3] & 0x01]);
    frame
}

pub(crate) fn random_secret() -> Secret {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("randomness");
    Secret::new(bytes)
}

pub(crate) fn now_ms() -> u64 {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_millis() as u64
}
