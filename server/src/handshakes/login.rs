//! A HELLO at the pool (SPEC §10).

use mvt_proto::{Reject, Suite, frame::hello::Hello, login::Responder};

use crate::{
    handshakes::{Job, fresh_secret, grant},
    mailbox::{Entrance, Newcomer},
    node::Node,
    owner::Owner,
};

pub(super) fn judge(node: &Node, job: &Job) -> Result<Newcomer, Reject> {
    // Before the client is looked up: see `Owner`.
    let authenticated_ms = node.clock.now_ms();
    let hello = Hello::parse(&job.frame)?;
    let responder = Responder::read(&node.identity, hello, job.channel_binding(), fresh_secret())?;
    let enrolment = node.enrolment.load();
    // Nor is one let in whose revocation this node might not have heard of.
    let is_fresh = node.freshness.allows_login(authenticated_ms);
    let client = enrolment.find(responder.client_public()).filter(|_| is_fresh);
    let owner = client.map(|client| Owner { client: client.id, authenticated_ms });
    // A client nobody knows costs the same work, and gets nothing for it.
    let suite = match client {
        Some(client) => responder.choose_suite(&client.suites),
        None => responder.choose_suite(&Suite::ALL.map(|(suite, _)| suite)),
    }?;
    let admitted = responder.admit(&grant(node, job.shard, suite))?;
    let owner = owner.ok_or(Reject::UnknownClient)?;
    Ok(Newcomer { admitted, owner, psk_alone: node.tickets.psk_alone(), entrance: Entrance::Login })
}
