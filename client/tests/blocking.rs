//! The blocking client against a server that fails on demand.

#[path = "../../server/tests/support/stopwatch.rs"]
mod stopwatch;
mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use mvt_client::{Client, Config, ErrReason, Error, LoginError, Request, Suite, Unknown};
use mvt_proto::Limits;
use stopwatch::Stopwatch;
use support::{Fault, Server, client_identity};

/// How long what must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(server: &Server) -> Config {
    Config::new(server.address, &server.public(), client_identity())
        .expect("an address")
        .connect_timeout(PATIENCE)
        .request_timeout(PATIENCE)
}

fn started(faults: &[Fault]) -> (Server, Client) {
    started_with(Limits::DEFAULT, faults)
}

fn started_with(limits: Limits, faults: &[Fault]) -> (Server, Client) {
    let server = Server::start(limits, faults);
    let client = Client::connect_with(config(&server)).expect("a login");
    (server, client)
}

fn payload_of(client: &mut Client, payload: &[u8]) -> Result<Vec<u8>, Error> {
    client.request(9, payload).map(|response| {
        assert_eq!(response.status, 9);
        response.payload
    })
}

#[test]
fn a_request_is_answered_in_each_suite() {
    let server = Server::start(Limits::DEFAULT, &[]);
    for suite in [Suite::Hs256, Suite::Gcm256] {
        let mut client = Client::connect_with(config(&server).suite(suite)).unwrap();
        for payload in [&b""[..], b"hello", &[7; 16_384]] {
            assert_eq!(payload_of(&mut client, payload).unwrap(), payload);
        }
    }
    assert_eq!(server.connection_count(), 2);
}

#[test]
fn the_short_way_to_connect_is_the_same() {
    let server = Server::start(Limits::DEFAULT, &[]);
    let mut client = Client::connect(server.address, &server.public(), client_identity()).unwrap();
    assert_eq!(payload_of(&mut client, b"x").unwrap(), b"x");
}

#[test]
fn a_pipeline_gives_every_result_in_its_place() {
    let (server, mut client) = started(&[]);
    let payloads: Vec<Vec<u8>> = (0..500u32).map(|n| vec![n as u8; (n as usize * 37) % 5_000]).collect();
    let requests: Vec<_> = payloads.iter().map(|payload| Request { op: 1, payload }).collect();
    let results = client.pipeline(&requests);
    for (result, payload) in results.into_iter().zip(&payloads) {
        assert_eq!(result.unwrap().payload, *payload);
    }
    assert_eq!(server.executed().len(), 500);
    assert!(client.pipeline(&[]).is_empty());
}

#[test]
fn a_pipeline_of_the_largest_payloads_does_not_block_itself() {
    let (_server, mut client) = started(&[]);
    let payload = vec![1; 16_384];
    let results = client.pipeline(&[Request { op: 1, payload: &payload }; 40]);
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_payload_too_long_is_refused_alone() {
    let (server, mut client) = started(&[]);
    let long = vec![0; 16_385];
    let results = client.pipeline(&[
        Request { op: 1, payload: b"a" },
        Request { op: 1, payload: &long },
        Request { op: 1, payload: b"b" },
    ]);
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1], Err(Error::PayloadTooLong));
    assert_eq!(server.executed(), [b"a", b"b"]);
}

#[test]
fn a_session_is_renewed_on_its_connection_and_no_request_is_lost() {
    let limits = Limits { renew_after_requests: 10, reject_after_requests: 12, ..Limits::DEFAULT };
    let (server, mut client) = started_with(limits, &[]);
    for n in 0..25u8 {
        assert_eq!(payload_of(&mut client, &[n]).unwrap(), [n]);
    }
    assert_eq!(client.login_count(), 3);
    let results = client.pipeline(&[Request { op: 1, payload: b"p" }; 100]);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.executed().len(), 125);
    assert_eq!(server.connection_count(), 1);
}

#[test]
fn a_busy_server_does_not_stop_a_session_that_is_still_good() {
    let limits = Limits { renew_after_requests: 3, reject_after_requests: 1_000, ..Limits::DEFAULT };
    let (server, mut client) = started_with(limits, &[]);
    server.add_fault(Fault::Busy(60_000));
    for n in 0..10u8 {
        assert_eq!(payload_of(&mut client, &[n]).unwrap(), [n]);
    }
    assert_eq!((client.login_count(), server.connection_count()), (1, 1));
}

