//! Files that hold secrets: nobody but their owner may read them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why a secret file was not read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The OS refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Others may read or write it.
    #[error("mode {0:04o} lets others in; run `chmod 600` on it")]
    Mode(u32),
    /// It belongs to another user.
    #[error("it belongs to user {0}, not to the user of this process")]
    Owner(u32),
    /// Not a file one would keep keys in, or too large for one (of [`SECRET_FILE_BYTES_MAX`]).
    #[error("it is not a regular file, or too large")]
    Kind,
}

/// A key file is small; anything larger is a mistake.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads the file at `path` if it is a regular file of this user (or root) that nobody else can read.
///
/// # Errors
/// [`SecretFileError`].
pub fn read_secret(path: &Path) -> Result<String, SecretFileError> {
    // O_NONBLOCK: a FIFO in place of the file must not hang the start.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() > SECRET_FILE_BYTES_MAX {
        return Err(SecretFileError::Kind);
    }
    check_private(&file)?;
    let mut text = String::with_capacity(metadata.len() as usize);
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Checks that `file` is a regular file of this user (or root) that nobody else can read or write.
///
/// # Errors
/// [`SecretFileError`].
pub fn check_private(file: &File) -> Result<(), SecretFileError> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(SecretFileError::Kind);
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(SecretFileError::Mode(metadata.mode() & 0o7777));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(SecretFileError::Owner(owner));
    }
    Ok(())
}

/// Creates the file at `path` with mode 600 and writes `text`, synced to disk with its directory entry.
///
/// # Errors
/// The OS's, also when the file exists: keys are never overwritten.
pub fn create_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_directory_of(path)
}

/// Puts `text` in place of the file at `path` (or makes it), with mode 600, synced to disk: whoever reads it meanwhile sees
/// all of the one or all of the other. One writer at a time: see [`lock_beside`].
///
/// # Errors
/// The OS's.
pub fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    let fresh = beside(path, ".new");
    // What a writer left that did not get further.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_secret(&fresh, text)?;
    fs::rename(&fresh, path)?;
    sync_directory_of(path)
}

/// Waits until no other process holds the lock of the file at `path`, and holds it until the result is dropped. The lock is
/// a file of its own beside it, so it survives the replacement of the other.
///
/// # Errors
/// The OS's.
pub fn lock_beside(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, ".lock"))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes the directory entry of `path` durable.
///
/// # Errors
/// The OS's.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
