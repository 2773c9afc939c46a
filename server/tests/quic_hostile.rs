//! What may arrive at a QUIC port from anybody: CASES Q-*, on the server as a process.

mod support;

use std::time::{Duration, Instant};

use mvt_proto::Suite;
use support::{
    PATIENCE, Server, counted,
    initial::{initial, protected},
    judge,
    quic::{Host, tls_config},
    seal,
    stranger::{Stranger, good_parameters, is_retry, load},
};

const CONFIG: &str = "listen.quic = \"127.0.0.1:0\"\nio.shards = 1\n";

fn still_serves(server: &Server) {
    let host = Host::new();
    let (_connection, mut stream, mut session) = host.login(server, Suite::Hs256);
    let (pending, frame) = seal(&mut session, b"");
    stream.send(&frame);
    assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
}

fn number(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn noise_is_answered_with_less_than_it_was_and_harms_nobody() {
    let server = Server::start(CONFIG);
    let mut seed = u64::from(std::process::id()) << 20 | 1;
    let first_seed = seed;
    let honest = initial([9; 8], &[], tls_config(b"mvt1"));
    let mut stranger = Stranger::new(&server);
    for round in 0..4000 {
        let length = (number(&mut seed) % 1500) as usize;
        let mut packet = match round % 4 {
            0 => (0..length).map(|_| number(&mut seed) as u8).collect(),
            1 => honest[..length.min(honest.len())].to_vec(),
            2 => vec![],
            _ => honest.clone(),
        };
        for _ in 0..number(&mut seed) % 4 {
            let at = number(&mut seed) as usize % packet.len().max(1);
            packet.get_mut(at).into_iter().for_each(|byte| *byte ^= number(&mut seed) as u8);
        }
        stranger.send(&packet);
        if round % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
            stranger.listen();
        }
    }
    // One socket, read in order: who comes behind all of it is served when all of it was answered.
    still_serves(&server);
    let received = stranger.listen();
    assert!(received <= stranger.sent_bytes, "{received} for {}: seed {first_seed}", stranger.sent_bytes);
}

