//! The registry over a store: what it refuses, forgets and records, in which order.

#[path = "support/medium.rs"]
mod medium;
#[path = "support/rig.rs"]
mod rig;

use std::sync::Arc;

use medium::Medium;
use mvt_proto::{ClientId, Limits, Suite, secret::Secret};
use mvt_server::{
    admin::{
        claims::Claim,
        execute::{Host, ServerKeys, Unconfirmed, execute, record},
        request::{Answer, NewClient, Request},
    },
    enrolment::Enrolment,
    mailbox::Mail,
    owner::Owner,
    registry::{Actor, Bounds, Registry, RegistryError},
    revocations::Revoked,
    service::ServiceKind,
    store::{file::Line, seal::SealKey},
    tickets::Others,
};
use rig::{ORIGIN_MS, Rig, halves};

const KEEP_MS: u64 = 100_000;

fn registry(medium: &Medium, revocations_max: usize) -> Registry {
    let bounds = Bounds { revocations_max, revocation_keep_ms: KEEP_MS, follower_stale_ms: 0 };
    let seal_key = Arc::new(SealKey::new(Secret::new([3; 32])));
    Registry::open(Box::new(medium.open().unwrap()), "medium".into(), bounds, Some(seal_key)).unwrap()
}

fn line(name: &str, seed: u8) -> Line {
    Line { name: name.into(), public_key: [seed; 32], suites: vec![Suite::Hs256] }
}

fn at(now_ms: u64) -> Actor {
    Actor { uid: 7, now_ms }
}

fn revoke(registry: &mut Registry, name: &str, now_ms: u64) {
    let names = [name.to_owned()];
    registry.withdraw(&names).unwrap();
    registry.revoke(at(now_ms), &names).unwrap();
}

/// §12.2.2: the list is bounded, and what it has no room for is still refused.
#[test]
fn a_full_list_gives_way_to_a_floor_and_nobody_revoked_gets_in() {
    let medium = Medium::with_store();
    let mut registry_now = registry(&medium, 32);
    let names: Vec<String> = (0..100).map(|number| format!("client-{number}")).collect();
    let lines: Vec<_> = names.iter().zip(1..).map(|(name, seed)| line(name, seed)).collect();
    registry_now.enroll(at(1), &lines, false).unwrap();
    for (name, now_ms) in names.iter().zip(1000..) {
        revoke(&mut registry_now, name, now_ms);
        assert!(registry_now.revocations().len() <= 32);
    }
    let judge = |registry: &Registry| {
        for (name, now_ms) in names.iter().zip(1000..) {
            assert!(registry.revocations().refuses(&ClientId::of_name(name), now_ms), "{name}");
        }
        let stranger = ClientId::of_name("stranger");
        assert!(registry.revocations().refuses(&stranger, 1060), "the floor is for all");
        assert!(!registry.revocations().refuses(&stranger, 1099), "and not higher than it must be");
    };
    judge(&registry_now);
    let audit = registry_now.audit(10).unwrap();
    assert!(audit.iter().any(|(_, line)| line.what.ends_with("a floor for all")), "{audit:?}");
    drop(registry_now);
    judge(&registry(&medium, 32));
}

