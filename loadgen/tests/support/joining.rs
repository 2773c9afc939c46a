//! A stand-in for the server that answers requests together (SPEC §7.4), and can get one of its VERDICTS wrong.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use mvt_lanes::Engine;
use mvt_proto::{
    Header, Kind, Limits, Role, Suite,
    frame::{grant::Grant, hello::Hello},
    framer::{Cut, cut},
    login::{Admitted, Mac1, Responder},
    lost::LostKey,
    session::{Batch, SessionState},
};

use super::{
    server_identity,
    stand_in::{now_ms, random_secret},
};

/// Requests answered together: a read that brings more of them brings several VERDICTS.
pub(crate) const TOGETHER: usize = 16;

/// Listens until the test process ends; the tag of VERDICTS number `wrong` of each connection is wrong.
pub(crate) fn serve(wrong: Option<usize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || hold(stream, wrong));
        }
    });
    address
}

/// One connection, one session. Requests are answered [`TOGETHER`] at a time, in one write for each read.
fn hold(mut stream: TcpStream, wrong: Option<usize>) {
    stream.set_nodelay(true).expect("nodelay");
    let (mut inbox, mut filled) = (vec![0; 256 * 1024], 0);
    let mut session: Option<(SessionState, Box<[u64]>)> = None;
    let mut batch = Batch::new(Engine::detect());
    let mut joined_count = 0;
    loop {
        let Ok(count @ 1..) = stream.read(&mut inbox[filled..]) else { return };
        filled += count;
        let (mut start, mut requests, mut out) = (0, Vec::new(), Vec::new());
        while let Ok(Cut::Frame(length)) = cut(&inbox[start..filled], Role::Server) {
            let frame = inbox[start..start + length].to_vec();
            start += length;
            match Header::parse(&frame, Role::Server).expect("well formed").kind {
                Kind::Hello => session = Some(admit(&frame, &mut out)),
                _ => requests.push(frame),
            }
        }
        inbox.copy_within(start..filled, 0);
        filled -= start;
        for some in requests.chunks(TOGETHER) {
            let session = session.as_mut().expect("logged in before");
            let from = out.len();
            answer(session, &mut batch, some, &mut out);
            let is_joint = out[from + 2] & 0x0f == Kind::Verdicts as u8;
            if is_joint && wrong == Some(joined_count) {
                *out.last_mut().expect("a tag") ^= 1;
            }
            joined_count += usize::from(is_joint);
        }
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}

fn admit(frame: &[u8], out: &mut Vec<u8>) -> (SessionState, Box<[u64]>) {
    let identity = server_identity();
    Mac1::new(identity.public()).verify(frame).expect("for this server");
    let hello = Hello::parse(frame).expect("well formed");
    let responder = Responder::read(&identity, hello, &[], random_secret()).expect("an honest client");
    let suite = responder.choose_suite(&Suite::ALL.map(|(suite, _)| suite)).expect("one of both");
    let Admitted { answer, session, .. } = responder
        .admit(&Grant {
            key_id: 1 + getrandom::u64().expect("randomness") % (1 << 40),
            suite,
            server_time_ms: now_ms(),
            limits: Limits::DEFAULT,
            lost_key: LostKey::new([9; 16]),
        })
        .expect("an honest client");
    out.extend(answer);
    let (state, window, _) = session.into_parts();
    (state, window)
}

/// Appends the one answer to all of `requests`.
fn answer(
    (state, window): &mut (SessionState, Box<[u64]>),
    batch: &mut Batch,
    requests: &[Vec<u8>],
    out: &mut Vec<u8>,
) {
    let now_ms = now_ms();
    let mut bytes = Vec::new();
    for frame in requests {
        let fresh = state.check(&Header::parse(frame, Role::Server).expect("well formed"), now_ms);
        let start = bytes.len();
        bytes.extend_from_slice(frame);
        batch.push(state, fresh, start..bytes.len());
    }
    batch.open(&mut bytes, |_| state);
    let mut answers = Vec::new();
    for number in 0..requests.len() {
        let authentic = batch.take(number).expect("an honest request");
        let Ok(exchange) = state.commit(window, authentic) else { panic!("no request comes twice") };
        batch.respond(exchange, 0, &[], now_ms, &mut answers);
    }
    batch.end_joint(now_ms, &mut answers);
    batch.seal(&mut answers);
    out.append(&mut answers);
}
