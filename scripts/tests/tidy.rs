//! The house rules that a program can judge.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mvt_scripts::workspace;

const FILE_LINES_MAX: usize = 500;
const README_LINES_MAX: usize = 150;
const NAMES_BANNED: [&str; 7] = ["util", "utils", "common", "helpers", "misc", "manager", "types"];
/// The crates that may hold `unsafe`.
const UNSAFE_FOLDERS: [&str; 3] = ["proto-spec/lanes/src/", "proto-spec/x25519/src/", "server/sys/src/"];

/// Files git tracks, or would.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(workspace::folder())
        .output()
        .expect("git lists the files");
    let text = String::from_utf8(output.stdout).expect("names are UTF-8");
    let files: Vec<_> =
        text.lines().map(PathBuf::from).filter(|path| workspace::folder().join(path).is_file()).collect();
    assert!(files.len() > 100, "the listing works");
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(workspace::folder().join(path)).expect("a text file")
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    files().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")).map(|path| {
        let text = read(&path);
        (path, text)
    })
}

#[test]
fn files_are_small_named_by_a_noun_and_say_what_they_are() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        if NAMES_BANNED.contains(&stem.as_str()) {
            faults.push(format!("{}: a banned name", path.display()));
        }
        if text.lines().count() > FILE_LINES_MAX {
            faults.push(format!("{}: over {FILE_LINES_MAX} lines", path.display()));
        }
        let is_fuzz_target = text.starts_with("#![no_main]");
        if !text.starts_with("//! ") && !is_fuzz_target {
            faults.push(format!("{}: does not begin by saying what it is", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_stays_in_its_crates() {
    let word = concat!("uns", "afe ");
    let faults: Vec<_> = sources()
        .filter(|(path, _)| !UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder)))
        .filter(|(_, text)| {
            text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or_default();
                code.contains(&format!("{word}{{"))
                    || code.contains(&format!("{word}fn"))
                    || code.contains(&format!("{word}impl"))
            })
        })
        .map(|(path, _)| path)
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn nothing_is_left_to_do_in_the_code() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimple", "mented!(")];
    let faults: Vec<_> = sources()
        .filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)))
        .map(|(path, _)| path)
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn every_rule_of_the_spec_is_cited_at_code_and_test_or_declined() {
    let spec = read(Path::new("proto-spec/SPEC.md"));
    let rationale = read(Path::new("proto-spec/RATIONALE.md"));
    let declined = rationale.split("## Rules without a test of their own").nth(1).expect("the list");
    let rules: Vec<&str> = spec
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("**"))
        .map(|(number, _)| number)
        .collect();
    assert!(rules.len() > 40, "the rules are found");
    let (mut code, mut tests) = (String::new(), String::new());
    for path in files() {
        let name = path.to_string_lossy().into_owned();
        if name.starts_with("proto-spec/vectors/") || (name.contains("/tests/") && name.ends_with(".rs")) {
            tests.push_str(&read(&path));
        } else if name.ends_with(".rs") && !name.starts_with("scripts/") {
            code.push_str(&read(&path));
        }
    }
    let mut faults = Vec::new();
    for rule in rules {
        let is_declined = cites(declined, rule);
        if !is_declined && !cites(&code, rule) {
            faults.push(format!("{rule} is not cited at the code"));
        }
        if !is_declined && !cites(&tests, rule) {
            faults.push(format!("{rule} is not cited at a test"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether `rule` stands in `text` as a whole number, not as the start of a longer one.
fn cites(text: &str, rule: &str) -> bool {
    text.match_indices(rule).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + rule.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_digit() || c == '.') && !after.is_some_and(|c| c.is_ascii_digit())
    })
}

#[test]
fn a_citation_is_a_whole_number() {
    assert!(cites("(§4.1)", "4.1") && cites("§4.1.", "4.1"));
    assert!(!cites("§4.12", "4.1") && !cites("§14.1", "4.1") && !cites("§10.4.1", "4.1"));
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let readme = read(Path::new("README.md"));
    assert!(readme.lines().count() <= README_LINES_MAX);
    let targets: Vec<&str> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!targets.is_empty());
    for target in targets {
        let path = target.split('#').next().unwrap_or_default();
        assert!(workspace::folder().join(path).exists(), "README links to {target}");
    }
}

#[test]
fn public_text_names_no_machine_path() {
    let marks = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "bash")];
    let faults: Vec<_> = files()
        .into_iter()
        .filter(|path| {
            path.extension().is_some_and(|end| ["md", "rs", "toml", "json", "txt"].iter().any(|e| end == *e))
        })
        .filter(|path| marks.iter().any(|mark| read(path).contains(mark)))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn the_lock_file_keeps_the_versions_wanted() {
    let lock: toml::Table = read(Path::new("Cargo.lock")).parse().expect("TOML");
    let deny: toml::Table = read(Path::new("deny.toml")).parse().expect("TOML");
    let bans = deny["bans"]["deny"].as_array().expect("a list");
    assert!(bans.len() >= 10, "the list was not lost");
    let mut faults = Vec::new();
    for package in lock["package"].as_array().expect("a list") {
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        for ban in bans {
            let ban = ban["crate"].as_str().expect("a crate");
            if is_banned(name, version, ban) {
                faults.push(format!("{name} {version} is banned by {ban}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
}

/// Whether `ban` (`name`, `name:<version` or `name:>=version`; after an `@` cargo-deny bans that one version alone) means this.
fn is_banned(name: &str, version: &str, ban: &str) -> bool {
    let Some((banned, range)) = ban.split_once(':') else { return ban == name };
    let is_in_range = match (range.strip_prefix(">="), range.strip_prefix('<')) {
        (Some(first), _) => numbers(version) >= numbers(first),
        (None, Some(least)) => numbers(version) < numbers(least),
        (None, None) => panic!("{ban}: a range of another kind"),
    };
    banned == name && is_in_range
}

#[test]
fn a_ban_is_of_a_name_and_a_range() {
    assert!(is_banned("a", "1.0.0", "a") && !is_banned("b", "1.0.0", "a"));
    assert!(is_banned("a", "0.9.9", "a:<0.9.10") && !is_banned("a", "0.9.10", "a:<0.9.10"));
    assert!(is_banned("a", "0.9.3", "a:>=0.9.3") && !is_banned("a", "0.9.2", "a:>=0.9.3"));
    assert!(!is_banned("b", "0.9.3", "a:>=0.9.3"));
}

fn numbers(version: &str) -> Vec<u64> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn versions_compare_as_numbers() {
    assert!(numbers("0.11.9") < numbers("0.11.15"));
    assert!(numbers("0.11.15") >= numbers("0.11.15"));
    assert!(numbers("1.0.0-rc.1") > numbers("0.99.0"));
}
