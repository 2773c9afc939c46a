//! What a run of the generator left in its folder, as far as a publication looks at it.

use std::{fs, path::Path};

use serde_json::Value;

/// The page of a run is the last file that is written.
const FILES: [&str; 2] = ["report.json", "report.html"];
/// What `git describe` appends where files were changed.
const CHANGED: &str = "-dirty";

/// One finished run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Of the generator.
    pub commit: String,
    /// The measured interval that was asked for.
    pub duration_s: f64,
    /// Nothing went wrong, void or not.
    pub is_clean: bool,
    /// It says nothing about its server.
    pub is_void: bool,
    /// Its figures in a line.
    pub text: String,
}

impl Finding {
    /// What is in `folder`; `None` when there is no whole run.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        if !FILES.iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        Self::parse(&fs::read_to_string(folder.join(FILES[0])).ok()?)
    }

    /// Of `mvt.report/1`.
    fn parse(text: &str) -> Option<Self> {
        let report: Value = serde_json::from_str(text).ok()?;
        let verified = report["verified"].as_u64()?;
        let failed = report["failed_verifications"].as_u64()? > 0;
        let errors = report["errors"].as_object()?.len();
        let microseconds = |name: &str| match report["latency_ns"][name].as_u64() {
            Some(ns) => format!("{:.1} µs", ns as f64 / 1e3),
            None => "not known".to_owned(),
        };
        let void = report["void"].as_str().map_or_else(String::new, |why| format!("; VOID: {why}"));
        Some(Self {
            commit: report["environment"]["commit"].as_str().unwrap_or_default().to_owned(),
            duration_s: report["workload"]["duration_s"].as_f64()?,
            is_void: !report["void"].is_null(),
            is_clean: verified > 0 && !failed && errors == 0,
            text: format!(
                "{:.0} verified/s, p50 {}, p99 {}{void}",
                report["rate_per_s"].as_f64()?,
                microseconds("p50"),
                microseconds("p99"),
            ),
        })
    }

    /// Whether a run of `seconds` at `commit`, void if `wants_void`, is there. One that is void and was not to be is tried again.
    #[must_use]
    pub fn serves(&self, commit: &str, seconds: f64, wants_void: bool) -> bool {
        let is_known = !commit.is_empty() && !commit.ends_with(CHANGED);
        is_known
            && self.is_void == wants_void
            && self.commit == commit
            && (self.duration_s - seconds).abs() < 0.001
            && self.is_clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verified: u64, errors: &str) -> String {
        format!(
            r#"{{"verified":{verified},"failed_verifications":0,"errors":{errors},"rate_per_s":1000.4,"void":null,
                "latency_ns":{{"p50":1500,"p99":null}},"workload":{{"duration_s":20.0}},"environment":{{"commit":"abc"}}}}"#
        )
    }

    #[test]
    fn a_clean_run_of_this_commit_and_length_need_not_be_repeated() {
        let found = Finding::parse(&report(7, "{}")).expect("a report");
        assert_eq!(found.text, "1000 verified/s, p50 1.5 µs, p99 not known");
        assert!(found.serves("abc", 20.0, false));
        assert!(!found.serves("abd", 20.0, false) && !found.serves("abc", 60.0, false));
        assert!(!found.serves("abc", 20.0, true), "it is not void");
    }

    #[test]
    fn any_other_run_is_repeated() {
        for (verified, errors) in [(0, "{}"), (7, r#"{"closed":1}"#)] {
            assert!(!Finding::parse(&report(verified, errors)).expect("a report").serves("abc", 20.0, false));
        }
        let changed =
            Finding { commit: "abc-dirty".into(), ..Finding::parse(&report(7, "{}")).expect("a report") };
        assert!(!changed.serves("abc-dirty", 20.0, false), "what was changed since is not known");
        assert_eq!(Finding::parse("{}"), None);
        assert_eq!(Finding::read(Path::new("no such folder")), None);
    }
}
