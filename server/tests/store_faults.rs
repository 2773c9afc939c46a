//! The real server on a disk that fails, which `strace` plays: nothing doubtful is acknowledged.

mod support;

use std::process::Command;

use mvt_proto::{Suite, keyfile};
use support::{Server, mvt_server};

/// A server whose system calls on its store fail as `inject` says; `None` where there is no strace, or no ptrace.
fn start(inject: &str) -> Option<Server> {
    let works = Command::new("strace")
        .args(["-D", "-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        eprintln!("strace does not work here: not tried");
        return None;
    }
    let strace =
        ["strace", "-D", "-f", "-o", "trace", "-P", "mvt.store", "-e", "trace=fdatasync,ftruncate,pwrite64"];
    let inject = ["-e", inject];
    Some(Server::start_under("io.shards = 1", &[&strace[..], &inject[..]].concat()))
}

fn enroll(server: &Server, number: u8) -> Option<i32> {
    let key = keyfile::key_to_text(&[number; 32]);
    mvt_server(&server.path(""), &["enroll", &format!("client-{number}"), &key]).status.code()
}

fn verifies(server: &Server) -> bool {
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"");
    wire.answer(&mut session, &pending) == Ok(0)
}

/// S-05
#[test]
fn one_failed_sync_ends_the_server_before_anything_else_is_acknowledged() {
    // Opening syncs a few times; the one that fails is of a change, and every later one would succeed.
    let Some(mut server) = start("inject=fdatasync:error=EIO:when=12") else { return };
    let acknowledged: Vec<u8> = (1..50).take_while(|number| enroll(&server, *number) == Some(0)).collect();
    assert!(!acknowledged.is_empty() && acknowledged.len() < 49, "{acknowledged:?}");
    assert_eq!(server.wait(), Some(74));
    // What follows is done offline, on the file as it is.
    let list = String::from_utf8(mvt_server(&server.path(""), &["list"]).stdout).expect("text");
    for number in acknowledged {
        assert!(list.contains(&format!("client-{number} ")), "{list}");
    }
    let log = std::fs::read_to_string(server.path("log")).expect("a log");
    assert!(log.contains("the store failed: stopping at once"), "{log}");
}

/// S-04
#[test]
fn a_full_disk_refuses_enrolment_and_verification_goes_on() {
    let Some(server) = start("inject=pwrite64:error=ENOSPC:when=40+") else { return };
    let refused = (1..50).map(|number| enroll(&server, number)).find(|status| *status != Some(0));
    assert_eq!(refused, Some(Some(73)));
    assert_eq!(enroll(&server, 60), Some(73));
    assert!(verifies(&server));
    // Without any room a revocation holds until the server stops, and says so.
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let output = mvt_server(&server.path(""), &["revoke", "tester"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(73), "{text}");
    assert!(text.contains("revoked on this node until it stops, but not kept"), "{text}");
    let (pending, _) = wire.request(&mut session, b"");
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()));
    wire = server.connect();
    wire.send(&server.hello(&server.client_keys(), Suite::Hs256).1);
    wire.expect_close();
}

/// What a shell script prints that has a small file system of its own, in a mount namespace; `None` where that is not allowed.
fn on_small_disk(script: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |script: &str| {
        let mounted = format!("mount -t tmpfs -o size=1700k small \"$1\" && cd \"$1\" && {script}");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &mounted, env!("CARGO_BIN_EXE_mvt-server")]).arg(folder.path());
        command.output().ok()
    };
    if !run("true").is_some_and(|output| output.status.success()) {
        eprintln!("no mount namespace to be had: not tried");
        return None;
    }
    let output = run(script).expect("as before");
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// S-04: real pages of a real file system.
#[test]
fn on_a_full_file_system_clients_are_refused_and_revoked() {
    let script = r#"
        "$0" keygen server.key >/dev/null && "$0" init >/dev/null
        for i in 1 2 3 4 5 6 7 8 9; do
            head -c 32 /dev/urandom | base64 > key
            "$0" enroll "c$i" "$(cat key)" >/dev/null 2>&1 || { echo "refused $?"; break; }
            dd if=/dev/zero of="fill$i" bs=64k count=3 2>/dev/null
        done
        "$0" revoke c1 c2; echo "status $?"; "$0" show c1; "$0" list | wc -l"#;
    let Some(said) = on_small_disk(script) else { return };
    assert!(said.contains("refused 73\nrevoked 2\nstatus 0\n"), "{said}");
    assert!(said.contains(" revoked changed="), "{said}");
}

/// S-10
#[test]
fn a_read_only_file_system_is_named() {
    let script = r#"
        "$0" keygen server.key >/dev/null && "$0" init >/dev/null && mount -o remount,ro "$1"
        for command in check-config run list; do "$0" $command 2>&1; echo "status $?"; done"#;
    let Some(said) = on_small_disk(script) else { return };
    assert_eq!(said.matches("Read-only file system").count(), 3, "{said}");
    assert_eq!(said.matches("status 73").count(), 3, "{said}");
}
