//! The example client as a process: a line in, a line out.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{stop::Stop, tour::house::House};

/// A client, and what it said last.
#[derive(Debug)]
pub(super) struct Guest {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    answer: String,
}

impl Guest {
    /// Starts it with both servers of `house`.
    pub(super) fn start(program: &Path, house: &House, key: &str, stop: &Stop) -> anyhow::Result<Self> {
        Self::start_at(program, house, key, &[house.first.address, house.second.address], stop)
    }

    /// Starts it with these servers.
    pub(super) fn start_at(
        program: &Path,
        house: &House,
        key: &str,
        addresses: &[SocketAddr],
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args([&house.public_key, key])
            .args(addresses.iter().map(SocketAddr::to_string))
            .current_dir(&house.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the client")?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let mut guest = Self { child, input, output, answer: String::new() };
        guest.listen(stop)?;
        ensure!(guest.answer.starts_with("ready "), "the client does not log in");
        Ok(guest)
    }

    fn listen(&mut self, stop: &Stop) -> anyhow::Result<()> {
        stop.check()?;
        self.answer.clear();
        // The client's own timeouts end every wait.
        self.output.read_line(&mut self.answer)?;
        self.answer.truncate(self.answer.trim_end().len());
        Ok(())
    }

    /// Says a line; gives the answer.
    pub(super) fn say(&mut self, line: &str, stop: &Stop) -> anyhow::Result<&str> {
        writeln!(self.input, "{line}")?;
        self.listen(stop)?;
        Ok(&self.answer)
    }

    /// Sends a request, which is to be executed.
    pub(super) fn request(&mut self, text: &str, stop: &Stop) -> anyhow::Result<()> {
        self.say(&format!("request {text}"), stop)?;
        ensure!(self.answer.starts_with("status=0 "), "request {text}: {}", self.answer);
        Ok(())
    }

    /// What it said last.
    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    /// The session as it said last.
    pub(super) fn state(&self) -> &str {
        self.answer.split_once(' ').map_or(&*self.answer, |(_, state)| state)
    }

    /// One word of it.
    pub(super) fn word(&self, name: &str) -> anyhow::Result<String> {
        let mut words = self.answer.split(' ').filter_map(|word| word.split_once('='));
        let found = words.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        found.with_context(|| format!("no {name} in {:?}", self.answer))
    }

    /// One number of it.
    pub(super) fn number(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.word(name)?.parse()?)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