/// §12.2.2: also by one command that names more than it has room for.
#[test]
fn a_command_about_more_clients_than_the_list_holds_is_a_floor_at_once() {
    let medium = Medium::with_store();
    let (mut registry_now, mut diary) = (registry(&medium, 32), Diary { now_ms: 2000, ..Diary::default() });
    let names: Vec<String> = (0..100).map(|number| format!("client-{number}")).collect();
    let lines: Vec<_> = names.iter().zip(1..).map(|(name, seed)| line(name, seed)).collect();
    registry_now.enroll(at(1), &lines, false).unwrap();
    revoke(&mut registry_now, &names[0], 1000);
    let request = Request::Revoke { names: names[..60].to_vec(), skip_unknown: false };
    let answer = execute(&mut registry_now, &mut diary, 0, &request).unwrap();
    assert!(matches!(answer, Answer::Revoked { revoked: 60, .. }), "{answer:?}");
    let judge = |registry: &Registry| {
        assert!(registry.revocations().len() <= 32, "{}", registry.revocations().len());
        for name in &names[..60] {
            assert!(registry.revocations().refuses(&ClientId::of_name(name), 2000), "{name}");
            assert!(registry.enrolment().find_id(&ClientId::of_name(name)).is_none());
        }
        assert_eq!(registry.enrolment().len(), 40);
        assert!(!registry.revocations().refuses(&ClientId::of_name(&names[70]), 2010), "others log in again");
    };
    judge(&registry_now);
    drop(registry_now);
    judge(&registry(&medium, 32));
}

/// §12.2.2
#[test]
fn a_revocation_is_forgotten_when_every_ticket_it_concerns_has_expired() {
    let medium = Medium::with_store();
    let mut registry = registry(&medium, 32);
    registry.enroll(at(1), &[line("a", 1), line("b", 2)], false).unwrap();
    revoke(&mut registry, "a", 1000);
    revoke(&mut registry, "b", 2000);
    assert_eq!(registry.prune(1000 + KEEP_MS - 1).unwrap(), 0);
    assert_eq!(registry.prune(1000 + KEEP_MS).unwrap(), 1);
    assert_eq!(registry.prune(1000 + KEEP_MS).unwrap(), 0);
    let (a, b) = (ClientId::of_name("a"), ClientId::of_name("b"));
    assert!(!registry.revocations().refuses(&a, 1) && registry.revocations().refuses(&b, 1));
    assert!(registry.enrolment().is_empty(), "who is revoked stays so");
}

#[test]
fn a_kit_is_for_one_identity_and_the_last_one_counts() {
    let medium = Medium::with_store();
    let mut registry = registry(&medium, 32);
    registry.enroll(at(1), &[line("a", 1)], false).unwrap();
    let unsealed = |registry: &Registry| {
        let client = registry.enrolment().find_id(&ClientId::of_name("a")).unwrap().clone();
        registry.unsealer().unwrap().recovery_secret(&client).map(|secret| *secret.expose())
    };
    assert_eq!(unsealed(&registry), None);
    let first = registry.recover_kit(at(2), "a").unwrap();
    assert_eq!(unsealed(&registry), Some(*first.secret.expose()));
    let second = registry.recover_kit(at(3), "a").unwrap();
    assert_ne!(first.secret.expose(), second.secret.expose());
    assert_eq!(unsealed(&registry), Some(*second.secret.expose()));
    revoke(&mut registry, "a", 1000);
    assert!(matches!(registry.recover_kit(at(1001), "a"), Err(RegistryError::Revoked(_))));
    registry.enroll(at(1002), &[line("a", 1)], false).unwrap();
    assert_eq!(unsealed(&registry), None, "the kit of the identity before is void");
    let third = registry.recover_kit(at(1003), "a").unwrap();
    assert_eq!(unsealed(&registry), Some(*third.secret.expose()));
}

#[test]
fn a_name_and_a_key_belong_to_one_client() {
    let medium = Medium::with_store();
    let mut registry = registry(&medium, 32);
    registry.enroll(at(1), &[line("a", 1), line("b", 2)], false).unwrap();
    revoke(&mut registry, "b", 10);
    for lines in [
        vec![line("a", 3)],
        vec![line("c", 1)],
        // Nor does a key that was revoked come back under another name.
        vec![line("c", 2)],
        vec![line("c", 3), line("c", 4)],
        vec![line("c", 3), line("d", 3)],
        vec![line("c d", 3)],
    ] {
        assert!(registry.enroll(at(20), &lines, false).is_err(), "{lines:?}");
        assert_eq!(registry.enrolment().len(), 1, "nothing of it");
    }
    registry.enroll(at(20), &[line("b", 5), line("c", 3)], false).unwrap();
    assert_eq!(registry.enrolment().find(&[5; 32]).unwrap().name, "b");
    assert!(registry.enrolment().find(&[2; 32]).is_none());
}

