//! A RECOVER at the pool: HPKE, the new key, key agreement; nothing of it has an effect yet (SPEC §13).

use mvt_proto::{Reject, Suite, frame::recover::Recover, recovery::Responder};

use crate::{
    handshakes::{Job, fresh_secret, grant},
    mailbox::{Entrance, Newcomer},
    node::Node,
    owner::Owner,
};

pub(super) fn judge(node: &Node, job: &Job) -> Result<Newcomer, Reject> {
    // Before the client is looked up: see `Owner`.
    let authenticated_ms = node.clock.now_ms();
    let recover = Recover::parse(&job.frame)?;
    let known = node.recoverable(&recover.client);
    // §13.2.2: whoever is unknown, barred or has no recovery secret costs the same work under a random one.
    let (secret, suites) = match known {
        Some(known) => (known.recovery_secret, known.suites),
        None => (fresh_secret(), Suite::ALL.map(|(suite, _)| suite).to_vec()),
    };
    let (server_public, binding) = (node.identity.public(), job.channel_binding());
    let responder = Responder::read(&recover, &node.recovery_key, server_public, &secret, binding)?;
    // §13.2.4: judged again when it is recorded; here it saves the client a session that would end.
    if node.enrolment.load().find(responder.new_public()).is_some() {
        return Err(Reject::Recovery);
    }
    let suite = responder.choose_suite(&suites)?;
    let owner = Owner { client: *responder.client(), authenticated_ms };
    let entrance = Entrance::Recovery { new_public: *responder.new_public() };
    let admitted = responder.admit(&grant(node, job.shard, suite), &fresh_secret(), &fresh_secret())?;
    Ok(Newcomer { admitted, owner, psk_alone: node.tickets.psk_alone(), entrance })
}