/// RFC 9000 §8: not more than three times what an unproved address sent, however long it stays silent.
#[test]
fn an_unproved_address_gets_at_most_three_times_its_bytes() {
    let server = Server::start(CONFIG);
    let mut stranger = Stranger::new(&server);
    stranger.send(&initial([7; 8], &good_parameters(), tls_config(b"mvt1")));
    let sent = Instant::now();
    while stranger.listen() < 1200 {
        assert!(sent.elapsed() < PATIENCE, "the canary: the packet was a good one");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Twice that its timer would have it say it again; `quic_proof.rs` has a minute of that.
    std::thread::sleep(Duration::from_secs(3).saturating_sub(sent.elapsed()));
    let received = stranger.listen();
    assert!(received <= 3 * stranger.sent_bytes, "{received} for {}", stranger.sent_bytes);
}

#[test]
fn malformed_transport_parameters_end_the_handshake() {
    let server = Server::start(CONFIG);
    let cases: [&[u8]; 9] = [
        // Lengths beyond the end; half a number; none at all.
        &[0x0f, 0x05],
        &[0x0f, 0x00, 0x04],
        &[0x0f, 0x00, 0xc0],
        &[],
        // Twice the same.
        &[0x0f, 0x00, 0x04, 0x01, 0x10, 0x04, 0x01, 0x10],
        // ack_delay_exponent 63; max_udp_payload_size 5; active_connection_id_limit 0; a server's parameter.
        &[0x0f, 0x00, 0x0a, 0x01, 0x3f],
        &[0x0f, 0x00, 0x03, 0x01, 0x05],
        &[0x0f, 0x00, 0x0e, 0x01, 0x00],
        &[0x0f, 0x00, 0x02, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    ];
    let said = |id: u8, packet: &dyn Fn([u8; 8]) -> Vec<u8>| {
        let mut stranger = Stranger::new(&server);
        stranger.send(&packet([id; 8]));
        (id, stranger)
    };
    let malformed = cases
        .into_iter()
        .zip(1..)
        .map(|(parameters, id)| said(id, &|id| initial(id, parameters, tls_config(b"mvt1"))));
    // Frames that do not belong there.
    let misplaced = [0x08u8, 0x1c, 0x30, 0x40, 0x02, 0x18]
        .map(|frame| said(0x80 | frame, &|id| protected(id, vec![frame; 40])));
    let mut strangers: Vec<_> = malformed.chain(misplaced).collect();
    // Absurd but allowed: windows and stream counts as large as numbers are.
    let mut absurd = good_parameters();
    for id in [0x04, 0x05, 0x06, 0x07] {
        absurd.extend_from_slice(&[id, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }
    let (_, mut allowed) = said(77, &|id| initial(id, &absurd, tls_config(b"mvt1")));
    // Served behind all of them, so all of them were answered.
    still_serves(&server);
    for (id, stranger) in &mut strangers {
        let received = stranger.listen();
        assert!(received <= stranger.sent_bytes, "{id:#x}: {received} bytes");
    }
    assert!((1200..=3 * allowed.sent_bytes).contains(&allowed.listen()), "the canary: a handshake begins");
    let log = server.stop();
    assert_eq!(counted(&log, "logins"), 1, "{log}");
}

#[test]
fn under_load_clients_prove_their_address_first() {
    let server = Server::start(CONFIG);
    let strangers = load(&server);
    // Smaller than what asked for it.
    for stranger in
        strangers.iter().filter(|stranger| stranger.received.iter().any(|packet| is_retry(packet)))
    {
        assert!(stranger.received.iter().all(|packet| packet.len() < 200));
    }
    // Whoever can prove it is served meanwhile.
    still_serves(&server);
    assert!(counted(&server.stop(), "quic_retries") >= 10);
}

/// Half-open handshakes are bounded in number and time: the flood passes, and is forgotten.
#[test]
fn a_flood_of_first_packets_is_forgotten() {
    let server = Server::start(CONFIG);
    let before = server.resident_bytes();
    for round in 0..40u64 {
        for number in 0..50u64 {
            let mut stranger = Stranger::new(&server);
            stranger.send(&initial(
                (round << 8 | number | 1 << 63).to_be_bytes(),
                &good_parameters(),
                tls_config(b"mvt1"),
            ));
        }
    }
    // Who comes behind them is served when all of them were looked at.
    still_serves(&server);
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "2,000 strangers cost {grown} bytes");
}

/// CASES Q-05: whoever resets his streams has ended his connection (SPEC §17.2.4), however often he comes again.
#[test]
fn a_storm_of_resets_ends_its_connections_and_harms_nobody() {
    const ROUNDS: u64 = 150;
    let server = Server::start(CONFIG);
    let host = Host::new();
    let (_connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
    let mut before = 0;
    for round in 0..ROUNDS {
        let storming = host.connect(&server);
        let mut streams: Vec<_> =
            (0..4).map(|_| host.wait(storming.open_bi()).expect("four are let")).collect();
        for (send, _) in &mut streams {
            host.wait(send.write_all(&[0])).expect("sent");
        }
        // The first one ends the connection, perhaps before the last one has left.
        for (send, receive) in &mut streams {
            send.reset(7u8.into()).expect("open");
            receive.stop(7u8.into()).expect("open");
        }
        let reason = host.wait(storming.closed());
        assert!(matches!(reason, quinn::ConnectionError::ApplicationClosed(_)), "{round}: {reason:?}");
        if round % 10 == 0 {
            let (pending, frame) = seal(&mut session, b"");
            stream.send(&frame);
            assert_eq!(judge(&mut session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
        }
        if round == ROUNDS / 3 {
            before = server.resident_bytes();
        }
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for {} connections more", ROUNDS - ROUNDS / 3);
    assert_eq!(counted(&server.stop(), "quic_opened"), ROUNDS + 1);
}
