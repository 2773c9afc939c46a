//! The embedded store: what was acknowledged is there, what fails is said, nothing else is touched.

#[path = "support/medium.rs"]
mod medium;
mod support;

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use medium::{ID, Medium, made};
use mvt_proto::{ClientId, Suite};
use mvt_server::{
    registry::{Actor, Bounds, Registry, RegistryError},
    store::{
        Record, Store, StoreError, Write,
        disk::{FORMAT, PAGE_BYTES, Preamble},
        file::Line,
        record::{Identity, State, identity_key, to_value},
        redb::RedbStore,
    },
};
use support::mvt_server;

fn identity(name: &str, seed: u8) -> Write {
    let identity = Identity {
        name: name.into(),
        public_key: [seed; 32],
        suites: vec![Suite::Hs256],
        state: State::Enabled,
        created_ms: 1,
        changed_ms: 1,
    };
    Write { key: identity_key(name), value: Some(to_value(&identity)), expected: None }
}

fn keys(store: &mut dyn Store) -> Vec<String> {
    store.load().unwrap().records.into_iter().map(|record| record.key).collect()
}

#[test]
fn a_record_is_replaced_only_by_who_has_seen_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(&made(folder.path())).unwrap();
    assert_eq!(store.put(&[identity("a", 1)], b"1").unwrap(), 1);
    assert!(
        matches!(store.put(&[identity("a", 2)], b"2"), Err(StoreError::Conflict(key)) if key == "identity/a")
    );
    let stale = Write { expected: Some(7), ..identity("a", 2) };
    assert!(matches!(store.put(&[identity("b", 3), stale], b"2"), Err(StoreError::Conflict(_))));
    assert_eq!(keys(&mut store), ["identity/a"], "all or nothing");
    let seen = Write { expected: Some(1), ..identity("a", 2) };
    assert_eq!(store.put(&[identity("b", 3), seen], b"2").unwrap(), 2);
    assert_eq!(
        store.put(&[Write { key: "identity/a".into(), value: None, expected: Some(2) }], b"3").unwrap(),
        3
    );
    assert_eq!(keys(&mut store), ["identity/b"]);
    let lines = store.audit(2).unwrap();
    assert_eq!(lines, [(2, b"2".to_vec()), (3, b"3".to_vec())], "the last two, oldest first");
}

#[test]
fn a_watcher_sees_what_was_written_after_its_revision_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = RedbStore::open(&made(folder.path())).unwrap();
    for (number, name) in ["c", "a", "b"].into_iter().enumerate() {
        store.put(&[identity(name, number as u8 + 1)], b"").unwrap();
    }
    let seen = |records: Vec<Record>| -> Vec<_> {
        records.into_iter().map(|record| (record.key, record.revision)).collect()
    };
    assert_eq!(seen(store.watch(1).unwrap()), [("identity/a".into(), 2), ("identity/b".into(), 3)]);
    assert_eq!(seen(store.watch(3).unwrap()), []);
    drop(store);
    let mut store = RedbStore::open(&folder.path().join("mvt.store")).unwrap();
    assert_eq!(store.load().unwrap().revision, 3);
    assert_eq!(store.watch(0).unwrap().len(), 3);
}

/// S-05: one failed sync is the end, although every later one would succeed.
#[test]
fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    // Every sync of a change fails once, in turn.
    for failing in 0..4 {
        let medium = Medium::with_store();
        let mut store = medium.open().unwrap();
        store.put(&[identity("kept", 1)], b"").unwrap();
        let before = medium.0.lock().unwrap().sync_count;
        medium.0.lock().unwrap().syncs_left = Some(failing);
        let first = store.put(&[identity("doubt", 2)], b"");
        if medium.0.lock().unwrap().syncs_left.is_some() {
            assert!(failing >= 1 && first.is_ok(), "a change syncs at least once before it is acknowledged");
            assert!(medium.0.lock().unwrap().sync_count > before);
            continue;
        }
        assert!(matches!(first, Err(StoreError::Failed(_))), "{first:?}");
        assert!(first.unwrap_err().is_end());
        let syncs = medium.0.lock().unwrap().sync_count;
        for _ in 0..3 {
            let again = store.put(&[identity("later", 3)], b"");
            assert!(matches!(again, Err(ref error) if error.is_end()), "{again:?}");
        }
        assert_eq!(medium.0.lock().unwrap().sync_count, syncs, "a failed sync is not tried again");
        drop(store);
        let found = keys(&mut medium.open().unwrap());
        assert!(
            found.contains(&"identity/kept".into()) && !found.contains(&"identity/later".into()),
            "{found:?}"
        );
    }
}

