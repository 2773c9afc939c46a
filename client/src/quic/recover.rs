//! Recovery end to end over QUIC, by the first stream: RECOVER, the request that proves the new key, the server's word (SPEC §13).

use mvt_proto::{Header, Role, recovery::RecoveryKit, session::Pending};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    Config, Error, LoginError, Unknown,
    bond::Bond,
    clock,
    entrance::Way,
    quic::{
        establish::{connect, enter},
        link::Link,
    },
    record::{STRAY_COUNT_MAX, TICKET_PATIENCE, Word, word},
};

/// Recovers with the identity of `config` as the new one; gives a session whose recovery is recorded.
pub(super) async fn recover(config: &Config, kit: &RecoveryKit) -> Result<(Link, Bond), Error> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut link = connect(config).await?;
    let session = enter(&mut link, config, Way::Recover(kit), deadline).await?;
    let mut bond = Bond::new(session, None, config.is_quic());
    loop {
        // The proof: a request, which is answered PENDING and not executed (§13.4.2).
        let proof = prove(&mut link, &mut bond).await?;
        let cause = match wait(&mut link, &mut bond, &proof, deadline).await {
            Ok(Word::Recorded) => return Ok((link, bond)),
            Ok(_) => return Err(Error::Login(LoginError::Refused)),
            Err(cause) => cause,
        };
        // No word: a login with the new key tells. It is tried for as long as there is time where the connection is gone too.
        loop {
            if Instant::now() >= deadline {
                return Err(Error::OutcomeUnknown(cause));
            }
            if let Some(entered) = log_in(config, deadline).await {
                return Ok(entered);
            }
            if cause == Unknown::TimedOut {
                break;
            }
            sleep(TICKET_PATIENCE / 10).await;
        }
    }
}

async fn prove(link: &mut Link, bond: &mut Bond) -> Result<Pending, Error> {
    let mut out = Vec::new();
    let proof = bond.session.seal_request(0, &[], clock::now_ms(), &mut out);
    let proof = proof.map_err(|_| Error::OutcomeUnknown(Unknown::KeyLost))?;
    link.send_by_stream(&out).await.map_err(|_| Error::OutcomeUnknown(Unknown::Closed))?;
    Ok(proof)
}

/// Waits until the server says that it is recorded, or refuses.
async fn wait(link: &mut Link, bond: &mut Bond, proof: &Pending, deadline: Instant) -> Result<Word, Unknown> {
    let mut by = deadline.min(Instant::now() + TICKET_PATIENCE);
    for _ in 0..STRAY_COUNT_MAX {
        let heard = timeout_at(by, link.next_stream_frame()).await.map_err(|_| Unknown::TimedOut)?;
        let mut frame = heard.ok_or(Unknown::Closed)?;
        let header = Header::parse(&frame, Role::Client).map_err(Unknown::Protocol)?;
        match word(bond, proof, &header, &mut frame)? {
            Word::UnderWay => by = deadline.min(Instant::now() + TICKET_PATIENCE),
            Word::Stray => {}
            last => return Ok(last),
        }
    }
    Err(Unknown::TimedOut)
}

/// A login with the new identity succeeds once it is recorded.
async fn log_in(config: &Config, deadline: Instant) -> Option<(Link, Bond)> {
    let mut link = connect(config).await.ok()?;
    let session = enter(&mut link, config, Way::Login, deadline).await.ok()?;
    Some((link, Bond::new(session, None, config.is_quic())))
}
