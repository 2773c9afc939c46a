//! The admin socket: commands reach the running server, and nobody else does.

mod support;

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use mvt_proto::{Suite, keyfile};
use mvt_server::limits::{ADMIN_PEER_MS, ADMIN_PEERS_MAX, ADMIN_REQUEST_BYTES_MAX};
use support::{PATIENCE, Server, counted, mvt_server, wait_for};

fn ask(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = mvt_server(&server.path(""), arguments);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit status"), text(stdout), text(stderr))
}

fn connect(server: &Server) -> UnixStream {
    let stream = UnixStream::connect(server.path("mvt-admin.sock")).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// What the server says until it closes, or until a whole line is there.
fn line(stream: &mut UnixStream) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while let Ok(1) = stream.read(&mut byte) {
        if byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("text")
}

#[test]
fn commands_reach_the_running_server() {
    let server = Server::start("io.shards = 2");
    let key = ask(&server, &["keygen", "--client", "bob.key"]).1;
    assert_eq!(
        ask(&server, &["enroll", "bob", key.trim(), "--suites", "hs256"]),
        (0, "enrolled 1\n".into(), String::new())
    );
    let text = fs::read_to_string(server.path("bob.key")).expect("made");
    let keys = keyfile::KeyFile::parse(&text).expect("a key file");
    let mut wire = server.connect();
    let (initiator, hello) = server.hello(&keys, Suite::Hs256);
    wire.send(&hello);
    let frame = wire.frame().expect("bob may log in at once");
    initiator.finish(&frame, mvt_sys::clock::boottime_ms()).expect("an honest HELLO_R");

    let (status, list, _) = ask(&server, &["list"]);
    assert_eq!((status, list.lines().count()), (0, 2), "{list}");
    assert!(list.starts_with(&format!("bob {} suites=hs256 enabled", key.trim())), "{list}");
    let (_, json, _) = ask(&server, &["show", "bob", "--json"]);
    assert!(json.contains("\"name\":\"bob\"") && json.contains("\"state\":\"enabled\""), "{json}");
    assert_eq!(ask(&server, &["revoke", "bob", "tester", "bob"]).1, "revoked 2\n");
    assert!(ask(&server, &["show", "bob"]).1.contains(" revoked "));
    assert_eq!(ask(&server, &["recover-kit", "bob"]).0, 2, "a revoked client gets no kit");
    let (_, audit, _) = ask(&server, &["audit", "--last", "2"]);
    let uid = rustix::process::geteuid().as_raw();
    let said: Vec<_> =
        audit.lines().map(|line| line.split_once(" uid=").expect("who").1.to_owned()).collect();
    assert_eq!(said, [format!("{uid} enroll bob"), format!("{uid} revoke bob tester")]);
    for (arguments, status) in
        [(&["show", "carol"][..], 2), (&["revoke", "tester", "carol"], 2), (&["recover-kit", "carol"], 2)]
    {
        let (found, out, error) = ask(&server, arguments);
        assert_eq!((found, out.as_str(), error.lines().count()), (status, "", 1), "{arguments:?}: {error}");
    }
}

/// §12.1.3
#[test]
fn a_ticket_key_is_added_by_the_running_server_and_without_one() {
    let server = Server::start("io.shards = 1");
    let (status, said, _) = ask(&server, &["rotate-ticket-key"]);
    assert!(status == 0 && said.starts_with("ticket key ") && said.len() == 20, "{said:?}");
    let count = || {
        std::fs::read_to_string(server.path("tickets.ring"))
            .expect("a ring")
            .matches("mvt-ticket-key")
            .count()
    };
    assert_eq!(count(), 2, "the one of the first start, and this one");
    let (status, voiding, _) = ask(&server, &["rotate-ticket-key", "--void-others"]);
    assert_eq!((status, count()), (0, 1), "the others are gone");
    let noted = ask(&server, &["audit"]).1;
    let noted: Vec<_> =
        noted.lines().filter_map(|line| line.split_once("rotate-")).map(|(_, what)| what).collect();
    let id = |said: &str| said.trim().rsplit(' ').next().expect("an id").to_owned();
    let expected = [
        format!("ticket-key {}", id(&said)),
        format!("ticket-key {} in the place of all others", id(&voiding)),
    ];
    assert_eq!(noted, expected);
    server.signal(rustix::process::Signal::TERM);
    // While it ends it still holds the store.
    wait_for("ended", || !server.is_running());
    assert_eq!(ask(&server, &["rotate-ticket-key"]).0, 0);
    assert_eq!(count(), 2);
}

/// SPEC §11.2.1: each with its next request.
#[test]
fn all_sessions_renew_when_an_operator_asks_for_it() {
    let server = Server::start("io.shards = 1");
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let mut request = |text: &[u8]| {
        let (pending, _) = wire.request(&mut session, text);
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
        wire.controls.len()
    };
    request(b"before");
    let (status, said, _) = ask(&server, &["renew", "--within", "1"]);
    assert_eq!((status, &*said), (0, "sessions renew, over 1 s or more\n"));
    assert!(ask(&server, &["audit"]).1.contains("renew all sessions within 1 s"));
    // A tick after the first second tells it, at the latest; the OFFER comes behind an answer, beside the TICKET of the first one.
    wait_for("offered", || request(b"after") > 1);
    assert_eq!(counted(&server.stop(), "offers"), 1);
}

#[test]
fn an_import_may_be_repeated() {
    let server = Server::start("io.shards = 1");
    let mut lines = String::from("# people\n");
    for number in 1..=300u16 {
        let mut key = [3; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        lines += &format!("client-{number} {} suites=gcm256\n", keyfile::key_to_text(&key));
    }
    fs::write(server.path("old.mvt"), &lines).expect("written");
    assert_eq!(ask(&server, &["import", "old.mvt"]).1, "enrolled 300\n");
    assert_eq!(ask(&server, &["import", "old.mvt"]).1, "enrolled 0, known already 300\n");
    assert_eq!(ask(&server, &["list"]).1.lines().count(), 301);
}

/// O-01
#[test]
fn a_name_that_could_steer_a_terminal_is_refused_and_not_repeated() {
    let server = Server::start("io.shards = 1");
    let key = keyfile::key_to_text(&[5; 32]);
    let long = "a".repeat(65);
    for name in ["a\u{1b}[2J", "a\r\nb", "${jndi:x}", "a b", "a/b", "", "ü", &long] {
        for arguments in
            [&["enroll", name, &key][..], &["show", name], &["revoke", name], &["recover-kit", name]]
        {
            let (status, out, error) = ask(&server, arguments);
            assert_eq!((status, out.as_str(), error.lines().count()), (2, "", 1), "{arguments:?}: {error}");
            assert!(error.chars().all(|c| !c.is_control() || c == '\n'), "{error:?}");
        }
    }
    let mut stream = connect(&server);
    for request in [
        "{}",
        "nonsense \u{1b}",
        "{\"request\":\"show\",\"name\":\"x\",\"more\":1}",
        "{\"request\":\"stop\"}",
        "",
    ] {
        stream.write_all(format!("{request}\n").as_bytes()).expect("sent");
        let answer = line(&mut stream);
        assert!(answer.contains("\"refused\"") && !answer.contains("nonsense"), "{request}: {answer}");
    }
    let log = server.stop();
    assert!(log.chars().all(|c| !c.is_control() || c == '\n'), "{log:?}");
}

/// L-07
#[test]
fn another_user_is_turned_away() {
    let server = Server::start("io.shards = 1");
    let socket = server.path("mvt-admin.sock");
    assert_eq!(fs::metadata(&socket).expect("there").permissions().mode() & 0o777, 0o600);
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can be somebody else: not tried");
        return;
    }
    // Even where file permissions let it in.
    for path in [socket.as_path(), &server.path("")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("set");
    }
    let foreign = std::thread::spawn(move || {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
        let mut stream = UnixStream::connect(&socket).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        // The server may have closed already.
        let _ = stream.write_all(b"{\"request\":\"revoke\",\"names\":[\"tester\"]}\n");
        line(&mut stream)
    });
    assert_eq!(foreign.join().expect("ended"), "", "not a word");
    assert!(ask(&server, &["show", "tester"]).1.contains(" enabled "));
    assert!(server.stop().contains("a foreign user was turned away uid=65534"));
}

/// L-07
#[test]
fn slow_and_oversized_callers_are_cut_off_and_stall_nobody() {
    let server = Server::start("io.shards = 1");
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let mut oversized = connect(&server);
    let _ = oversized.write_all(&vec![b' '; ADMIN_REQUEST_BYTES_MAX + 1]);
    assert_eq!(line(&mut oversized), "", "it is closed without a word");
    let begun = Instant::now();
    // A generation of idlers, and half of another one that waits behind it.
    let mut callers: Vec<_> = (0..ADMIN_PEERS_MAX * 3 / 2)
        .map(|_| {
            let mut caller = connect(&server);
            caller.write_all(b"{\"request\":").expect("sent");
            caller
        })
        .collect();
    for _ in 0..200 {
        let (pending, _) = wire.request(&mut session, b"meanwhile");
        assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    }
    // It gets in with the second.
    assert_eq!(ask(&server, &["list"]).0, 0);
    assert!(begun.elapsed() < Duration::from_millis(4 * ADMIN_PEER_MS), "{:?}", begun.elapsed());
    for caller in &mut callers[..ADMIN_PEERS_MAX] {
        assert_eq!(line(caller), "", "it was cut off");
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let server = Server::start("io.shards = 1");
    let again = "listen.tcp = \"127.0.0.1:0\"\nadmin.socket = \"other.sock\"";
    fs::write(server.path("again.toml"), again).expect("written");
    for command in ["run", "list"] {
        let (status, out, error) = ask(&server, &[command, "--config", "again.toml"]);
        assert_eq!((status, out.as_str()), (75, ""), "{error}");
        assert!(error.contains("another process uses this store"), "{error}");
    }
    assert_eq!(ask(&server, &["check-config", "--config", "again.toml"]).0, 0);
    // The same socket, another store.
    let other = "listen.tcp = \"127.0.0.1:0\"\nstore.file = \"other.store\"";
    fs::write(server.path("again.toml"), other).expect("written");
    fs::write(server.path("offline.toml"), format!("{other}\nadmin.socket = \"none.sock\""))
        .expect("written");
    assert_eq!(ask(&server, &["init", "--config", "offline.toml"]).0, 0);
    let (status, out, error) = ask(&server, &["run", "--config", "again.toml"]);
    assert_eq!((status, out.as_str()), (69, ""), "{error}");
    assert!(ask(&server, &["list"]).1.contains("tester"), "the first one goes on");
}

#[test]
fn what_is_in_the_place_of_the_socket_is_left_alone_unless_nobody_listens() {
    let server = Server::start("io.shards = 1");
    let socket = server.path("mvt-admin.sock");
    // A crash leaves its socket behind: the next start takes its place.
    let server = server.restart();
    assert_eq!(ask(&server, &["list"]).0, 0);
    let folder = socket.parent().unwrap_or(Path::new("")).to_owned();
    fs::write(server.path("precious"), "text").expect("written");
    let config = "listen.tcp = \"127.0.0.1:0\"\nstore.file = \"other.store\"\nadmin.socket = \"precious\"";
    fs::write(server.path("other.toml"), config).expect("written");
    fs::write(server.path("offline.toml"), config.replace("precious", "none.sock")).expect("written");
    assert!(mvt_server(&folder, &["init", "--config", "offline.toml"]).status.success());
    assert_eq!(mvt_server(&folder, &["run", "--config", "other.toml"]).status.code(), Some(69));
    assert_eq!(fs::read_to_string(server.path("precious")).expect("there"), "text");
    let path = server.path("mvt-admin.sock");
    assert!(path.exists());
}