/// What a node is made to do, in order.
#[derive(Default)]
struct Diary {
    now_ms: u64,
    lines: Vec<String>,
    published: Enrolment,
    revoked: Option<Revoked>,
}

impl Host for Diary {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn publish(&mut self, registry: &Registry) {
        // Time goes on: a login that found the enrolment of before has a time of before.
        self.now_ms += 1;
        self.published = registry.enrolment().clone();
        self.lines.push(format!("publish {}", registry.enrolment().len()));
    }

    fn erase_sessions(&mut self, revoked: Revoked) -> Result<(), Unconfirmed> {
        self.lines.push("erase".into());
        self.revoked = Some(revoked);
        Ok(())
    }

    fn renew_all(&mut self, within_ms: u64) -> Result<(), String> {
        self.lines.push(format!("renew {within_ms}"));
        Ok(())
    }

    fn tell_recorded(&mut self, _: &Claim, authenticated_ms: Option<u64>) {
        self.lines.push(format!("recorded {authenticated_ms:?}"));
    }

    fn tell_complete(&mut self, _: &Claim) {
        self.lines.push("complete".into());
    }

    fn rotate_ticket_key(&mut self, _: Others) -> Result<u32, String> {
        Err("none".into())
    }

    fn server_keys(&mut self) -> Result<ServerKeys, String> {
        Ok(ServerKeys { server_public: [8; 32], recovery_public: [9; 32] })
    }
}

/// §12.2.1: the time of a revocation is read when nobody finds the client any more.
#[test]
fn a_revocation_is_not_older_than_the_last_login_that_found_the_client() {
    let medium = Medium::with_store();
    let (mut registry, mut diary) = (registry(&medium, 32), Diary { now_ms: 100, ..Diary::default() });
    registry.enroll(at(1), &[line("a", 1)], false).unwrap();
    let answer = execute(
        &mut registry,
        &mut diary,
        0,
        &Request::Revoke { names: vec!["a".into()], skip_unknown: false },
    )
    .unwrap();
    assert!(matches!(answer, Answer::Revoked { revoked: 1, .. }), "{answer:?}");
    assert_eq!(diary.lines, ["publish 0", "publish 0", "erase", "publish 0"]);
    let a = ClientId::of_name("a");
    // 100 is the last time at which a login may have found it.
    assert!(diary.revoked.as_ref().unwrap().refuses(&a, 100) && registry.revocations().refuses(&a, 101));
    let none = execute(&mut registry, &mut diary, 0, &Request::Revoke { names: vec![], skip_unknown: false })
        .unwrap();
    assert!(matches!(none, Answer::Refused { status: 2, .. }), "{none:?}");
}

/// §11.2.1
#[test]
fn a_renewal_of_all_is_done_and_stands_in_the_audit() {
    let medium = Medium::with_store();
    let (mut registry, mut diary) = (registry(&medium, 32), Diary::default());
    let answer = execute(&mut registry, &mut diary, 3, &Request::Renew { within_s: 7 }).unwrap();
    assert!(matches!(answer, Answer::Renewing { within_s: 7 }), "{answer:?}");
    assert_eq!(diary.lines, ["renew 7000"]);
    let (_, noted) = registry.audit(1).unwrap().pop().expect("a line");
    assert_eq!((noted.uid, &*noted.what), (3, "renew all sessions within 7 s"));
}

