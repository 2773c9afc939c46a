//! Answers for people. Names need no escape: see [`crate::store::record::is_name`].

use std::fmt::Write;

use mvt_proto::keyfile;
use zeroize::Zeroizing;

use crate::{
    admin::request::{Answer, ClientView},
    store::record::State,
};

/// The text of an answer, which may be secret.
pub(super) fn of(answer: &Answer) -> Zeroizing<String> {
    // Large enough for a kit, so that none of it stays behind in memory that was outgrown.
    let mut text = Zeroizing::new(String::with_capacity(4096));
    // Writing to a string does not fail.
    let _ = write(&mut text, answer);
    text
}

fn write(text: &mut String, answer: &Answer) -> std::fmt::Result {
    match answer {
        Answer::Enrolled { enrolled, known, kit, .. } => {
            // With a kit, all of this is one: its other lines are comments.
            if kit.is_some() {
                text.write_str("# ")?;
            }
            match known {
                0 => writeln!(text, "enrolled {enrolled}")?,
                known => writeln!(text, "enrolled {enrolled}, known already {known}")?,
            }
            kit.as_ref().map_or(Ok(()), |kit| text.write_str(&kit.text))
        }
        Answer::Clients { clients, .. } => clients.iter().try_for_each(|client| write_client(text, client)),
        Answer::Revoked { revoked, .. } => writeln!(text, "revoked {revoked}"),
        Answer::Kit(kit) => text.write_str(&kit.text),
        Answer::Audit { lines } => lines.iter().try_for_each(|view| {
            let (at_ms, uid, what) = (view.line.at_ms, view.line.uid, view.line.what.escape_debug());
            writeln!(text, "{} {at_ms} uid={uid} {what}", view.revision)
        }),
        Answer::Renewing { within_s } => writeln!(text, "sessions renew, over {within_s} s or more"),
        Answer::TicketKey { id } => writeln!(text, "ticket key {id:08x}"),
        Answer::Refused { text: why, .. } => writeln!(text, "{why}"),
    }
}

fn write_client(text: &mut String, client: &ClientView) -> std::fmt::Result {
    let identity = &client.identity;
    let suites: Vec<_> = identity.suites.iter().map(|suite| suite.name()).collect();
    let state = match identity.state {
        State::Enabled => "enabled",
        State::Revoked => "revoked",
    };
    let kit = if client.has_recovery_kit { " kit" } else { "" };
    writeln!(
        text,
        "{} {} suites={} {state} changed={}{kit}",
        identity.name,
        keyfile::key_to_text(&identity.public_key),
        suites.join(","),
        identity.changed_ms
    )
}
