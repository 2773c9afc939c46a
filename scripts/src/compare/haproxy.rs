//! HAProxy at its best for this work: one thread, no backend, no log; 200 when the token verifies, 401 otherwise.

use std::fs;

use anyhow::ensure;

use crate::process::{Process, free_address};

use super::{
    jwt,
    peer::{Running, SERVER_CORE, Seat, ask},
};

/// The secret of the tokens: thrown away with the run.
const SECRET: &str = "a-throwaway-secret-of-32-bytes--";

/// The configuration; the lifetime of a token is not checked, which is in its favour.
fn configuration(port: u16) -> String {
    format!(
        r#"global
    nbthread 1
    maxconn 8192
defaults
    mode http
    option http-keep-alive
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
frontend compare
    bind 127.0.0.1:{port}
    http-request deny deny_status 401 unless {{ http_auth_bearer,jwt_verify("HS256","{SECRET}") -m int 1 }}
    http-request return status 200
"#
    )
}

/// Starts it and proves that it checks tokens.
///
/// # Errors
/// When it does not start, refuses a good token, or lets a bad one pass.
pub fn start(seat: &Seat<'_>) -> anyhow::Result<Running> {
    let address = free_address()?;
    let configuration = configuration(address.port());
    let file = seat.folder.join("haproxy.cfg");
    fs::write(&file, &configuration)?;
    // -db: in the foreground.
    let arguments = ["-db".as_ref(), "-f".as_ref(), file.as_os_str()];
    let mut process = Process::start("haproxy", Some(SERVER_CORE), &seat.program, arguments, seat.folder)?;
    process.await_listening(address, seat.stop)?;

    let token = jwt::sign(SECRET);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let other = jwt::sign("another-secret-of-exactly-32-byt");
    for (what, field, expected) in [
        ("a good token", bearer(&token), "200"),
        ("a forged token", bearer(&jwt::forge(&token)), "401"),
        ("a token of another secret", bearer(&other), "401"),
        ("no token", String::new(), "401"),
    ] {
        let answer = ask(address, &format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n"), "\r\n\r\n")?;
        let status = answer.get(9..12).unwrap_or_default();
        ensure!(status == expected, "haproxy answers {what} with {status}, not {expected}: {answer:?}");
    }
    Ok(Running { process, address, configuration, client_arguments: vec!["--token".into(), token] })
}
