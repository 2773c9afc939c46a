//! Every schedule of a renewal up to a length, on the real sessions of both sides: frames lost, repeated and out of order,
//! a server that restarts, time that passes (SPEC §11).
//!
//! In every state: no request is executed twice, nor by a session it was not made for; no generation has two keys; the two
//! sides come together as soon as the network lets them. Servers that break a rule must be caught.

mod model {
    pub mod apart;
    pub mod servers;
    pub mod world;
}
mod support;

use model::{
    apart::{self, Apart, DERIVES_WITHOUT, REFUSES_MEANWHILE, TAKES_ANY_RESULT},
    servers::{
        COMMITS_ON_OFFER, ENDS_ON_LAST, Loose, NOTHING, OFFERS_TWICE, REBUILDS_THE_WINDOW,
        RESUMES_WITHOUT_NEW_KEYS, Real, Server,
    },
    world::{Action, Explored, explore, explore_after},
};

/// Steps of a schedule.
const LENGTH: usize = 8;
/// The same where a Diffie-Hellman is among them.
const LENGTH_WITH_EXCHANGE: usize = 6;
/// Two requests are sealed, the first arrives, and its OFFER is heard: from here on is explored what the end of a generation
/// needs, up to [`LENGTH_OF_END`] steps in all.
const BEGUN: [Action; 4] = [Action::Seal, Action::Seal, Action::ToServer(0), Action::ToClient(1)];
const LENGTH_OF_END: usize = 10;
/// A request arrives, its OFFER is heard, and the SHARE arrives: an agreement is to be computed.
const SHARED: [Action; 4] = [Action::Seal, Action::ToServer(0), Action::ToClient(1), Action::ToServer(1)];
/// The server forgets all of it, the client is told so and logs in anew, and the same happens once more; the agreement of before is
/// still being computed.
const SHARED_TWICE: [Action; 12] = [
    Action::Seal,
    Action::ToServer(0),
    Action::ToClient(1),
    Action::ToServer(1),
    Action::Restart,
    Action::Seal,
    Action::ToServer(2),
    Action::ToClient(2),
    Action::Seal,
    Action::ToServer(3),
    Action::ToClient(4),
    Action::ToServer(4),
];
/// Steps after them: time goes by, two requests, the second of which is of the new generation, it arrives, and a result does.
const STEPS_OF_AGREEMENT: usize = 5;

#[test]
fn no_schedule_breaks_a_renewal() {
    let Explored { states, counterexample } = explore::<Real>(0, LENGTH);
    eprintln!("{states} states");
    assert_eq!(counterexample, None);
    assert!(states > 2_000, "{states} states only");
}

#[test]
fn no_schedule_breaks_a_renewal_with_a_diffie_hellman() {
    let Explored { states, counterexample } = explore::<Real>(7, LENGTH_WITH_EXCHANGE);
    eprintln!("{states} states");
    assert_eq!(counterexample, None);
    assert!(states > 500, "{states} states only");
}

/// A SHARE of each login, and every schedule of so many steps after it.
fn explore_agreements<S: Server>() -> Explored {
    let once = explore_after::<S>(7, &SHARED, SHARED.len() + STEPS_OF_AGREEMENT);
    if once.counterexample.is_some() {
        return once;
    }
    let twice = explore_after::<S>(7, &SHARED_TWICE, SHARED_TWICE.len() + STEPS_OF_AGREEMENT);
    Explored { states: once.states + twice.states, ..twice }
}

/// §11.2.7: the result comes early, late, never, more than once, or for an offer that is gone.
#[test]
fn no_schedule_breaks_an_agreement_that_others_compute() {
    let Explored { states, counterexample } = explore_agreements::<Real>();
    eprintln!("{states} states");
    assert_eq!(counterexample, None);
    assert!(states > 2_000, "{states} states only");
}

#[test]
fn a_result_taken_for_another_offer_is_caught() {
    assert_eq!(explore_agreements::<Apart<{ apart::NOTHING }>>().counterexample, None);
    let found = explore_agreements::<Apart<TAKES_ANY_RESULT>>();
    let (why, schedule) = found.counterexample.expect("caught");
    assert_eq!(why, "two keys for one generation");
    assert!(schedule.contains(&Action::Agreed(0)), "{schedule:?}");
}

