//! Recovery end to end: RECOVER, a request that proves the new key, and the server's word that it is recorded (SPEC 13).

use std::{thread, time::Instant};

use mvt_proto::{recovery::RecoveryKit, session::Pending};

use crate::{
    Config, Error, LoginError, Unknown,
    bond::Bond,
    clock,
    connection::Connection,
    entrance::Way,
    establish::enter,
    pipeline::PENDING_PAUSE,
    record::{STRAY_COUNT_MAX, TICKET_PATIENCE, Word, word},
};

/// Recovers with the identity of `config` as the new one; gives a session whose recovery is recorded.
pub(crate) fn recover(config: &Config, kit: &RecoveryKit) -> Result<(Connection, Bond), Error> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut connection =
        Connection::open(config, &config.addresses, deadline, None).map_err(Error::Connect)?;
    let session = enter(&mut connection, config, Way::Recover(kit), deadline)?;
    let mut bond = Bond::new(session, None, config.is_quic());
    // The proof: a request, which is answered PENDING and not executed (SPEC 13.4.2).
    let mut proof = prove(&mut connection, &mut bond, deadline)?;
    loop {
        match wait(&mut connection, &mut bond, &proof, deadline) {
            Ok(()) => return Ok((connection, bond)),
            Err(Heard::Refused) => return Err(Error::Login(LoginError::Refused)),
            Err(Heard::Nothing(Unknown::TimedOut)) if Instant::now() < deadline => {
                if let Some(entered) = log_in(config, deadline) {
                    return Ok(entered);
                }
                proof = prove(&mut connection, &mut bond, deadline)?;
            }
            // No word any more: a login with the new key tells, as soon as there is a server.
            Err(Heard::Nothing(cause)) => {
                while Instant::now() < deadline {
                    if let Some(entered) = log_in(config, deadline) {
                        return Ok(entered);
                    }
                    thread::sleep(PENDING_PAUSE);
                }
                return Err(Error::OutcomeUnknown(cause));
            }
        }
    }
}

fn prove(connection: &mut Connection, bond: &mut Bond, deadline: Instant) -> Result<Pending, Error> {
    let mut out = Vec::new();
    let proof = bond.session.seal_request(0, &[], clock::now_ms(), &mut out);
    let proof = proof.map_err(|_| Error::OutcomeUnknown(Unknown::KeyLost))?;
    connection.send(&out, deadline).map_err(|ended| Error::OutcomeUnknown(ended.into()))?;
    Ok(proof)
}

/// What else than "recorded" was heard.
enum Heard {
    /// The session was erased: the client is barred, or the server could not record it.
    Refused,
    /// No word: it may be recorded.
    Nothing(Unknown),
}

/// Waits until the server says that the recovery is recorded.
fn wait(
    connection: &mut Connection,
    bond: &mut Bond,
    proof: &Pending,
    deadline: Instant,
) -> Result<(), Heard> {
    let mut by = deadline.min(Instant::now() + TICKET_PATIENCE);
    for _ in 0..STRAY_COUNT_MAX {
        let (header, frame) = match connection.receive(by) {
            Ok(received) => received,
            Err(ended) => return Err(Heard::Nothing(ended.into())),
        };
        match word(bond, proof, &header, frame).map_err(Heard::Nothing)? {
            Word::Recorded => return Ok(()),
            Word::UnderWay => by = deadline.min(Instant::now() + TICKET_PATIENCE),
            Word::Refused => return Err(Heard::Refused),
            Word::Stray => {}
        }
    }
    Err(Heard::Nothing(Unknown::TimedOut))
}

/// A login with the new identity succeeds once it is recorded.
fn log_in(config: &Config, deadline: Instant) -> Option<(Connection, Bond)> {
    let mut connection = Connection::open(config, &config.addresses, deadline, None).ok()?;
    let session = enter(&mut connection, config, Way::Login, deadline).ok()?;
    Some((connection, Bond::new(session, None, config.is_quic())))
}
