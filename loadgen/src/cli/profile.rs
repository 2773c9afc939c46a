//! Profiles: arguments from a TOML file, named as on the command line, which overrides them.

use std::{ffi::OsString, fs, io, path::Path};

use clap::error::{ContextKind, ContextValue};
use toml::de::{DeTable, DeValue};

/// The profiles that are in the binary.
pub const EMBEDDED: [(&str, &str); 8] = [
    ("default", include_str!("../../profiles/default.toml")),
    ("depth1", include_str!("../../profiles/depth1.toml")),
    ("pipeline256", include_str!("../../profiles/pipeline256.toml")),
    ("open-100k", include_str!("../../profiles/open-100k.toml")),
    ("mixed-payload", include_str!("../../profiles/mixed-payload.toml")),
    ("zipf", include_str!("../../profiles/zipf.toml")),
    ("hostile", include_str!("../../profiles/hostile.toml")),
    ("churn", include_str!("../../profiles/churn.toml")),
];

/// What a profile may hold; the server, its keys and the files of a result are the command line's alone.
pub const KEYS: [&str; 25] = [
    "rate",
    "arrivals",
    "ramp",
    "closed",
    "spin",
    "doze",
    "warmup",
    "duration",
    "requests",
    "seed",
    "connections",
    "in-flight",
    "reconnect-every",
    "threads",
    "io",
    "identities",
    "sessions",
    "popularity",
    "login-every",
    "resume",
    "payload",
    "suite",
    "answers",
    "bad",
    "assert",
];
/// What it says of itself.
const ABOUT: &str = "about";
/// Other names of arguments on the command line.
const ALIASES: [(&str, &str); 3] =
    [("-c", "connections"), ("--pipeline", "in-flight"), ("--payload-bytes", "payload")];
/// What a loop of the other kind on the command line overrides.
const OF_OPEN_LOOP: [&str; 5] = ["rate", "arrivals", "ramp", "spin", "doze"];

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No such name or file.
    #[error("--profile {name}: {source}; the names are {names}", names = EMBEDDED.map(|(name, _)| name).join(", "))]
    Read {
        /// As given.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{name}:{line}: {fault}")]
    Fault {
        /// As given.
        name: String,
        /// From 1.
        line: usize,
        /// What.
        fault: String,
    },
}

/// A command line with a profile in it.
#[derive(Debug)]
pub struct Expanded {
    /// All arguments, the program's name first.
    pub arguments: Vec<OsString>,
    profile: Option<Profile>,
}

#[derive(Debug)]
struct Profile {
    name: String,
    /// Each key with its line and its arguments.
    rows: Vec<(String, usize, Vec<String>)>,
}

/// Puts the arguments of `--profile` into `arguments`, those that the command line does not name itself.
///
/// # Errors
/// [`ProfileError`], naming file and line.
pub fn expand(mut arguments: Vec<OsString>) -> Result<Expanded, ProfileError> {
    let Some(name) = value_of(&arguments, "--profile") else {
        return Ok(Expanded { arguments, profile: None });
    };
    let mut profile = Profile::read(&name)?;
    let named: Vec<String> = arguments.iter().filter_map(|it| key_of(&it.to_string_lossy())).collect();
    let names = |key: &str| named.iter().any(|it| it == key);
    profile.rows.retain(|(key, ..)| {
        let overridden = match key.as_str() {
            "closed" => names("rate"),
            key => names("closed") && OF_OPEN_LOOP.contains(&key),
        };
        !overridden && (!names(key) || key == "assert")
    });
    // After the name of the subcommand, which may be followed by a value of its own only by its flags.
    let at = arguments.len().min(2);
    let own: Vec<OsString> = profile.rows.iter().flat_map(|(.., words)| words).map(OsString::from).collect();
    arguments.splice(at..at, own);
    Ok(Expanded { arguments, profile: Some(profile) })
}

impl Expanded {
    /// The profile's line, when it is what `error` is about.
    #[must_use]
    pub fn blame(&self, error: &clap::Error) -> Option<ProfileError> {
        let profile = self.profile.as_ref()?;
        let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
        let key = key_of(argument.split([' ', '=']).next()?)?;
        let (_, line, _) = profile.rows.iter().find(|(known, ..)| *known == key)?;
        let text = error.to_string();
        let fault = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Some(ProfileError::Fault { name: profile.name.clone(), line: *line, fault })
    }
}

