//! The SDK over QUIC between two network namespaces whose link drops packets at random, by the kernel.

mod support;

use std::process::Command;

use mvt_client::{
    Config, Error, Unknown, identity,
    quic::{Client, ServerCertificate, Way},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use support::Server;

/// Requests sent; each is executed exactly once.
const COUNT: u32 = 1_000;
const DROP_RULES: &str = "table inet lossy {\n chain in {\n  type filter hook input priority 0;\n  \
    meta l4proto udp numgen random mod 100 < 30 drop\n }\n chain out {\n  type filter hook output priority 0;\n  \
    meta l4proto udp numgen random mod 100 < 30 drop\n }\n}\n";

fn ran(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn ip(line: &str) -> bool {
    ran("ip", &line.split(' ').collect::<Vec<_>>())
}

/// Two namespaces with a link between them; gone when dropped.
struct Link {
    server: String,
    client: String,
}

impl Link {
    /// `None` where this user, or this kernel, has no namespaces.
    fn make() -> Option<Self> {
        let id = std::process::id();
        let link = Self { server: format!("mvt-s-{id}"), client: format!("mvt-c-{id}") };
        let (server, client) = (&link.server, &link.client);
        let made = ip(&format!("netns add {server}"))
            && ip(&format!("netns add {client}"))
            && ip(&format!("link add mvs{id} netns {server} type veth peer name mvc{id} netns {client}"))
            && ip(&format!("-n {server} addr add 10.77.0.1/24 dev mvs{id}"))
            && ip(&format!("-n {client} addr add 10.77.0.2/24 dev mvc{id}"))
            && ip(&format!("-n {server} link set mvs{id} up"))
            && ip(&format!("-n {client} link set mvc{id} up"))
            && ip(&format!("-n {server} link set lo up"));
        made.then_some(link)
    }

    /// Drops 30 of 100 packets in each direction from now on.
    fn begin_to_drop(&self) -> bool {
        let file = std::env::temp_dir().join(format!("{}.nft", self.server));
        std::fs::write(&file, DROP_RULES).expect("written");
        let done = ran("ip", &["netns", "exec", &self.server, "nft", "-f", &file.to_string_lossy()]);
        let _ = std::fs::remove_file(&file);
        done
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.server));
        ip(&format!("netns del {}", self.client));
    }
}

/// SPEC §17.2.7, with packets dropped by the kernel.
#[test]
fn requests_complete_once_over_a_link_that_drops() {
    let Some(link) = Link::make() else {
        eprintln!("SKIPPED: 1 test needs root, `ip netns` and veth");
        return;
    };
    if !ran("ip", &["netns", "exec", &link.server, "nft", "--version"]) {
        eprintln!("SKIPPED: 1 test needs nft");
        return;
    }
    let config = "listen.quic = \"10.77.0.1:0\"\nservice.kind = \"echo\"\n";
    let server = Server::start_under(config, &["ip", "netns", "exec", &link.server]);
    let (address, _) = server.quic.clone().expect("QUIC is on");
    let (answered, stands) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            // This thread alone; its sockets are made in the other namespace.
            let namespace = std::fs::File::open(format!("/var/run/netns/{}", link.client)).expect("made");
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).expect("entered");
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(ask(&server, address, &link))
        });
        asking.join().expect("every request ends")
    });
    assert_eq!(answered + stands, COUNT);
    let log = server.stop();
    assert!(log.contains(&format!("verified={COUNT} ")), "each exactly once: {log}");
    println!("{answered} answered, {stands} executed with their answer lost");
}

async fn ask(server: &Server, address: std::net::SocketAddr, link: &Link) -> (u32, u32) {
    let identity = identity::load(server.path("client.key")).expect("an identity");
    let config = Config::new(address, &server.public_key, identity).expect("an address");
    let config = config.quic(ServerCertificate::CheckedByLogin);
    let config = config.request_timeout(std::time::Duration::from_secs(60));
    let client = Client::connect(config, Way::Datagrams).await.expect("logged in");
    assert!(link.begin_to_drop(), "nft takes the rules");
    let asking: Vec<_> = (0..COUNT)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.request(9, &number.to_be_bytes()).await })
        })
        .collect();
    let (mut answered, mut stands) = (0, 0);
    for asked in asking {
        match asked.await.expect("no panic") {
            Ok(_) => answered += 1,
            Err(Error::OutcomeUnknown(Unknown::Replayed)) => stands += 1,
            Err(error) => panic!("{error}"),
        }
    }
    (answered, stands)
}
