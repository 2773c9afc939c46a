//! A kernel that does not take the program by which connections find their shard and their accept queue: it spreads them as it likes.

mod support;

use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, TcpStream},
    os::fd::AsFd,
    process::Command,
};

use mvt_proto::Suite;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::{Server, Wire, counted};

/// A network in which programs find no room; gone when dropped.
struct Refusing(String);

impl Refusing {
    /// `None` where this user, or this kernel, has none.
    fn make(purpose: &str) -> Option<Self> {
        let name = format!("mvt-{purpose}-{}", std::process::id());
        let refusing = Self(name.clone());
        let made = ip(&["netns", "add", &name])
            && ip(&["-n", &name, "link", "set", "lo", "up"])
            && ip(&["netns", "exec", &name, "sh", "-c", "echo 0 > /proc/sys/net/core/optmem_max"]);
        if !made {
            eprintln!("SKIPPED: 1 test needs root, `ip netns` and a limit on programs for each network");
        }
        made.then_some(refusing)
    }

    fn start(&self, backend: &str, shards: usize) -> Server {
        let config = format!("io.backend = \"{backend}\"\nio.shards = {shards}\n");
        Server::start_under(&config, &["ip", "netns", "exec", &self.0])
    }

    /// Runs `test` in it; what the server said.
    fn with_server(&self, backend: &str, shards: usize, test: impl Fn(&Server) + Send + Sync) -> String {
        let server = self.start(backend, shards);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let namespace = File::open(format!("/var/run/netns/{}", self.0)).expect("made");
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), kind).expect("entered");
                test(&server);
            });
        });
        let log = server.stop();
        assert!(log.contains("connections are not steered"), "the canary: {log}");
        log
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// §17.1.2: nothing but speed depends on it.
#[test]
fn clients_are_served_wherever_they_land() {
    let Some(refusing) = Refusing::make("served") else { return };
    for backend in ["uring", "epoll"] {
        for shards in [1, 3] {
            let log = refusing.with_server(backend, shards, |server| {
                let (_wire, mut session) = server.login(Suite::Hs256);
                for number in 0..40 {
                    // From many addresses, so that each shard and many of its queues have some.
                    let mut wire = Wire::connect_from(Ipv4Addr::new(127, 3, number, 1), server.address);
                    let (pending, _) = wire.request(&mut session, b"");
                    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
                }
            });
            assert_eq!(counted(&log, "verified"), 40, "{log}");
            assert_eq!(counted(&log, "forwarded") > 0, shards > 1, "{log}");
        }
    }
}

/// Its connections are in all queues: newcomers wait behind some of them, and are let in all the same.
#[test]
fn newcomers_are_let_in_during_a_flood_of_one_address() {
    let Some(refusing) = Refusing::make("flood") else { return };
    for backend in ["uring", "epoll"] {
        let log = refusing.with_server(backend, 1, |server| {
            let (mut established, mut session) = server.login(Suite::Hs256);
            let mut forged = server.hello(&server.client_keys(), Suite::Hs256).1;
            forged[511] ^= 1;
            for number in 0..8 {
                // A connection costs its sender as much as us: as many come as that one thread makes.
                let flood = (0..100).map(|_| {
                    let wire = Wire::connect_from(Ipv4Addr::new(127, 66, 0, 1), server.address);
                    let mut stream: TcpStream = wire.stream;
                    // The server may have had enough already.
                    let _ = stream.write_all(&forged);
                    stream
                });
                let flood: Vec<_> = flood.collect();
                let mut wire = Wire::connect_from(Ipv4Addr::new(127, 70, number, 9), server.address);
                server.login_on(&mut wire, Suite::Hs256);
                let (pending, _) = established.request(&mut session, b"");
                assert_eq!(established.answer(&mut session, &pending), Ok(0));
                drop(flood);
            }
        });
        assert!(counted(&log, "accepts_paused") > 0 && counted(&log, "logins") == 9, "{log}");
    }
}