#[test]
fn a_connection_closed_after_execution_leaves_the_outcome_unknown() {
    let (server, mut client) = started(&[Fault::CloseAfterExecuting]);
    assert_eq!(payload_of(&mut client, b"once"), Err(Error::OutcomeUnknown(Unknown::Closed)));
    assert_eq!(payload_of(&mut client, b"next").unwrap(), b"next");
    assert_eq!(server.executed(), [b"once", b"next"], "never sent again by itself");
    assert_eq!((client.login_count(), server.connection_count()), (2, 2));
}

#[test]
fn a_connection_closed_before_execution_looks_the_same() {
    let (server, mut client) = started(&[Fault::CloseBeforeExecuting]);
    assert_eq!(payload_of(&mut client, b"once"), Err(Error::OutcomeUnknown(Unknown::Closed)));
    assert_eq!(payload_of(&mut client, b"next").unwrap(), b"next");
    assert_eq!(server.executed(), [b"next"]);
}

#[test]
fn what_of_a_pipeline_was_not_sent_goes_on_over_a_new_connection() {
    let (server, mut client) = started(&[Fault::CloseBeforeExecuting]);
    let results = client.pipeline(&[Request { op: 1, payload: b"p" }; 200]);
    let unknown = results.iter().filter(|result| matches!(result, Err(Error::OutcomeUnknown(_)))).count();
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert!((1..=64).contains(&unknown), "{unknown} were on their way");
    assert_eq!((unknown + done, server.executed().len()), (200, done));
}

#[test]
fn a_connection_closed_while_idle_costs_no_request() {
    let (server, mut client) = started(&[Fault::CloseWhenIdle]);
    assert_eq!(payload_of(&mut client, b"first").unwrap(), b"first");
    server.wait_for_ended(1);
    assert_eq!(payload_of(&mut client, b"second").unwrap(), b"second");
    assert_eq!((server.executed().len(), server.connection_count()), (2, 2));
}

#[test]
fn a_lost_key_is_believed_and_replaced() {
    let (server, mut client) = started(&[Fault::Lost]);
    let before = client.key_id();
    assert_eq!(payload_of(&mut client, b"once"), Err(Error::OutcomeUnknown(Unknown::KeyLost)));
    assert_eq!(payload_of(&mut client, b"next").unwrap(), b"next");
    assert_ne!(client.key_id(), before);
    assert_eq!(server.executed(), [b"next"]);
}

#[test]
fn a_decoy_is_not_believed() {
    let (server, mut client) = started(&[Fault::DecoyFirst]);
    let before = client.key_id();
    assert_eq!(payload_of(&mut client, b"x").unwrap(), b"x");
    assert_eq!((client.key_id(), server.connection_count()), (before, 1));
}

#[test]
fn a_stale_request_is_sent_again_under_a_new_counter() {
    let (server, mut client) = started(&[]);
    assert_eq!(payload_of(&mut client, b"first").unwrap(), b"first");
    server.skew(40_000);
    assert_eq!(payload_of(&mut client, b"second").unwrap(), b"second");
    assert_eq!(server.executed(), [&b"first"[..], b"second"]);
    assert_eq!(client.login_count(), 1);
    // The clock was corrected less than 10 s ago: the next time it is said, not hidden.
    server.skew(-20_000);
    assert_eq!(payload_of(&mut client, b"third"), Err(Error::Refused(ErrReason::Stale)));
    assert_eq!(server.executed().len(), 2);
}

#[test]
fn a_whole_pipeline_survives_a_moved_clock() {
    let (server, mut client) = started(&[]);
    assert_eq!(payload_of(&mut client, b"first").unwrap(), b"first");
    server.skew(35_000);
    let results = client.pipeline(&[Request { op: 1, payload: b"p" }; 50]);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.executed().len(), 51);
}

#[test]
fn a_replay_answer_leaves_the_outcome_unknown() {
    let (_server, mut client) = started(&[Fault::AnswerReplay]);
    assert_eq!(payload_of(&mut client, b"x"), Err(Error::OutcomeUnknown(Unknown::Replayed)));
}

#[test]
fn a_silent_server_is_given_up_in_time() {
    let server = Server::start(Limits::DEFAULT, &[Fault::Silent]);
    let timeout = Duration::from_millis(200);
    let mut client = Client::connect_with(config(&server).request_timeout(timeout)).unwrap();
    let started = Stopwatch::start(std::process::id());
    assert_eq!(payload_of(&mut client, b"x"), Err(Error::OutcomeUnknown(Unknown::TimedOut)));
    assert!(started.elapsed() < Duration::from_secs(2));
    // On a busy machine an honest answer may take longer than that, too.
    let timed_out = Err(Error::OutcomeUnknown(Unknown::TimedOut));
    let mut answers = (0..100).map(|_| payload_of(&mut client, b"y"));
    assert_eq!(answers.find(|answer| *answer != timed_out), Some(Ok(b"y".to_vec())));
}

