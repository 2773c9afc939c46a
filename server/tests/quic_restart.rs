//! Packets of connections that a process before this one had: CASES Q-11, on servers as processes.

mod support;

use std::{net::UdpSocket, time::Duration};

use mvt_proto::Suite;
use quinn::ConnectionError;
use support::{
    Server, counted, judge,
    quic::{Host, Stream, client_config, kept_address, never_idle},
    relay::{Relay, Rules},
    seal,
};

fn config(way: &str) -> String {
    format!("listen.quic = \"{}\"\nio.shards = 2\n{way}", kept_address())
}

fn ask(stream: &mut Stream<'_>, session: &mut mvt_proto::session::ClientSession) {
    let (pending, frame) = seal(session, b"");
    stream.send(&frame);
    assert_eq!(judge(session, &pending, &mut stream.frame().expect("an answer")), Ok(0));
}

/// The client learns of it by a reset at once, and not by silence; and whatever was recorded of its packets, handshake and requests,
/// is nothing to the new process but a reason for resets, each smaller than what it answers, and few.
#[test]
fn a_restarted_server_resets_the_connections_of_the_one_before() {
    for way in ["io.backend = \"uring\"\n", "io.backend = \"epoll\"\n"] {
        let server = Server::start(&config(way));
        let (address, _) = server.quic.clone().expect("on");
        let host = Host::new();
        let (connection, mut stream, mut session) = host.login(&server, Suite::Hs256);
        ask(&mut stream, &mut session);
        // Another one, of whose packets each is kept.
        let relay = Relay::to(address, Rules { is_recorded: true, ..Rules::default() }, 1);
        let recorded = {
            let there = host.try_connect(relay.address, client_config(b"mvt1", never_idle()));
            let there = there.expect("connected");
            let mut stream = host.open(&there);
            let mut session = host.login_on(&server, &there, &mut stream, Suite::Hs256);
            // Acknowledgements go with them or by themselves.
            while relay.recorded().len() < 12 {
                ask(&mut stream, &mut session);
            }
            relay.recorded()
        };
        let server = server.restart();
        let (_, frame) = seal(&mut session, b"");
        // QUIC may have said something by itself since, an acknowledgement perhaps, and heard the answer to that.
        stream.try_send(&frame);
        let reason = host.wait(connection.closed());
        assert_eq!(reason, ConnectionError::Reset, "{way}");
        let replaying = UdpSocket::bind("127.0.0.1:0").expect("bound");
        replaying.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
        let (mut sent, mut received) = (0, 0);
        for packet in recorded.iter().filter(|packet| packet[0] & 0x80 == 0) {
            sent += replaying.send_to(packet, address).expect("sent");
        }
        let mut buffer = [0; 65_536];
        while let Ok(length) = replaying.recv(&mut buffer) {
            received += length;
        }
        assert!(received < sent, "{way}: {received} bytes for {sent}");
        // The handshake too: its first packet begins one that nobody can go on with.
        for packet in recorded.iter().filter(|packet| packet[0] & 0x80 != 0) {
            replaying.send_to(packet, address).expect("sent");
        }
        let (_, mut stream, mut session) = host.login(&server, Suite::Hs256);
        ask(&mut stream, &mut session);
        let log = server.stop();
        let counts = ["verified", "logins", "quic_opened"].map(|name| counted(&log, name));
        assert_eq!(counts, [1, 1, 1], "the new client alone: {way}: {log}");
    }
}
