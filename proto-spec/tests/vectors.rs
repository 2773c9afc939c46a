//! Runs the vectors of the independent reference (`vectors/README.md`) against this crate.

#[path = "vectors/granted.rs"]
mod granted;
#[path = "vectors/login.rs"]
mod login;
#[path = "vectors/recovery.rs"]
mod recovery;
#[path = "vectors/renewal.rs"]
mod renewal;
#[path = "vectors/resume.rs"]
mod resume;
mod support;
#[path = "vectors/symmetric.rs"]
mod symmetric;
#[path = "vectors/tickets.rs"]
mod tickets;
#[path = "vectors/verdicts.rs"]
mod verdicts;

use std::{fs, path::Path};

use mvt_proto::{Reject, Suite};
use serde_json::{Value, json};

/// Vectors there are at least: a folder that lost some must not pass.
const FILES_MIN: usize = 200;

/// What this crate makes of a case, in the form of its `expect`.
type Outcome = Value;

/// Runs one case.
type Operation = fn(&Case) -> Outcome;

/// Every operation of the table in `vectors/README.md`.
const OPERATIONS: &[(&str, Operation)] = &[
    ("header_parse", symmetric::header_parse),
    ("stream_cut", symmetric::stream_cut),
    ("label", symmetric::label),
    ("schedule", symmetric::schedule),
    ("slot", symmetric::slot),
    ("slot_of", symmetric::slot_of),
    ("request_key", symmetric::request_key),
    ("seal_request", symmetric::seal_request),
    ("open_request", symmetric::open_request),
    ("seal_response", symmetric::seal_response),
    ("open_response", symmetric::open_response),
    ("verdicts", verdicts::verdicts),
    ("open_verdicts", verdicts::open_verdicts),
    ("replay", symmetric::replay),
    ("in_time", symmetric::in_time),
    ("session", symmetric::session),
    ("lost", symmetric::lost),
    ("open_lost", symmetric::open_lost),
    ("control", renewal::control),
    ("open_control", renewal::open_control),
    ("next_generation", renewal::next_generation),
    ("take_controls", renewal::take_controls),
    ("renewal", renewal::renewal),
    ("mac1", login::mac1),
    ("login", login::login),
    ("login_server", login::login_server),
    ("login_client", login::login_client),
    ("client_id", tickets::client_id),
    ("ring", tickets::ring),
    ("sealing_key", tickets::sealing_key),
    ("ticket", tickets::ticket),
    ("open_ticket", tickets::open_ticket),
    ("resume", resume::resume),
    ("resume_server", resume::resume_server),
    ("resume_client", resume::resume_client),
    ("recovery_key", recovery::recovery_key),
    ("recover", recovery::recover),
    ("recover_server", recovery::recover_server),
    ("recover_client", recovery::recover_client),
    ("retry", login::retry),
    ("open_retry", login::open_retry),
];

/// The inputs of one case.
pub struct Case(Value);

impl Case {
    fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("no `{name}` in {}", self.0))
    }

    fn number(&self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap_or_else(|| panic!("`{name}` is not a number"))
    }

    fn text(&self, name: &str) -> &str {
        self.value(name).as_str().unwrap_or_else(|| panic!("`{name}` is not a text"))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(self.text(name))
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("`{name}` is not {N} bytes"))
    }

    fn key_id(&self) -> u64 {
        u64::from_be_bytes(self.array("key_id"))
    }

    fn suite(&self) -> Suite {
        Suite::from_id(self.number("suite") as u16).expect("a known suite")
    }

    fn list(&self, name: &str) -> &[Value] {
        self.value(name).as_array().unwrap_or_else(|| panic!("`{name}` is not a list"))
    }

    fn part(&self, name: &str) -> Self {
        Self(self.value(name).clone())
    }

    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value.as_str() != Some(""))
    }

    fn expected_ok(&self, name: &str) -> Option<&Value> {
        self.value("expect").get("ok")?.get(name)
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "an odd number of digits");
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn reject(reject: Reject) -> Outcome {
    json!({ "reject": reject.name() })
}

fn ok(members: Value) -> Outcome {
    json!({ "ok": members })
}

#[derive(Default)]
struct Count {
    files: usize,
    cases: usize,
    wrong: Vec<String>,
}

impl Count {
    fn run_case(&mut self, file: &str, operation: Operation, case: &Value) {
        self.cases += 1;
        let made = operation(&Case(case.clone()));
        let expected = &case["expect"];
        if made != *expected {
            let comment = case.get("comment").cloned().unwrap_or_default();
            self.wrong.push(format!("{file} ({comment}):\n  expected {expected}\n  made     {made}"));
        }
    }

    fn run_file(&mut self, name: &str, file: &Value) {
        self.files += 1;
        let op = file["op"].as_str().unwrap_or_default();
        let Some((_, operation)) = OPERATIONS.iter().find(|(known, _)| *known == op) else {
            return self.wrong.push(format!("{name}: unknown operation `{op}`"));
        };
        let cases = file["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
        if cases.is_empty() {
            self.wrong.push(format!("{name}: no case"));
        }
        cases.iter().for_each(|case| self.run_case(name, *operation, case));
    }
}

fn files() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let name = path.file_stem().expect("named").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).expect("JSON"))
        })
        .collect();
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    files
}

#[test]
fn every_vector_holds() {
    let files = files();
    let mut count = Count::default();
    files.iter().for_each(|(name, file)| count.run_file(name, file));
    println!("{} files, {} cases", count.files, count.cases);
    assert!(count.wrong.is_empty(), "{} wrong:\n{}", count.wrong.len(), count.wrong.join("\n"));
    assert!(count.files >= FILES_MIN, "only {} files", count.files);
    let unused: Vec<_> = OPERATIONS
        .iter()
        .filter(|(op, _)| !files.iter().any(|(_, file)| file["op"] == *op))
        .map(|(op, _)| op)
        .collect();
    assert!(unused.is_empty(), "operations no vector uses: {unused:?}");
}

/// Changes one leaf of a value: a digit of a text, a number by one.
fn spoil(value: &mut Value) -> bool {
    match value {
        Value::String(text) if !text.is_empty() => {
            let first = if text.starts_with('0') { "1" } else { "0" };
            text.replace_range(..1, first);
            true
        }
        Value::Number(number) => {
            *value = json!(number.as_u64().unwrap_or_default() + 1);
            true
        }
        Value::Array(items) => items.iter_mut().any(spoil),
        Value::Object(members) => members.values_mut().any(spoil),
        _ => false,
    }
}

#[test]
fn a_wrong_expectation_is_noticed_in_every_file() {
    for (name, mut file) in files() {
        for case in file["cases"].as_array_mut().expect("cases") {
            if !spoil(&mut case["expect"]) {
                case["expect"] = json!({ "ok": "nothing like it" });
            }
        }
        let cases = file["cases"].as_array().map_or(0, Vec::len);
        let mut count = Count::default();
        count.run_file(&name, &file);
        assert_eq!(count.wrong.len(), cases, "{name} does not notice a wrong expectation");
    }
}

#[test]
fn an_unknown_operation_is_noticed() {
    let mut count = Count::default();
    count.run_file("canary", &json!({ "op": "no_such", "cases": [{ "expect": {} }] }));
    count.run_file("canary", &json!({ "op": "in_time", "cases": [] }));
    assert_eq!(count.wrong.len(), 2);
}
