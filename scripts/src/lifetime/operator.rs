//! The admin socket of a running node, asked without a process for each command.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Names in one command, about as many as `mvt-server revoke --from FILE` puts into one.
pub(super) const NAMES_MAX: usize = 15_000;

pub(super) struct Operator(BufReader<UnixStream>);

impl Operator {
    pub(super) fn call(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket).context("cannot reach the admin socket")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Revokes clients, all or none, and waits until that is acknowledged.
    pub(super) fn revoke(&mut self, names: &[String]) -> anyhow::Result<()> {
        let mut line = json!({ "request": "revoke", "names": names }).to_string();
        line.push('\n');
        self.0.get_mut().write_all(line.as_bytes())?;
        line.clear();
        self.0.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer["revoked"].as_u64() == Some(names.len() as u64), "not revoked: {answer}");
        Ok(())
    }
}
