//! A key file that is read is written and read back as the same keys; a refusal names a line that is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mvt_proto::keyfile::{KeyFile, KeyFileError};

fuzz_target!(|text: &str| {
    match KeyFile::parse(text) {
        Ok(file) => {
            let again = KeyFile::parse(&file.to_text()).expect("what is written is read");
            assert_eq!(again.identity.private().expose(), file.identity.private().expose());
            assert_eq!(again.reset_secret.map(|s| *s.expose()), file.reset_secret.map(|s| *s.expose()));
        }
        Err(KeyFileError::Line(line) | KeyFileError::Name(line) | KeyFileError::Value(line)) => {
            assert!((1..=text.lines().count()).contains(&line));
        }
        Err(KeyFileError::Missing(_)) => {}
    }
});