/// S-04
#[test]
fn a_full_disk_refuses_changes_and_keeps_what_is_there() {
    let medium = Medium::with_store();
    let mut store = medium.open().unwrap();
    let used = medium.0.lock().unwrap().taken.len() * PAGE_BYTES;
    medium.0.lock().unwrap().room = used + 256 * 1024;
    let mut kept = BTreeMap::new();
    let refused = (0..10_000).find_map(|number| {
        let name = format!("client-{number}");
        match store.put(&[identity(&name, 1)], &[0; 900]) {
            Ok(revision) => {
                kept.insert(identity_key(&name), revision);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(matches!(refused, Some(StoreError::Full(_))), "{refused:?}");
    assert!(!refused.unwrap().is_end());
    assert!(kept.len() > 10, "{} were kept", kept.len());
    for _ in 0..3 {
        let now: BTreeMap<_, _> =
            store.load().unwrap().records.into_iter().map(|record| (record.key, record.revision)).collect();
        assert_eq!(now, kept, "what was acknowledged, and nothing else");
        assert!(matches!(store.put(&[identity("more", 1)], &[0; 4000]), Err(StoreError::Full(_))));
    }
    medium.0.lock().unwrap().room = usize::MAX;
    store.put(&[identity("more", 1)], b"").unwrap();
    assert_eq!(store.load().unwrap().records.len(), kept.len() + 1);
}

/// S-01, S-07: a store cut or bent anywhere is refused, or says what it said before.
#[test]
fn damage_is_found_or_has_no_effect() {
    let medium = Medium::with_store();
    let mut store = medium.open().unwrap();
    for number in 0..40u8 {
        store.put(&[identity(&format!("client-{number}"), number + 1)], b"line").unwrap();
    }
    let expected = sorted(store.load().unwrap().records);
    drop(store);
    let good = medium.0.lock().unwrap().bytes.clone();
    let (mut refused, mut same) = (0, 0);
    let mut judge = |bytes: Vec<u8>, what: &str| {
        medium.0.lock().unwrap().bytes = bytes;
        match medium.open().and_then(|mut store| store.load()) {
            Ok(snapshot) => {
                assert_eq!(sorted(snapshot.records), expected, "{what}");
                same += 1;
            }
            Err(StoreError::Corrupted { .. }) => refused += 1,
            Err(error) => panic!("{what}: {error}"),
        }
    };
    for at in (PAGE_BYTES..good.len()).step_by(good.len() / 300) {
        let mut bent = good.clone();
        bent[at] ^= 0x10;
        judge(bent, &format!("bit of byte {at}"));
    }
    for page in 1..good.len() / PAGE_BYTES {
        let mut bent = good.clone();
        bent[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].fill(0);
        judge(bent, &format!("page {page} zeroed"));
        let mut bent = good.clone();
        let other = 1 + page % (good.len() / PAGE_BYTES - 1);
        bent.copy_within(other * PAGE_BYTES..(other + 1) * PAGE_BYTES, page * PAGE_BYTES);
        judge(bent, &format!("page {other} in place of page {page}"));
    }
    assert!(refused > 20 && same > 20, "{refused} refused, {same} the same");
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|one, other| one.key.cmp(&other.key));
    records
}

/// S-10, Z-05
#[test]
fn what_cannot_be_used_is_named_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(mvt_server(path, &["keygen", "server.key"]).status.success());
    let check = |expected: i32, word: &str| {
        for command in [&["check-config"][..], &["run"], &["list"], &["revoke", "nobody"]] {
            let output = mvt_server(path, command);
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(expected), "{command:?}: {text}");
            assert!(text.contains(word) && text.lines().count() == 1, "{command:?}: {text}");
        }
    };
    check(66, "no store there");
    assert!(!path.join("mvt.store").exists());
    assert!(mvt_server(path, &["init"]).status.success());
    let store = path.join("mvt.store");
    let good = fs::read(&store).unwrap();
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(&store, fs::Permissions::from_mode(0o640)).unwrap();
    check(77, "chmod 600");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();

    let mut newer = good.clone();
    newer[..PAGE_BYTES].copy_from_slice(&Preamble { format: FORMAT + 1, store_id: ID }.to_page());
    for (bytes, status, word) in [
        (newer, 76, "later version"),
        (good[..100].to_vec(), 65, "not a store"),
        (good[..PAGE_BYTES].to_vec(), 65, "nothing behind"),
        (b"alice AAAA\n".repeat(1000), 65, "not a store"),
    ] {
        fs::write(&store, &bytes).unwrap();
        check(status, word);
        assert_eq!(fs::read(&store).unwrap(), bytes, "not a byte was written");
    }
    // Its first page says that it is another store.
    let mut other = good.clone();
    other[..PAGE_BYTES].copy_from_slice(&Preamble { format: FORMAT, store_id: ID }.to_page());
    fs::write(&store, &other).unwrap();
    check(65, "not of one store");
    fs::remove_file(&store).unwrap();
    fs::create_dir(&store).unwrap();
    check(73, "mvt.store");
}

#[test]
fn a_recovery_secret_is_sealed_and_bound_to_its_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(mvt_server(path, &["keygen", "server.key"]).status.success());
    let key = String::from_utf8(mvt_server(path, &["keygen", "--client", "a.key"]).stdout).unwrap();
    let output = mvt_server(path, &["enroll", "alice", key.trim(), "--recovery-kit"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let secret = text.lines().find_map(|line| line.strip_prefix("mvt-recovery-secret ")).expect("a kit");
    let raw = mvt_proto::keyfile::key_from_text(secret).expect("32 bytes");
    let stored = fs::read(path.join("mvt.store")).unwrap();
    assert!(!stored.windows(32).any(|window| window == raw), "never in the clear");
    assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let again = String::from_utf8(mvt_server(path, &["recover-kit", "alice"]).stdout).unwrap();
    assert!(again.contains("mvt-recovery-name alice") && !again.contains(secret), "a new one");
    assert!(String::from_utf8(mvt_server(path, &["show", "alice"]).stdout).unwrap().contains(" kit"));

    fs::remove_file(path.join("seal.key")).unwrap();
    assert_eq!(mvt_server(path, &["recover-kit", "alice"]).status.code(), Some(66));
    fs::write(path.join("seal.key"), format!("mvt-seal-key {key}\n")).unwrap();
    fs::set_permissions(path.join("seal.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let output = mvt_server(path, &["run"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8(output.stderr).unwrap().contains("store.seal_key_file"));
    let zero = mvt_proto::keyfile::key_to_text(&[0; 32]);
    fs::write(path.join("seal.key"), format!("mvt-seal-key {zero}\n")).unwrap();
    assert_eq!(mvt_server(path, &["run"]).status.code(), Some(2));
}

/// S-04: what was set aside lets a client be revoked where nobody can be enrolled any more.
#[test]
fn a_full_disk_still_takes_revocations() {
    let medium = Medium::with_store();
    let bounds = Bounds { revocations_max: 1000, revocation_keep_ms: 1000, follower_stale_ms: 0 };
    let store = Box::new(medium.open().unwrap());
    let mut registry = Registry::open(store, "medium".into(), bounds, None).unwrap();
    let actor = Actor { uid: 0, now_ms: 5_000 };
    let line = |number: u32| {
        let mut public_key = [1; 32];
        public_key[..4].copy_from_slice(&number.to_be_bytes());
        Line { name: format!("client-{number}"), public_key, suites: vec![Suite::Hs256] }
    };
    let used = medium.0.lock().unwrap().taken.len() * PAGE_BYTES;
    medium.0.lock().unwrap().room = used + 256 * 1024;
    medium.0.lock().unwrap().reserve = 512 * 1024;
    let full =
        (0..10_000).find(|number| registry.enroll(actor, &[line(*number)], false).is_err()).expect("full");
    assert!(full > 10, "{full} were enrolled");
    let mut revoked = 0;
    let (name, refused) = (0..full)
        .find_map(|number| {
            let name = format!("client-{number}");
            registry.withdraw(std::slice::from_ref(&name)).unwrap();
            match registry.revoke(actor, std::slice::from_ref(&name)) {
                Ok(_) => {
                    revoked += 1;
                    // The reserve is spent: from here on it takes what pages there are.
                    medium.0.lock().unwrap().room = 0;
                    None
                }
                Err(error) => Some((name, error)),
            }
        })
        .expect("not all of them fit");
    assert!(revoked > 4, "{revoked} were revoked");
    assert!(matches!(refused, RegistryError::Store(StoreError::Full(_))), "{refused:?}");
    // That one is revoked in memory.
    registry.revoke_here([ClientId::of_name(&name)], actor.now_ms);
    medium.0.lock().unwrap().room = usize::MAX;
    registry.enroll(actor, &[line(full)], false).unwrap();
    assert_eq!(registry.enrolment().len(), full as usize + 1 - revoked - 1, "the store was read anew");
    assert!(registry.enrolment().find_id(&ClientId::of_name(&name)).is_none(), "it stays out");
    assert!(registry.revocations().refuses(&ClientId::of_name(&name), 5_000));
    drop(registry);
    let registry = Registry::open(Box::new(medium.open().unwrap()), "medium".into(), bounds, None).unwrap();
    assert!(registry.revocations().refuses(&ClientId::of_name("client-0"), 5_000));
    assert!(!registry.revocations().refuses(&ClientId::of_name("client-0"), 5_001));
}
