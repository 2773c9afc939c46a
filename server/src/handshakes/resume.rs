//! A RESUME at the pool: ticket, revocation, binder, key agreement (SPEC §12).

use mvt_proto::{Reject, frame::resume::Resume, resume::Opened};

use crate::{
    handshakes::{Job, fresh_secret, grant},
    mailbox::{Entrance, Newcomer},
    node::Node,
    owner::Owner,
};

/// The ticket's AEAD, of less than 128 bytes, comes first: what does not open costs no more, and reaches nothing of the store.
pub(super) fn judge(node: &Node, job: &Job) -> Result<Newcomer, Reject> {
    let resume = Resume::parse(&job.frame)?;
    let opened = Opened::open(resume, &node.tickets.ring(), node.clock.now_ms())?;
    let ticket = opened.ticket();
    let owner = Owner { client: ticket.client, authenticated_ms: ticket.authenticated_ms };
    // §12.1.5: before the binder.
    let suites = node.suites_of_ticket(&owner).ok_or(Reject::Revoked)?;
    let responder = opened.verify(job.channel_binding())?;
    let (suite, psk_alone) = (responder.ticket().suite, responder.ticket().psk_alone);
    // §12.4.3: what the client may use can have changed since.
    if !suites.contains(&suite) {
        return Err(Reject::NoSuite);
    }
    let admitted = responder.admit(&grant(node, job.shard, suite), &fresh_secret(), &fresh_secret())?;
    Ok(Newcomer { admitted, owner, psk_alone, entrance: Entrance::Resume })
}
