//! Debian's programs: found, or installed when they are missing.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::peer::Kind;

/// Where Debian puts servers, which is not always in `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];

/// Why a peer cannot take part.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// It is not there, and nothing may be installed.
    #[error("{0} is not installed and --no-install is given\n  cure: apt-get install {1}")]
    NotInstalled(&'static str, &'static str),
    /// It is not there and could not be installed.
    #[error("{program} is not installed and `apt-get install {package}` failed: {why}")]
    NotInstallable {
        /// The program.
        program: &'static str,
        /// Its package.
        package: &'static str,
        /// The last line apt-get complained with.
        why: String,
    },
}

/// The program of `kind`, installed from its package if need be and allowed.
///
/// # Errors
/// [`Missing`]; the comparison goes on without this peer.
pub fn program_of(kind: &Kind, may_install: bool) -> Result<PathBuf, Missing> {
    if let Some(path) = find(kind.program) {
        return Ok(path);
    }
    // A program without a package is built by this workspace.
    let Some(package) = kind.package else { return Ok(PathBuf::from(kind.program)) };
    if !may_install {
        return Err(Missing::NotInstalled(kind.program, package));
    }
    eprintln!("compare: installing {package}");
    let fail = |why| Missing::NotInstallable { program: kind.program, package, why };
    if apt_get(&["install", "--yes", "--no-install-recommends", package]).is_err() {
        // The lists may be old or were never fetched.
        apt_get(&["update"]).map_err(fail)?;
        apt_get(&["install", "--yes", "--no-install-recommends", package]).map_err(fail)?;
    }
    find(kind.program).ok_or_else(|| fail("the package does not hold the program".into()))
}

/// The first line of what `program` says its version is.
#[must_use]
pub fn version_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next()?.trim().to_owned())
}

/// Runs apt-get without questions; the last line of its complaint when it fails.
fn apt_get(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    // RUNLEVEL=1 keeps packages from starting services of their own.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.lines().rfind(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::peer::{KINDS, PeerName};

    #[test]
    fn a_program_that_is_not_there_names_the_cure() {
        assert!(find("sh").is_some());
        let redis = PeerName::Redis.kind();
        let absent = Kind { program: "no-such-program", ..*redis };
        let missing = program_of(&absent, false).unwrap_err().to_string();
        assert!(missing.contains("cure: apt-get install redis-server"), "{missing}");
    }

    #[test]
    fn a_peer_without_a_package_needs_no_installation() {
        for kind in KINDS.iter().filter(|kind| kind.package.is_none()) {
            assert!(program_of(kind, false).is_ok(), "{}", kind.text);
        }
    }
}
