//! Many clients at a time: names from a file, in pieces, each acknowledged and kept (CASES X-05).

mod support;

use std::{
    fmt::Write as _,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use mvt_proto::{Suite, keyfile};
use mvt_server::{
    admin::{
        caller::Caller,
        request::{Answer, Request},
    },
    limits::ADMIN_BULK_COUNT_MAX,
};
use support::{Server, mvt_server};

fn run(server: &Server, arguments: &[&str]) -> String {
    let output = mvt_server(&server.path(""), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The sum of the numbers behind `word`, at the beginning of lines.
fn summed(text: &str, word: &str) -> usize {
    let counts = text.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse::<usize>().ok());
    counts.sum()
}

fn write_clients(server: &Server, count: usize) -> Vec<String> {
    let (mut text, names) =
        (String::new(), (0..count).map(|number| format!("m{number}")).collect::<Vec<_>>());
    for (number, name) in names.iter().enumerate() {
        let mut key = [9; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        writeln!(text, "{name} {}", keyfile::key_to_text(&key)).unwrap();
    }
    fs::write(server.path("many"), text).expect("a file");
    names
}

fn revoked_count(server: &Server) -> usize {
    run(server, &["list", "--json"]).matches("\"state\":\"revoked\"").count()
}

#[test]
fn a_file_of_names_is_revoked_in_pieces_and_stays_so() {
    let count = ADMIN_BULK_COUNT_MAX + 1000;
    let server = Server::start("io.shards = 2");
    let names = write_clients(&server, count);
    assert_eq!(summed(&run(&server, &["import", "many"]), "enrolled "), count);
    assert_eq!(summed(&run(&server, &["import", "many"]), "enrolled 0, known already "), count);
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
    // The one with a session is in the last piece, its name on a line of its own twice.
    let text = format!("# who left\n\n{}\ntester\ntester\n", names.join("\n"));
    fs::write(server.path("names"), text).expect("a file");
    let said = run(&server, &["revoke", "--from", "names"]);
    assert!(said.lines().count() > 1, "{said}");
    assert_eq!(summed(&said, "revoked "), count + 1);
    let (pending, _) = wire.request(&mut session, b"");
    assert_eq!(wire.answer(&mut session, &pending), Err("Lost".into()));
    server.kill();
    let server = server.restart();
    assert_eq!(revoked_count(&server), count + 1);
    // One that is no name says where it stands, before anything is done.
    for (text, told) in [("m1\nm 2\n", "wrong:2: "), ("", "no client")] {
        let (printed, status, said) = revoke_from(&server, text);
        assert!(printed.is_empty() && status == Some(2) && said.len() == 1, "{said:?}");
        assert!(said[0].starts_with(told), "{said:?}");
    }
}

/// What it prints, its status, and the lines it says.
fn revoke_from(server: &Server, text: &str) -> (String, Option<i32>, Vec<String>) {
    fs::write(server.path("wrong"), text).expect("a file");
    let output = mvt_server(&server.path(""), &["revoke", "--from", "wrong"]);
    let said = String::from_utf8(output.stderr).expect("text");
    let said = said.lines().map(|line| line.strip_prefix("mvt-server: ").expect("who says it").to_owned());
    (String::from_utf8(output.stdout).expect("text"), output.status.code(), said.collect())
}

/// Names that no client has keep nobody else of the file in, with a server and without, and all of them are told.
#[test]
fn names_of_no_client_are_passed_over_and_told_with_their_lines() {
    let server = Server::start("io.shards = 1");
    for is_running in [true, false] {
        write_clients(&server, 4);
        run(&server, &["import", "many"]);
        if !is_running {
            server.kill();
        }
        let said = [
            "wrong:5: else: no such client",
            "wrong:2: nobody: no such client",
            "2 of 4 names are of no client; the others are revoked",
        ];
        let text = "m1\nnobody\n# who left\nm3\nelse\nnobody\n";
        let told = revoke_from(&server, text);
        assert_eq!(told, ("revoked 2\n".into(), Some(2), said.map(String::from).into()), "{is_running}");
        assert_eq!(revoked_count(&server), 2);
        let told = revoke_from(&server, "nobody\n");
        assert_eq!((told.0.as_str(), told.1, told.2.len()), ("revoked 0\n", Some(2), 2));
        // On the command line all or none, also beside a file.
        fs::write(server.path("two"), "m2\n").expect("a file");
        let output = mvt_server(&server.path(""), &["revoke", "m0", "nobody", "--from", "two"]);
        assert_eq!((output.status.code(), revoked_count(&server)), (Some(2), 2));
        let both = run(&server, &["revoke", "m0", "--from", "two"]);
        assert_eq!((both.as_str(), revoked_count(&server)), ("revoked 1\nrevoked 1\n", 4));
        assert_eq!(run(&server, &["audit"]).matches("nobody").count(), 0, "nothing was done to them");
    }
}

/// kill -9 in the middle of a mass revocation: what was acknowledged is kept, and of what was under way all or nothing.
#[test]
fn a_mass_revocation_that_is_killed_keeps_what_it_acknowledged() {
    const PIECE: usize = 250;
    const ROUNDS: usize = 6;
    let mut server = Server::start("io.shards = 1");
    let names = write_clients(&server, 10_000);
    // What a round may do at most, however late its kill comes: something is left for the next one.
    let pieces_max = names.len() / PIECE / ROUNDS;
    run(&server, &["import", "many"]);
    let acknowledged = AtomicUsize::new(0);
    for round in 0..ROUNDS {
        let socket = server.path("mvt-admin.sock");
        let goal = acknowledged.load(Ordering::SeqCst) + 3;
        std::thread::scope(|scope| {
            let revoking = scope.spawn(|| {
                let mut caller = Caller::connect(&socket).expect("allowed").expect("a server listens");
                let pieces = names.chunks(PIECE).skip(acknowledged.load(Ordering::SeqCst));
                for piece in pieces.take(pieces_max) {
                    match caller.ask(&Request::Revoke { names: piece.to_vec(), skip_unknown: false }) {
                        Ok(Answer::Revoked { revoked: PIECE, .. }) => {
                            acknowledged.fetch_add(1, Ordering::SeqCst)
                        }
                        Ok(answer) => panic!("{answer:?}"),
                        Err(_) => return,
                    };
                }
            });
            while acknowledged.load(Ordering::SeqCst) < goal && !revoking.is_finished() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_millis(7 * round as u64));
            server.signal(rustix::process::Signal::KILL);
        });
        server = server.restart();
        let (kept, done) = (revoked_count(&server), acknowledged.load(Ordering::SeqCst));
        assert!(
            kept == done * PIECE || kept == (done + 1) * PIECE,
            "{done} acknowledged, {kept} clients kept"
        );
        acknowledged.store(kept / PIECE, Ordering::SeqCst);
    }
}
