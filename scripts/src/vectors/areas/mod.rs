//! Every vector, area by area.

mod answer;
mod control;
mod control_offer;
mod control_ticket;
mod frame;
mod key;
mod login;
mod login_client;
mod login_server;
mod lost;
mod material;
mod recover;
mod recover_client;
mod recover_server;
mod renewal;
mod renewal_drain;
mod renewal_due;
mod renewal_script;
mod renewal_share;
mod replay;
mod request;
mod resume;
mod resume_client;
mod resume_server;
mod retry;
mod session;
mod session_slot;
mod stream;
mod ticket;
mod time;
mod verdicts;

use super::vector::Vector;

/// Every vector.
pub(super) fn all() -> Vec<Vector> {
    [
        frame::vectors(),
        stream::vectors(),
        key::vectors(),
        request::vectors(),
        answer::vectors(),
        verdicts::vectors(),
        replay::vectors(),
        time::vectors(),
        session::vectors(),
        session_slot::vectors(),
        lost::vectors(),
        login::vectors(),
        login_server::vectors(),
        login_client::vectors(),
        retry::vectors(),
        renewal::vectors(),
        renewal_share::vectors(),
        renewal_drain::vectors(),
        renewal_due::vectors(),
        control::vectors(),
        control_offer::vectors(),
        control_ticket::vectors(),
        ticket::vectors(),
        resume::vectors(),
        resume_server::vectors(),
        resume_client::vectors(),
        recover::vectors(),
        recover_server::vectors(),
        recover_client::vectors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