#[test]
fn a_generation_refused_until_it_is_agreed_is_caught() {
    let (why, schedule) = explore_agreements::<Apart<REFUSES_MEANWHILE>>().counterexample.expect("caught");
    assert_eq!(why, "a request came in time and its generation was gone");
    eprintln!("{why}: {schedule:?}");
}

#[test]
fn a_generation_used_before_it_is_agreed_is_caught() {
    let (why, schedule) = explore_agreements::<Apart<DERIVES_WITHOUT>>().counterexample.expect("caught");
    assert_eq!(why, "two keys for one generation");
    eprintln!("{why}: {schedule:?}");
}

/// §11.3.8, §11.3.6.
#[test]
fn no_schedule_breaks_the_end_of_a_generation() {
    let Explored { states, counterexample } = explore_after::<Real>(0, &BEGUN, LENGTH_OF_END);
    eprintln!("{states} states");
    assert_eq!(counterexample, None);
    assert!(states > 1_000, "{states} states only");
}

/// A RESUME at each point of the beginning of a renewal, and every schedule of so many steps after it.
fn explore_resumes<S: Server>() -> Explored {
    const STEPS: usize = 4;
    let mut states = 0;
    for at in 0..=BEGUN.len() {
        let mut begun = BEGUN[..at].to_vec();
        begun.extend([Action::Resume, Action::Seal]);
        let found = explore_after::<S>(0, &begun, begun.len() + STEPS);
        states += found.states;
        if found.counterexample.is_some() {
            return Explored { states, ..found };
        }
    }
    Explored { states, counterexample: None }
}

/// §12.1.6, with both servers alive: whatever either gets, and in whichever order.
#[test]
fn no_schedule_breaks_a_resume_in_the_midst_of_a_renewal() {
    let Explored { states, counterexample } = explore_resumes::<Real>();
    eprintln!("{states} states");
    assert_eq!(counterexample, None);
    assert!(states > 2_000, "{states} states only");
}

#[test]
fn a_resume_without_new_keys_is_caught() {
    assert_eq!(explore_resumes::<Loose<NOTHING>>().counterexample, None);
    let found = explore_resumes::<Loose<RESUMES_WITHOUT_NEW_KEYS>>();
    let (why, schedule) = found.counterexample.expect("caught");
    assert_eq!(why, "a request was executed twice");
    eprintln!("{why}: {schedule:?}");
}

/// The loose parts are sound before they are spoilt: what is caught below is caught for its mistake.
#[test]
fn no_schedule_breaks_the_loose_server() {
    let Explored { counterexample, .. } = explore::<Loose<NOTHING>>(0, LENGTH - 1);
    assert_eq!(counterexample, None);
    let Explored { counterexample, .. } = explore_after::<Loose<NOTHING>>(0, &BEGUN, LENGTH_OF_END);
    assert_eq!(counterexample, None);
}

#[test]
fn a_commit_on_offer_is_caught() {
    let (why, schedule) = explore::<Loose<COMMITS_ON_OFFER>>(0, LENGTH).counterexample.expect("caught");
    eprintln!("{why}: {schedule:?}");
}

#[test]
fn two_outstanding_offers_are_caught() {
    let (why, schedule) = explore::<Loose<OFFERS_TWICE>>(0, LENGTH).counterexample.expect("caught");
    eprintln!("{why}: {schedule:?}");
}

#[test]
fn a_window_rebuilt_under_the_same_key_is_caught() {
    let (why, schedule) = explore::<Loose<REBUILDS_THE_WINDOW>>(0, LENGTH).counterexample.expect("caught");
    assert_eq!(why, "a request was executed twice");
    eprintln!("{why}: {schedule:?}");
}

/// A drain that ends before all counters below `last` are recorded.
#[test]
fn a_drain_that_ends_with_last_alone_is_caught() {
    let found = explore_after::<Loose<ENDS_ON_LAST>>(0, &BEGUN, LENGTH_OF_END);
    let (why, schedule) = found.counterexample.expect("caught");
    assert_eq!(why, "a request came in time and its generation was gone");
    eprintln!("{why}: {schedule:?}");
}
