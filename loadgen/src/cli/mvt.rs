//! Arguments of `run`: load on an MVT server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use mvt_proto::{Suite, keyfile::KeyFile, login::Identity};
use zeroize::Zeroizing;

use super::{
    LoadArguments, PlanError, PublicKey, SESSION_COUNT_MAX, Transport, TransportArguments,
    plan::plan_of,
    values::{count, public_key, suite},
};
use crate::{
    run::Plan,
    target::{Parties, Protocol},
    workload::{Answers, BadShares, Churn, Payload, Popularity, Workload, share_of_percent},
};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[allow(missing_docs)] // the attribute beside each is its text
pub struct RunArguments {
    #[command(flatten)]
    pub load: LoadArguments,
    #[command(flatten)]
    pub transport: TransportArguments,
    #[arg(long, value_name = "BASE64", help = "Static public key of the server", value_parser = public_key)]
    pub server_public_key: PublicKey,
    #[arg(
        long,
        value_name = "FILE|DIR",
        required = true,
        help = "Key file of an enrolled client, repeated for several; or a folder of *.key files"
    )]
    pub key: Vec<PathBuf>,
    #[arg(long, value_name = "N", help_heading = "Of what", value_parser = count(1, SESSION_COUNT_MAX),
          help = "Use the first N clients of --key [default: all]; sessions take them in turn")]
    pub identities: Option<u64>,
    #[arg(long, value_name = "N", help_heading = "Of what", value_parser = count(1, SESSION_COUNT_MAX),
          help = "Sessions over all connections [default: one each]")]
    pub sessions: Option<u64>,
    #[arg(
        long,
        default_value = "uniform",
        help_heading = "Of what",
        help = "uniform or zipf:1.1: how often each session of a connection is used"
    )]
    pub popularity: Popularity,
    #[arg(long, value_name = "N", help_heading = "Of what", value_parser = count(1, u64::MAX),
          help = "Log in anew after N requests of a session")]
    pub login_every: Option<u64>,
    #[arg(long, value_name = "SHARE", default_value = "0%", hide_default_value = true, help_heading = "Of what",
          value_parser = resume_share,
          help = "Of the sessions after the first, those resumed by a ticket instead of a login, like 90%")]
    pub resume: f64,
    #[arg(
        long,
        alias = "payload-bytes",
        default_value = "20",
        value_name = "BYTES",
        help_heading = "Of what",
        help = "20, uniform:16..256, lognormal:MEAN,SIGMA,MAX or mix:20=90,1024=10"
    )]
    pub payload: Payload,
    #[arg(long, help_heading = "Of what", value_parser = suite,
          help = "gcm256 or hs256 [default: gcm256 on TCP, hs256 inside QUIC]")]
    pub suite: Option<Suite>,
    #[arg(
        long,
        default_value = "joint",
        help_heading = "Of what",
        help = "each: an answer for each request; joint: one answer for neighbours, where the server can"
    )]
    pub answers: Answers,
    #[arg(long, value_name = "SHARES", default_value_t = BadShares::default(), help_heading = "Of what",
          hide_default_value = true, value_parser = bad_shares,
          help = "Frames the server has to refuse, beside the requests: replay=1%,forged=0.5%,stale=0.5%; one that it \
                  accepts is an error of the run")]
    pub bad: BadShares,
}

fn bad_shares(text: &str) -> Result<BadShares, String> {
    if text == "none" { Ok(BadShares::default()) } else { text.parse() }
}

fn resume_share(text: &str) -> Result<f64, String> {
    share_of_percent(text).ok_or_else(|| "expected a share, like 90%".to_owned())
}

impl RunArguments {
    /// Reads the key files, resolves the server, and checks what single arguments cannot.
    ///
    /// # Errors
    /// [`PlanError`], naming the argument.
    pub fn into_plan(self) -> Result<Plan, PlanError> {
        let threads = self.load.thread_count()?;
        let connections = self.load.connections as usize;
        let sessions = self.sessions.map_or(connections, |sessions| sessions as usize);
        if sessions < connections {
            return Err(PlanError::Sessions { sessions, connections });
        }
        if !self.bad.is_none() && self.transport.transport == Transport::QuicDatagram {
            return Err(PlanError::BadInDatagrams);
        }
        let suite = self.suite.unwrap_or_else(|| self.transport.usual_suite());
        let carrier = self.transport.carrier(self.load.io)?;
        let identities = identities(&self.key, self.identities)?;
        let workload = Workload {
            connections,
            sessions,
            popularity: self.popularity,
            in_flight: self.load.in_flight as usize,
            threads,
            payload: self.payload,
            suite,
            answers: self.answers,
            bad: self.bad,
            churn: Churn {
                reconnect_every: self.load.reconnect_every,
                login_every: self.login_every,
                resume_share: self.resume,
            },
            seed: self.load.seed,
        };
        let server_public = self.server_public_key.0;
        plan_of(self.load, carrier, Protocol::Mvt(Parties { server_public, identities }), workload)
    }
}

/// The first `count` clients of `paths`, each a file or a folder.
fn identities(paths: &[PathBuf], count: Option<u64>) -> Result<Vec<Identity>, PlanError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(key_files(path).map_err(|source| key_error(path, source))?);
        } else {
            files.push(path.clone());
        }
    }
    if let Some(count) = count {
        let count = count as usize;
        if files.len() < count {
            return Err(PlanError::Identities { count, found: files.len() });
        }
        files.truncate(count);
    }
    if files.is_empty() {
        return Err(PlanError::Identities { count: 1, found: 0 });
    }
    files.iter().map(|path| Ok(read_key(path)?.identity)).collect()
}

/// The `*.key` files of a folder by name.
fn key_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "key") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn key_error(path: &Path, source: std::io::Error) -> PlanError {
    PlanError::KeyFile { path: path.display().to_string(), source }
}

fn read_key(path: &Path) -> Result<KeyFile, PlanError> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|source| key_error(path, source))?;
    KeyFile::parse(&text).map_err(|source| PlanError::Key { path: path.display().to_string(), source })
}
