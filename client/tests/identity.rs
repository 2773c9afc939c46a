//! Key files: read only when nobody else can.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use mvt_client::{
    Identity,
    identity::{IdentityError, KEY_FILE_BYTES_MAX, load},
};
use mvt_proto::{keyfile::KeyFile, secret::Secret};

fn write(folder: &tempfile::TempDir, text: &[u8], mode: u32) -> std::path::PathBuf {
    let path = folder.path().join("key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn key_text() -> String {
    let identity = Identity::new(Secret::new([3; 32]));
    KeyFile { identity, reset_secret: None }.to_text().to_string()
}

#[test]
fn a_key_file_of_its_owner_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o400] {
        let identity = load(write(&folder, key_text().as_bytes(), mode)).unwrap();
        assert_eq!(identity.public(), Identity::new(Secret::new([3; 32])).public());
        fs::remove_file(folder.path().join("key")).unwrap();
    }
}

#[test]
fn a_key_file_open_to_others_is_refused_with_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666] {
        let path = write(&folder, key_text().as_bytes(), mode);
        let error = load(&path).unwrap_err();
        assert!(matches!(error, IdentityError::Exposed { mode: said } if said == mode), "{mode:o}");
        assert!(error.to_string().contains(&format!("{mode:03o}")), "{error}");
        // A link to it is judged by what it names.
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(load(&link), Err(IdentityError::Exposed { .. })));
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn what_is_no_key_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(load(folder.path().join("none")), Err(IdentityError::Io(_))));
    assert!(matches!(load(folder.path()), Err(IdentityError::NotAFile)));
    assert!(matches!(load("/dev/null"), Err(IdentityError::NotAFile)));
    let long = vec![b'#'; KEY_FILE_BYTES_MAX as usize + 1];
    assert!(matches!(load(write(&folder, &long, 0o600)), Err(IdentityError::NotAFile)));
    assert!(matches!(load(write(&folder, &[0xff, 0xfe], 0o600)), Err(IdentityError::NotText)));
    assert!(matches!(load(write(&folder, b"what", 0o600)), Err(IdentityError::KeyFile(_))));
    assert!(matches!(load(write(&folder, b"", 0o600)), Err(IdentityError::KeyFile(_))));
}
