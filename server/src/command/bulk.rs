//! Many clients by one command line: read from a file, asked in pieces that fit a request.

use std::path::Path;

use crate::{
    limits::{ADMIN_BULK_COUNT_MAX, ADMIN_REQUEST_BYTES_MAX},
    store::{
        StoreError,
        file::LineFault,
        record::{NAME_BYTES_MAX, is_name},
    },
};

/// Bytes of a request around what is asked.
const FRAME_BYTES: usize = 256;
/// Bytes of a client in a request to enrol it: its name, 44 of its key, at most 12 of its suites, and what names the three.
pub(super) const CLIENT_BYTES_MAX: usize = NAME_BYTES_MAX + 44 + 12 + 60;
/// Bytes of a name in a request, with quotes and comma.
pub(super) const NAMED_BYTES_MAX: usize = NAME_BYTES_MAX + 3;

/// Pieces of what takes `bytes_max` each in a request. A piece is one change of the store, and its answer an acknowledgement of its own.
pub(super) fn pieces<T>(items: &[T], bytes_max: usize) -> std::slice::Chunks<'_, T> {
    items.chunks(ADMIN_BULK_COUNT_MAX.min((ADMIN_REQUEST_BYTES_MAX - FRAME_BYTES) / bytes_max))
}

/// A name, and the first line that has it, from 1.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) line: usize,
}

/// The names of a file, one a line, in order, so that those of a piece are neighbours in the store, and each once. Empty lines and those
/// that begin with `#` are none.
pub(super) fn names(path: &Path) -> Result<Vec<Listed>, StoreError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    // Some editors begin a file with this.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim).zip(1..);
    let names = lines.filter(|(name, _)| !name.is_empty() && !name.starts_with('#')).map(|(name, line)| {
        let fault = || StoreError::Line { path: path.to_owned(), line, fault: LineFault::Name };
        is_name(name).then(|| Listed { name: name.to_owned(), line }).ok_or_else(fault)
    });
    let mut names = names.collect::<Result<Vec<_>, _>>()?;
    // Stable: of the lines with one name the first stays.
    names.sort_by(|listed, other| listed.name.cmp(&other.name));
    names.dedup_by(|listed, before| listed.name == before.name);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::request::{Answer, NewClient, Request},
        limits::ADMIN_ANSWER_BYTES_MAX,
    };

    #[test]
    fn a_piece_of_the_longest_names_fits_a_request() {
        let name = "n".repeat(NAME_BYTES_MAX);
        let names = vec![name.clone(); 100_000];
        let piece = pieces(&names, NAMED_BYTES_MAX).next().unwrap().to_vec();
        let request = Request::Revoke { names: piece.clone(), skip_unknown: true };
        let bytes = serde_json::to_vec(&request).unwrap().len();
        assert!(bytes < ADMIN_REQUEST_BYTES_MAX, "{bytes}");
        let answer = Answer::Revoked { revoked: usize::MAX, revision: u64::MAX, unknown: piece };
        let bytes = serde_json::to_vec(&answer).unwrap().len();
        assert!(bytes < ADMIN_ANSWER_BYTES_MAX, "{bytes}");
        let line = crate::store::file::Line {
            name,
            public_key: [255; 32],
            suites: crate::store::file::all_suites(),
        };
        let lines = vec![line; 100_000];
        let clients = pieces(&lines, CLIENT_BYTES_MAX).next().unwrap().iter().map(NewClient::of_line);
        let request = Request::Enroll { clients: clients.collect(), skip_known: true, recovery_kit: false };
        let bytes = serde_json::to_vec(&request).unwrap().len();
        assert!(bytes < ADMIN_REQUEST_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn a_file_of_names_says_where_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names");
        for (text, lines) in
            [("# left us\nbob\n\n  alice \nbob\n", [4, 2]), ("\u{feff}bob\r\nalice\r\n\r\nbob", [2, 1])]
        {
            std::fs::write(&path, text).unwrap();
            let found: Vec<_> =
                names(&path).unwrap().into_iter().map(|listed| (listed.name, listed.line)).collect();
            assert_eq!(found, [("alice".into(), lines[0]), ("bob".into(), lines[1])]);
        }
        std::fs::write(&path, "alice\nal ice\n").unwrap();
        assert!(names(&path).unwrap_err().to_string().contains("names:2: a client's name"));
    }
}