/// §13.4.1, §13.4.3, §13.2.4
#[test]
fn a_recovery_is_recorded_once_and_a_revocation_wins_over_it() {
    let medium = Medium::with_store();
    let (mut registry, mut diary) = (registry(&medium, 32), Diary { now_ms: 100, ..Diary::default() });
    registry.enroll(at(1), &[line("a", 1), line("b", 2)], false).unwrap();
    let a = ClientId::of_name("a");
    let claim = |authenticated_ms, seed| Claim {
        shard: 0,
        key_id: 5,
        owner: Owner { client: a, authenticated_ms },
        new_public: [seed; 32],
    };
    // A key somebody has, be it the client itself, is not taken.
    for seed in [1, 2] {
        diary.lines.clear();
        record(&mut registry, &mut diary, claim(90, seed)).unwrap();
        assert_eq!(diary.lines, ["publish 2", "recorded None"]);
    }
    diary.lines.clear();
    record(&mut registry, &mut diary, claim(90, 9)).unwrap();
    let not_before = diary.now_ms - 1;
    assert_eq!(
        diary.lines,
        ["publish 1", "publish 2", &format!("recorded Some({})", not_before + 1), "erase", "complete"]
    );
    assert_eq!(diary.published.find(&[9; 32]).unwrap().name, "a");
    assert!(diary.published.find(&[1; 32]).is_none(), "the key of before is void");
    assert!(
        registry.revocations().refuses(&a, not_before) && !registry.revocations().refuses(&a, not_before + 1)
    );
    // Another one that began before that is older than what it recorded.
    diary.lines.clear();
    record(&mut registry, &mut diary, claim(95, 10)).unwrap();
    assert_eq!(diary.lines, ["publish 2", "recorded None"]);
    // A revocation in between wins.
    let begun = diary.now_ms + 1;
    diary.now_ms += 10;
    execute(&mut registry, &mut diary, 0, &Request::Revoke { names: vec!["a".into()], skip_unknown: false })
        .unwrap();
    diary.lines.clear();
    record(&mut registry, &mut diary, claim(begun, 11)).unwrap();
    assert_eq!(diary.lines, ["publish 1", "recorded None"]);
    // Nor does it count for who is enrolled anew.
    let clients = vec![NewClient {
        name: "a".into(),
        public_key: mvt_proto::keyfile::key_to_text(&[12; 32]),
        suites: String::new(),
    }];
    let request = Request::Enroll { clients, skip_known: false, recovery_kit: false };
    execute(&mut registry, &mut diary, 0, &request).unwrap();
    record(&mut registry, &mut diary, claim(begun, 11)).unwrap();
    assert_eq!(diary.lines.last().unwrap(), "recorded None");
    assert!(diary.published.find(&[11; 32]).is_none());
}

/// §13.4.1: the session that claimed goes on, every other one of its client ends.
#[test]
fn the_session_of_a_recovery_outlives_those_before_it() {
    let limits = Limits { replay_window_bits: 64, ..Limits::DEFAULT };
    let mut rig = Rig::new(ServiceKind::Verdict, limits, 16, 1);
    let a = ClientId::of_name("a");
    let mut key_ids = Vec::new();
    for number in 0..4 {
        let session = halves(0, number, Suite::Hs256, limits).1;
        key_ids.push(session.key_id());
        rig.admit_for(Owner { client: a, authenticated_ms: ORIGIN_MS }, session);
    }
    let mut revoked = Revoked::default();
    revoked.revoke(&a, ORIGIN_MS + 50);
    let (confirm, confirmed) = crossbeam::channel::bounded(1);
    for mail in [
        Mail::Recorded { key_id: key_ids[2], authenticated_ms: Some(ORIGIN_MS + 51) },
        Mail::Revoke { revoked: Arc::new(revoked), confirm },
    ] {
        assert!(rig.mailboxes[0].post(mail).is_ok());
    }
    rig.shard.read_mail(ORIGIN_MS);
    assert_eq!((confirmed.try_recv(), rig.shard.session_count()), (Ok(0), 1));
    let refused = Mail::Recorded { key_id: key_ids[2], authenticated_ms: None };
    assert!(rig.mailboxes[0].post(refused).is_ok());
    rig.shard.read_mail(ORIGIN_MS);
    assert_eq!(rig.shard.session_count(), 0);
}
