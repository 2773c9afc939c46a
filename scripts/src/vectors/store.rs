//! The committed files of the vectors.

use super::{
    areas,
    vector::{Vector, VectorError},
};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Why the files could not be written, or are not as the reference makes them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The vectors themselves could not be made.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// A file could not be read, written or deleted.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Files that differ; `cargo x vectors` writes them anew.
    #[error("not as the reference makes them: {}", .0.join(", "))]
    Differ(Vec<String>),
}

/// `proto-spec/vectors` of this workspace.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto-spec/vectors")
}

/// Name and text of every file, made anew.
fn make() -> Result<BTreeMap<String, String>, VectorError> {
    let mut files = BTreeMap::new();
    for vector in areas::all() {
        let Vector { name, .. } = vector;
        if files.insert(format!("{name}.json"), vector.render()?).is_some() {
            return Err(VectorError::Twice(name));
        }
    }
    Ok(files)
}

/// Names of the JSON files in `folder`.
fn committed(folder: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |source| StoreError::File { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Writes every file and deletes those no vector makes.
pub fn write(folder: &Path) -> Result<(), StoreError> {
    let files = make()?;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::File { path, source }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    for name in committed(folder)?.into_iter().filter(|name| !files.contains_key(name)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(at(&path))?;
    }
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(())
}

/// Fails, naming the files, if any is stale, missing or extra.
pub fn check(folder: &Path) -> Result<(), StoreError> {
    let files = make()?;
    let mut differ = Vec::new();
    for (name, text) in &files {
        match fs::read_to_string(folder.join(name)) {
            Ok(found) if found == *text => {}
            Ok(_) => differ.push(format!("{name} (stale)")),
            Err(_) => differ.push(format!("{name} (missing)")),
        }
    }
    let extra = committed(folder)?.into_iter().filter(|name| !files.contains_key(name));
    differ.extend(extra.map(|name| format!("{name} (extra)")));
    if differ.is_empty() { Ok(()) } else { Err(StoreError::Differ(differ)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::run;

    #[test]
    fn committed_vectors_are_as_the_reference_makes_them() {
        check(&folder()).unwrap();
    }

    #[test]
    fn there_are_at_least_two_hundred_properties() {
        assert!(make().unwrap().len() >= 200);
    }

    #[test]
    fn every_operation_has_a_vector_and_is_documented() {
        let all = make().unwrap().into_values().collect::<String>();
        let documented = fs::read_to_string(folder().join("README.md")).unwrap();
        for name in run::names() {
            assert!(all.contains(&format!("\"op\": \"{name}\"")), "no vector of {name}");
            assert!(documented.contains(&format!("\n| {name} | ")), "{name} is not documented");
        }
    }

    /// All of §15 but `busy`, which is a matter of load.
    #[test]
    fn every_reject_reason_has_a_vector() {
        let all = make().unwrap().into_values().collect::<String>();
        for reason in [
            "length",
            "version",
            "kind",
            "flags",
            "field",
            "unknown_key",
            "no_slot",
            "bad_tag",
            "stale",
            "replay",
            "too_old",
            "limit",
            "mac1",
            "noise",
            "unknown_client",
            "no_suite",
            "ended",
            "control",
            "ticket",
            "binder",
            "recovery",
            "revoked",
        ] {
            let (refusal, verdict) = (format!("\"reject\": \"{reason}\""), format!("          \"{reason}\""));
            assert!(all.contains(&refusal) || all.contains(&verdict), "no vector of {reason}");
        }
    }

    #[test]
    fn check_fails_on_a_tampered_copy_and_names_the_files() {
        let copy = tempfile::tempdir().unwrap();
        write(copy.path()).unwrap();
        check(copy.path()).unwrap();

        let mut names = committed(copy.path()).unwrap();
        names.sort();
        let (stale, missing) = (copy.path().join(&names[0]), copy.path().join(&names[1]));
        let text = fs::read_to_string(&stale).unwrap();
        fs::write(&stale, text.replacen('0', "1", 1)).unwrap();
        fs::remove_file(missing).unwrap();
        fs::write(copy.path().join("zz_extra.json"), "{}").unwrap();

        let Err(StoreError::Differ(files)) = check(copy.path()) else { panic!("tampering went unseen") };
        let expected = [
            format!("{} (stale)", names[0]),
            format!("{} (missing)", names[1]),
            "zz_extra.json (extra)".into(),
        ];
        assert_eq!(files, expected);

        write(copy.path()).unwrap();
        check(copy.path()).unwrap();
    }
}
