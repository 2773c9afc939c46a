//! An operator's commands on the store: to the running server if there is one, else on the file itself.

mod bulk;
mod offline;
mod text;

use std::path::Path;

use crate::{
    admin::{
        caller::Caller,
        request::{Answer, NewClient, Request},
    },
    config::{Config, Engine},
    fatal::Fatal,
    registry,
    store::{StoreError, file},
};

/// Where commands go.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The configuration file; without it the defaults hold and files are looked for here.
    #[arg(long, short)]
    pub config: Option<std::path::PathBuf>,
    /// Answer with one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Reads the configuration at `path`, or gives the defaults.
///
/// # Errors
/// The configuration's.
pub fn configuration(path: Option<&Path>) -> Result<Config, Fatal> {
    Ok(path.map(Config::read).transpose()?.unwrap_or_default())
}

/// Makes an empty store.
///
/// # Errors
/// [`registry::init`].
pub fn init(target: &Target) -> Result<(), Fatal> {
    let config = configuration(target.config.as_deref())?;
    registry::init(&config)?;
    println!("{} {}", config.store.file.display(), config.store.seal_key_file.display());
    Ok(())
}

/// Takes the store as it is, though its mark says that it was put back to an older copy.
///
/// # Errors
/// The store's, also while a server has it.
pub fn accept_store(target: &Target) -> Result<(), Fatal> {
    let config = configuration(target.config.as_deref())?;
    let registry = registry::accept(&config)?;
    let revision = offline::Offline::new(registry, config)?.accept()?;
    println!(
        "accepted, change {revision}: sessions and tickets of before are void; revoke anew whom it forgot"
    );
    Ok(())
}

/// Asks, and prints the answer.
///
/// # Errors
/// Why it was not done, or not known to be done.
pub fn ask(target: &Target, request: Request) -> Result<(), Fatal> {
    let mut desk = Desk::open(target, matches!(request, Request::Enroll { .. }))?;
    let answer = desk.ask(&request)?;
    print(target, &answer);
    Ok(())
}

/// Lists every client, page by page.
///
/// # Errors
/// As [`ask`].
pub fn list(target: &Target) -> Result<(), Fatal> {
    let mut desk = Desk::open(target, false)?;
    let mut after = String::new();
    loop {
        let answer = desk.ask(&Request::List { after })?;
        print(target, &answer);
        match answer {
            Answer::Clients { clients, is_more: true } => {
                after = clients.last().map(|client| client.identity.name.clone()).unwrap_or_default();
            }
            _ => return Ok(()),
        }
    }
}

/// Revokes clients, in pieces: those of each are out everywhere, or none of them is, and each piece is acknowledged by a line. A name of the
/// file that no client has keeps none of the others in: it is told with its line, and passed over.
///
/// # Errors
/// The file's, before anything is done; as [`ask`]: pieces that were acknowledged stand; and at the end that names were passed over.
pub fn revoke(target: &Target, names: Vec<String>, from: Option<&Path>) -> Result<(), Fatal> {
    let listed = from.map(bulk::names).transpose()?.unwrap_or_default();
    if names.is_empty() && listed.is_empty() {
        return ask(target, Request::Revoke { names, skip_unknown: false });
    }
    let mut desk = Desk::open(target, false)?;
    for names in bulk::pieces(&names, bulk::NAMED_BYTES_MAX) {
        print(target, &desk.ask(&Request::Revoke { names: names.to_vec(), skip_unknown: false })?);
    }
    let mut passed_over = 0;
    for piece in bulk::pieces(&listed, bulk::NAMED_BYTES_MAX) {
        let names = piece.iter().map(|listed| listed.name.clone()).collect();
        let answer = desk.ask(&Request::Revoke { names, skip_unknown: true })?;
        print(target, &answer);
        if let (Answer::Revoked { unknown, .. }, Some(path)) = (answer, from) {
            passed_over += unknown.len();
            for listed in piece.iter().filter(|listed| unknown.binary_search(&listed.name).is_ok()) {
                let text = format!("{}:{}: {}: no such client", path.display(), listed.line, listed.name);
                eprintln!("mvt-server: {}", Fatal::Refused { status: 2, text }.line());
            }
        }
    }
    if passed_over == 0 {
        return Ok(());
    }
    let text = format!("{passed_over} of {} names are of no client; the others are revoked", listed.len());
    Err(Fatal::Refused { status: 2, text })
}

/// Enrols the clients of an authorized file that are not enrolled just so already, in pieces as [`revoke`].
///
/// # Errors
/// The file's, and as [`ask`]: pieces that were acknowledged stand.
pub fn import(target: &Target, path: &Path) -> Result<(), Fatal> {
    let mut lines = file::read(path)?;
    lines.sort_unstable_by(|line, other| line.name.cmp(&other.name));
    let mut desk = Desk::open(target, true)?;
    for lines in bulk::pieces(&lines, bulk::CLIENT_BYTES_MAX) {
        let clients = lines.iter().map(NewClient::of_line).collect();
        let answer = desk.ask(&Request::Enroll { clients, skip_known: true, recovery_kit: false })?;
        print(target, &answer);
    }
    Ok(())
}

fn print(target: &Target, answer: &Answer) {
    if target.json {
        let line = zeroize::Zeroizing::new(serde_json::to_string(answer).expect("answers are plain data"));
        println!("{}", *line);
    } else {
        print!("{}", *text::of(answer));
    }
}

/// The running server, or the file.
enum Desk {
    Online(Caller, std::path::PathBuf),
    Offline(Box<offline::Offline>),
}

impl Desk {
    fn open(target: &Target, may_create: bool) -> Result<Self, Fatal> {
        let config = configuration(target.config.as_deref())?;
        let path = config.admin.socket.clone();
        let caller =
            Caller::connect(&path).map_err(|source| Fatal::AdminSocket { path: path.clone(), source })?;
        if let Some(caller) = caller {
            return Ok(Self::Online(caller, path));
        }
        let registry = match registry::open(&config) {
            Err(Fatal::Store(StoreError::Missing { .. }))
                if may_create && config.store.engine == Engine::Redb =>
            {
                registry::init(&config)?;
                // Said, because it may be the wrong folder.
                eprintln!("mvt-server: made {}", config.store.file.display());
                registry::open(&config)?
            }
            opened => opened?,
        };
        Ok(Self::Offline(Box::new(offline::Offline::new(registry, config)?)))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, Fatal> {
        let answer = match self {
            Self::Online(caller, path) => {
                caller.ask(request).map_err(|source| Fatal::Unanswered { path: path.clone(), source })?
            }
            Self::Offline(offline) => offline.ask(request)?,
        };
        match answer {
            Answer::Refused { status, text } => Err(Fatal::Refused { status, text }),
            answer => Ok(answer),
        }
    }
}
