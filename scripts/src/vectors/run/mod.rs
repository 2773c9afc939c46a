//! Operations: from the inputs of a case to what the reference makes of them.

mod frames;
mod inputs;
mod keys;
mod logins;
mod recovers;
mod renewals;
mod requests;
mod resumes;
pub(super) mod tickets;
mod verdicts;

use crate::reference::reject::Reject;
pub use inputs::{InputError, Inputs};
use serde_json::{Value, json};
pub(super) use verdicts::answer_of;

type Outcome = Result<Value, InputError>;
type Operation = (&'static str, fn(Inputs<'_>) -> Outcome);

/// Every operation; `proto-spec/vectors/README.md` documents their fields.
const OPERATIONS: [Operation; 41] = [
    ("header_parse", frames::header_parse),
    ("stream_cut", frames::stream_cut),
    ("label", keys::label),
    ("schedule", keys::schedule),
    ("slot", keys::slot),
    ("slot_of", keys::slot_of),
    ("request_key", keys::request_key),
    ("seal_request", requests::seal_request),
    ("open_request", requests::open_request),
    ("seal_response", requests::seal_response),
    ("open_response", requests::open_response),
    ("verdicts", verdicts::verdicts),
    ("open_verdicts", verdicts::open_verdicts),
    ("replay", requests::replay),
    ("in_time", requests::in_time),
    ("session", requests::session),
    ("lost", frames::lost),
    ("open_lost", frames::open_lost),
    ("mac1", logins::mac1),
    ("login", logins::login),
    ("login_server", logins::login_server),
    ("login_client", logins::login_client),
    ("retry", logins::retry),
    ("open_retry", logins::open_retry),
    ("next_generation", renewals::next_generation),
    ("control", renewals::control),
    ("open_control", renewals::open_control_frame),
    ("take_controls", renewals::take_controls),
    ("renewal", renewals::renewal),
    ("client_id", tickets::client_id),
    ("ring", tickets::ring),
    ("sealing_key", tickets::sealing_key),
    ("ticket", tickets::ticket),
    ("open_ticket", tickets::open_ticket),
    ("resume", resumes::resume),
    ("resume_server", resumes::resume_server),
    ("resume_client", resumes::resume_client),
    ("recovery_key", recovers::recovery_key),
    ("recover", recovers::recover),
    ("recover_server", recovers::recover_server),
    ("recover_client", recovers::recover_client),
];

/// The names of every operation.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

/// What the reference makes of a case.
pub fn run(operation: &str, inputs: &Value) -> Outcome {
    let (_, run) =
        OPERATIONS.iter().find(|(name, _)| *name == operation).ok_or(InputError::UnknownOperation)?;
    run(Inputs::new(inputs)?)
}

fn outcome(result: Result<Value, Reject>) -> Outcome {
    Ok(match result {
        Ok(value) => json!({ "ok": value }),
        Err(reason) => refused(reason),
    })
}

fn refused(reason: Reject) -> Value {
    json!({ "reject": reason.name() })
}