#[test]
fn what_was_not_sent_when_the_time_was_over_is_not_unknown() {
    // Where the time was over before all were sent that may be on their way at once, the rest was not sent either; then with more time.
    let sent = [300, 3_000, 30_000].into_iter().map(|timeout_ms| {
        let server = Server::start(Limits::DEFAULT, &[Fault::Silent; 70]);
        let timeout = Duration::from_millis(timeout_ms);
        let mut client = Client::connect_with(config(&server).request_timeout(timeout)).unwrap();
        let results = client.pipeline(&[Request { op: 1, payload: b"p" }; 70]);
        let is_unknown = |result: &Result<_, _>| *result == Err(Error::OutcomeUnknown(Unknown::TimedOut));
        let sent = results.iter().take_while(|result| is_unknown(result)).count();
        assert!(results[sent..].iter().all(|result| *result == Err(Error::NotSent)));
        assert!(70 - server.faults_left() <= sent, "nor has it come");
        sent
    });
    assert_eq!(sent.into_iter().find(|sent| *sent >= 64), Some(64));
}

#[test]
fn what_is_no_server_is_not_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = std::io::Write::write_all(&mut &stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
            // Until the client has gone: a reset could overtake what it was told.
            let _ = std::io::copy(&mut &stream, &mut std::io::sink());
        }
    });
    let refused = Client::connect(address, client_identity().public(), client_identity()).err();
    assert!(matches!(refused, Some(Error::Login(LoginError::Answer(_)))), "{refused:?}");
}

#[test]
fn busy_is_waited_out_and_a_cookie_brought_back() {
    let server = Server::start(Limits::DEFAULT, &[Fault::Busy(50), Fault::Cookie, Fault::Busy(1)]);
    let started = Instant::now();
    let mut client = Client::connect_with(config(&server)).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(51));
    assert_eq!(payload_of(&mut client, b"x").unwrap(), b"x");
    assert_eq!((server.connection_count(), server.faults_left()), (1, 0));
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let server = Server::start(Limits::DEFAULT, &[Fault::Busy(1); 20]);
    let refused = Client::connect_with(config(&server)).err();
    assert_eq!(refused, Some(Error::Login(LoginError::Busy)));
    assert_eq!(server.faults_left(), 15);

    let server = Server::start(Limits::DEFAULT, &[Fault::Busy(u32::MAX)]);
    // Its thread waits for nothing but a core and the answer.
    let started = Stopwatch::start(std::process::id());
    assert_eq!(Client::connect_with(config(&server)).err(), Some(Error::Login(LoginError::Busy)));
    assert!(started.elapsed() < Duration::from_secs(1), "does not wait for what cannot come in time");
}

#[test]
fn a_second_cookie_ends_the_login() {
    let server = Server::start(Limits::DEFAULT, &[Fault::Cookie, Fault::Cookie]);
    let refused = Client::connect_with(config(&server)).err();
    assert_eq!(refused, Some(Error::Login(LoginError::SecondCookie)));
}

#[test]
fn refusals_of_a_login_are_told_apart_from_requests() {
    let server = Server::start(Limits::DEFAULT, &[Fault::RefuseLogin]);
    let refused = Client::connect_with(config(&server)).err();
    assert_eq!(refused, Some(Error::Login(LoginError::Refused)));

    // A client the server does not know sees the same.
    let stranger = mvt_client::Identity::new(mvt_proto::secret::Secret::new([9; 32]));
    let refused = Client::connect(server.address, &server.public(), stranger).err();
    assert_eq!(refused, Some(Error::Login(LoginError::Refused)));

    let (server, mut client) = started(&[Fault::CloseBeforeExecuting, Fault::RefuseLogin]);
    assert_eq!(payload_of(&mut client, b"x"), Err(Error::OutcomeUnknown(Unknown::Closed)));
    assert_eq!(payload_of(&mut client, b"y"), Err(Error::Login(LoginError::Refused)));
    assert_eq!(payload_of(&mut client, b"z").unwrap(), b"z");
    assert_eq!(server.executed(), [b"z"]);
}

#[test]
fn nobody_listening_is_a_connect_error() {
    // The port of one end of a connection is nobody else's to listen on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = stream.local_addr().unwrap();
    let refused = Client::connect(address, &[9; 32], client_identity()).err();
    assert_eq!(refused, Some(Error::Connect(std::io::ErrorKind::ConnectionRefused)));
}
