//! What the lines of the emulated machine's serial port mean.

use anyhow::{Context, ensure};

/// A line of the kernel's log, which begins with its time.
pub(super) fn is_kernel_line(line: &str) -> bool {
    line.starts_with('[')
}

/// Whether nothing more is to come.
pub(super) fn is_over(said: &str) -> bool {
    said.lines().any(|line| line == "ALL DONE") || said.contains("Kernel panic")
}

/// How many tests passed.
///
/// # Errors
/// Unless every program of `names` ended well and ran tests, none of which left `path` out, and the lanes took `detected` where it is
/// known.
pub(super) fn judge(said: &str, names: &[String], path: &str, detected: Option<&str>) -> anyhow::Result<u64> {
    ensure!(!said.contains("Kernel panic"), "the kernel panicked");
    for name in names {
        let end = format!("END {name} ");
        let status = said.lines().find_map(|line| line.strip_prefix(&end));
        ensure!(status == Some("0"), "{name} ended with {}", status.unwrap_or("nothing said"));
    }
    let told = said.split("detected: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let told = told.context("the path detected is not told")?;
    ensure!(detected.is_none_or(|path| path == told), "the path detected is {told}, not {detected:?}");
    ensure!(!said.contains(&format!("has no {path};")), "a test found no {path}");
    let passed = said.lines().filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next());
    let counts: Vec<u64> = passed.map(str::parse).collect::<Result<_, _>>().context("a strange result")?;
    ensure!(counts.len() == names.len(), "{} results of {} programs", counts.len(), names.len());
    Ok(counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "[    0.1] Booting\nBEGIN a\ntest x ... detected: avx512\nok\n\
        test result: ok. 5 passed; 0 failed; 0 ignored\nEND a 0\nBEGIN b\nSKIPPED: this CPU has no sha-ni; compiled\n\
        test result: ok. 2 passed; 0 failed; 0 ignored\nEND b 0\nALL DONE\n";

    fn names() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn tests_that_passed_on_the_path_are_counted() {
        assert!(is_over(SAID) && !is_over("[    0.1] Booting\n"));
        assert_eq!(judge(SAID, &names(), "avx512", Some("avx512")).unwrap(), 7);
    }

    #[test]
    fn a_program_that_failed_or_did_not_run_is_seen() {
        assert!(judge(&SAID.replace("END b 0", "END b 101"), &names(), "avx512", Some("avx512")).is_err());
        assert!(judge(&SAID.replace("END b 0", ""), &names(), "avx512", Some("avx512")).is_err());
        assert!(judge(&SAID.replace("ok. 2", "FAILED. 1"), &names(), "avx512", Some("avx512")).is_err());
        assert!(judge("Kernel panic - not syncing", &names(), "avx512", Some("avx512")).is_err());
    }

    #[test]
    fn a_path_that_was_left_out_is_seen() {
        assert!(judge(SAID, &names(), "avx512", None).is_ok());
        assert!(judge(SAID, &names(), "sha-ni", None).is_err());
        assert!(judge(SAID, &names(), "avx512", Some("sha-ni")).is_err());
        assert!(
            judge(&SAID.replace("no sha-ni;", "no avx512;"), &names(), "avx512", Some("avx512")).is_err()
        );
        assert!(judge(&SAID.replace("detected: avx512", ""), &names(), "avx512", None).is_err());
    }
}