impl Profile {
    fn read(name: &str) -> Result<Self, ProfileError> {
        let embedded = EMBEDDED.iter().find(|(known, _)| *known == name);
        let text = match embedded {
            Some((_, text)) => (*text).to_owned(),
            None => fs::read_to_string(Path::new(name))
                .map_err(|source| ProfileError::Read { name: name.to_owned(), source })?,
        };
        Self::parse(name, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let fault = |at: usize, fault: String| {
            let line = 1 + text[..at.min(text.len())].matches('\n').count();
            ProfileError::Fault { name: name.to_owned(), line, fault }
        };
        let table = DeTable::parse(text)
            .map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut rows = Vec::new();
        for (key, value) in table.get_ref() {
            let at = key.span().start;
            let name = key.get_ref().to_string();
            if name == ABOUT {
                continue;
            }
            if !KEYS.contains(&name.as_str()) {
                return Err(fault(
                    at,
                    format!("unknown key `{name}`; there are {ABOUT}, {}", KEYS.join(", ")),
                ));
            }
            let words = words(&name, value.get_ref())
                .ok_or_else(|| fault(at, format!("`{name}` is a text, a number, true or a list of texts")))?;
            rows.push((name, 1 + text[..at].matches('\n').count(), words));
        }
        Ok(Self { name: name.to_owned(), rows })
    }
}

/// `key = value` as arguments.
fn words(key: &str, value: &DeValue<'_>) -> Option<Vec<String>> {
    Some(match value {
        DeValue::Boolean(true) => vec![format!("--{key}")],
        DeValue::Boolean(false) => Vec::new(),
        DeValue::String(text) => vec![format!("--{key}={text}")],
        DeValue::Integer(number) => vec![format!("--{key}={}", number.as_str())],
        DeValue::Float(number) => vec![format!("--{key}={}", number.as_str())],
        DeValue::Array(values) => {
            let each: Option<Vec<_>> = values.iter().map(|value| words(key, value.get_ref())).collect();
            each?.concat()
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// The long name of an argument, whichever way it is written.
fn key_of(argument: &str) -> Option<String> {
    let name = argument.split('=').next()?;
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name || *alias == "-c" && is_short(argument));
    match alias {
        Some((_, key)) => Some((*key).to_owned()),
        None => name.strip_prefix("--").filter(|key| !key.is_empty()).map(str::to_owned),
    }
}

/// `-c8` and the like.
fn is_short(argument: &str) -> bool {
    argument.strip_prefix("-c").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn value_of(arguments: &[OsString], name: &str) -> Option<String> {
    let mut words = arguments.iter().map(|it| it.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == name {
            return words.next();
        }
        if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn rows(text: &str) -> Result<Vec<String>, String> {
        let profile = Profile::parse("p.toml", text).map_err(|error| error.to_string())?;
        Ok(profile.rows.into_iter().flat_map(|(.., words)| words).collect())
    }

    #[test]
    fn every_key_is_an_argument_of_run() {
        let run = crate::cli::Cli::command().find_subcommand("run").expect("run").clone();
        for key in KEYS {
            assert!(run.get_arguments().any(|it| it.get_long() == Some(key)), "{key}");
        }
    }

    #[test]
    fn every_embedded_profile_is_read_and_says_what_it_is() {
        for (name, text) in EMBEDDED {
            Profile::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert!(text.contains("about = \""), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, fault) in [
            ("rate = \"1k\"\n\nspede = 1\n", "p.toml:3: unknown key `spede`"),
            ("rate = \n", "p.toml:1: "),
            ("# a\nrate = { a = 1 }\n", "p.toml:2: `rate` is a text"),
            ("server = \"a:1\"\n", "p.toml:1: unknown key `server`"),
        ] {
            let error = rows(text).expect_err(text);
            assert!(error.starts_with(fault), "{error}");
        }
        let all = rows("closed = true\nspin = false\nin-flight = 4\nassert = [\"p99<1ms\", \"errors==0\"]\n");
        let mut all = all.expect("a profile");
        all.sort();
        assert_eq!(all, ["--assert=errors==0", "--assert=p99<1ms", "--closed", "--in-flight=4"]);
    }

    #[test]
    fn the_command_line_overrides_a_profile() {
        let expanded = |line: &str| {
            let all = expand(line.split(' ').map(OsString::from).collect()).expect(line);
            let words = all.arguments.into_iter().map(|it| it.into_string().expect("UTF-8"));
            words.collect::<Vec<_>>().join(" ")
        };
        let own = expanded("mvt-loadgen run --profile open-100k");
        assert!(own.starts_with("mvt-loadgen run --") && own.contains("--rate=100k"), "{own}");
        assert!(!expanded("mvt-loadgen run --profile open-100k --rate 5").contains("=100k"));
        assert!(!expanded("mvt-loadgen run --profile=open-100k --closed").contains("--rate"));
        assert!(!expanded("mvt-loadgen run --profile pipeline256 -c 3").contains("--connections"));
        assert_eq!(expanded("mvt-loadgen run --rate 5"), "mvt-loadgen run --rate 5");
    }
}
