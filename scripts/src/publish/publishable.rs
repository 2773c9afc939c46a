//! What must hold of every file that is published: pages are small, and nothing names a folder of this machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A page is one file that a mail can carry.
const PAGE_BYTES_MAX: u64 = 300 * 1024;

/// What does not hold, file by file.
///
/// # Errors
/// The OS's, when a file cannot be read.
pub fn faults(folder: &Path, private: &[&Path]) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                faults.extend(faults_of(folder, &path, private)?);
            }
        }
    }
    faults.sort();
    Ok(faults)
}

fn faults_of(folder: &Path, path: &PathBuf, private: &[&Path]) -> io::Result<Vec<String>> {
    let bytes = fs::read(path)?;
    let name = path.strip_prefix(folder).unwrap_or(path).display();
    let mut faults = Vec::new();
    if path.extension().is_some_and(|end| end == "html") && bytes.len() as u64 > PAGE_BYTES_MAX {
        faults.push(format!("{name} has {} bytes, more than {PAGE_BYTES_MAX}", bytes.len()));
    }
    let text = String::from_utf8_lossy(&bytes);
    let named = private.iter().filter(|it| text.contains(&*it.to_string_lossy()));
    faults.extend(named.map(|it| format!("{name} names {}", it.display())));
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_page_and_a_private_folder_are_found_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::write(folder.path().join("run/report.html"), vec![b' '; 300 * 1024 + 1]).unwrap();
        fs::write(folder.path().join("run/env.json"), "--key /private/client.key").unwrap();
        fs::write(folder.path().join("index.html"), "<p>").unwrap();
        let found = faults(folder.path(), &[Path::new("/private"), Path::new("/other")]).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("run/env.json names /private"), "{found:?}");
        assert!(found[1].starts_with("run/report.html has"), "{found:?}");
    }
}
