//! The command line: every mistake has its own exit status and says where it is.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use support::{Server, mvt_server};

#[test]
fn keys_are_private_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert!(mvt_server(folder.path(), &["keygen", "server.key"]).status.success());
    let path = folder.path().join("server.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    assert_eq!(mvt_server(folder.path(), &["keygen", "server.key"]).status.code(), Some(73));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn every_mistake_has_its_exit_status_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let check = |config: &str| {
        fs::write(path.join("mvt.toml"), config).unwrap();
        let output = mvt_server(path, &["check-config", "--config", "mvt.toml"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.lines().count() <= 1, "one line: {text}");
        (output.status.code().unwrap(), text)
    };
    assert!(matches!(check(""), (66, text) if text.contains("server.key")));
    mvt_server(path, &["keygen", "server.key"]);
    assert!(
        matches!(check(""), (66, text) if text.contains("mvt.store") && text.contains("mvt-server init"))
    );
    let file = "store.engine = \"file\"";
    assert!(matches!(check(file), (66, text) if text.contains("clients.mvt")));
    fs::write(path.join("clients.mvt"), "alice\n").unwrap();
    assert!(matches!(check(file), (2, text) if text.contains("clients.mvt:1: expected `name public-key")));
    fs::write(path.join("clients.mvt"), "").unwrap();
    assert_eq!(check(file).0, 0);
    assert_eq!(mvt_server(path, &["init"]).status.code(), Some(0));
    assert_eq!(mvt_server(path, &["init"]).status.code(), Some(73));
    assert_eq!(check("").0, 0);
    assert!(
        matches!(check("\n[io]\nshard = 1"), (2, text) if text.contains("mvt.toml:3:1: unknown field `shard`"))
    );
    fs::set_permissions(path.join("server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(check(""), (77, text) if text.contains("chmod 600")));
    fs::set_permissions(path.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path.join("server.key"), "nonsense\n").unwrap();
    assert!(matches!(check(""), (2, text) if text.contains("server.key: line 1")));
    fs::remove_file(path.join("server.key")).unwrap();
    mvt_server(path, &["keygen", "--client", "server.key"]);
    assert!(matches!(check(""), (2, text) if text.contains("mvt-reset-secret")));
    // O-01: nothing that steers a terminal, not even out of the operator's own file.
    let steering = check("[io]\n\"a\\u001b[2J\" = 1");
    assert!(
        matches!(steering, (2, text) if text.contains("unknown field `a\\u{1b}[2J`") && !text.contains('\u{1b}'))
    );
    fs::write(path.join("bytes.toml"), b"[io]\npin = \"\xff\"").unwrap();
    let output = mvt_server(path, &["check-config", "--config", "bytes.toml"]);
    assert_eq!(
        (output.status.code(), &output.stderr[..]),
        (Some(2), &b"mvt-server: bytes.toml:2:8: not UTF-8\n"[..])
    );
    assert_eq!(mvt_server(path, &["check-config", "--config", "none.toml"]).status.code(), Some(66));
    assert_eq!(mvt_server(path, &["no-such-command"]).status.code(), Some(2));
}

#[test]
fn enrolling_checks_name_key_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let key = String::from_utf8(mvt_server(path, &["keygen", "--client", "a.key"]).stdout).unwrap();
    let enroll = |id: &str, key: &str| mvt_server(path, &["enroll", id, key]).status.code();
    assert_eq!(enroll("a b", key.trim()), Some(2));
    assert_eq!(enroll("alice", "short"), Some(2));
    assert_eq!(enroll("alice", key.trim()), Some(0));
    assert_eq!(enroll("bob", key.trim()), Some(2));
    assert_eq!(enroll("alice", key.trim()), Some(2));
    let list = String::from_utf8(mvt_server(path, &["list"]).stdout).unwrap();
    assert!(list.starts_with(&format!("alice {} suites=hs256,gcm256 enabled", key.trim())), "{list}");
    assert_eq!(list.lines().count(), 1);
}

#[test]
fn a_port_in_use_is_refused_before_anything_starts() {
    let server = Server::start("");
    fs::write(server.path("clients.mvt"), "").unwrap();
    let config = format!("listen.tcp = \"{}\"\nstore.engine = \"file\"", server.address);
    fs::write(server.path("again.toml"), config).unwrap();
    let folder = server.path("again.toml").parent().unwrap().to_owned();
    let output = mvt_server(&folder, &["run", "--config", "again.toml"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot listen on"));
    assert!(output.stdout.is_empty());
}

/// Each shard listens with 33 sockets, so this is met by whoever has many cores and a low limit.
#[test]
fn with_too_few_open_files_nothing_starts_and_one_line_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(mvt_server(path, &["keygen", "server.key"]).status.success());
    assert!(mvt_server(path, &["init"]).status.success());
    for backend in ["uring", "epoll"] {
        let config = format!("listen.tcp = \"127.0.0.1:0\"\n[io]\nshards = 2\nbackend = \"{backend}\"\n");
        fs::write(path.join("mvt.toml"), config).unwrap();
        let is_ready = |count: u32| {
            let limited = format!(
                "ulimit -n {count}; exec \"{}\" run --config mvt.toml",
                env!("CARGO_BIN_EXE_mvt-server")
            );
            let mut process = Command::new("sh")
                .args(["-c", &limited])
                .current_dir(path)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            if line.starts_with("ready") {
                process.kill().unwrap();
            }
            let output = process.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let left = fs::remove_file(path.join("mvt-admin.sock")).is_ok();
            if line.is_empty() {
                assert_eq!(output.status.code(), Some(71), "{count} files by {backend}: {said}");
                let last = said.lines().last().unwrap_or_default();
                let told = format!("mvt-server: too few open files: {count} are allowed");
                assert!(last.starts_with(&told), "{count} files by {backend}: {said}");
                assert!(!left, "no socket stays where nobody listens");
            }
            !line.is_empty()
        };
        assert!([16, 40, 70].into_iter().all(|count| !is_ready(count)));
        assert!((71..=100).any(is_ready), "as soon as there are enough");
    }
}

#[test]
fn the_doctor_says_one_line_for_each_finding() {
    let folder = tempfile::tempdir().unwrap();
    let output = mvt_server(folder.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for subject in [
        "kernel",
        "io_uring_disabled",
        "io_uring ops",
        "ulimit -l",
        "swap",
        "ulimit -n",
        "randomness",
        "cores",
        "huge pages",
    ] {
        assert!(text.lines().any(|line| line.contains(subject)), "{subject} in {text}");
    }
    assert!(text.lines().all(|line| line.starts_with("ok ") || line.starts_with("warn ")), "{text}");
}
