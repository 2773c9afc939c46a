//! Keys whose time is over are not in the memory of the server any more: not in its tables, its heap, its stacks, the
//! lanes or the rings (SPEC §5.1.1, §5.2.2, §5.3.2, §7.2.3, §11).
//!
//! The keys are computed here from what a client knows: RS_g and the RESUME it began, then OFFER by OFFER. That the scan
//! finds keys at all is shown by those that are still in use.

#[path = "support/scan.rs"]
mod scan;
mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mvt_lanes::{HmacKey, mac};
use mvt_proto::{
    Header, Role, Suite, agreement,
    frame::{
        control::{self, Says},
        resume::Mode,
    },
    resume::{Initiator, Kept, Offer},
    schedule::{GenerationKeys, extract},
    secret::Secret,
    session::{ClientSession, Told},
    suite::payload_of,
};
use scan::{Needles, scan};
use sha2::{Digest, Sha256};
use support::{Server, Wire, random, resuming, stopwatch::Stopwatch};

/// How much later than by the client's clock the last trace of a key may go: sixty ticks of the server.
const TIDY: Duration = Duration::from_secs(3);

fn now_ms() -> u64 {
    mvt_sys::clock::boottime_ms()
}

fn copy(secret: &Secret) -> Secret {
    Secret::new(*secret.expose())
}

/// GS_0 of a resume, as §12.4 says.
fn resumed_secret(frame: &[u8; 512], answer: &[u8], private: &Secret, kept_secret: &Secret) -> Secret {
    let payload = payload_of(answer);
    let shared = agreement::agree(private, payload[32..64].try_into().expect("e_s")).expect("a good point");
    let transcript = Sha256::new()
        .chain_update(b"mvt1 resume")
        .chain_update([0])
        .chain_update(frame)
        .chain_update(&answer[..28 + 64])
        .finalize();
    extract(&transcript, &[&kept_secret.expose()[..], shared.expose()].concat())
}

/// Both midstates of HMAC under `key`, as the lanes keep them.
fn midstates(key: &[u8; 32]) -> [Vec<u8>; 2] {
    [0x36, 0x5c].map(|pad| {
        let mut state = [
            0x6a09_e667_u32,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        sha2::block_api::compress256(&mut state, &[block]);
        state.iter().flat_map(|word| word.to_ne_bytes()).collect()
    })
}

/// Everything that follows from the secret of a generation, but what the OFFER may still use.
fn needles(number: u16, gs: &Secret, key_id: u64) -> (GenerationKeys, Needles) {
    let keys = GenerationKeys::derive(copy(gs), key_id, number);
    let mut found: Needles = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| found.push((format!("{name} of {number}"), bytes.to_vec()));
    add("GS", gs.expose());
    add("RT", keys.ratchet.expose());
    add("RS", keys.resume.expose());
    add("CTLs", keys.control_s2c.expose());
    add("CTLc", keys.control_c2s.expose());
    add("CF", keys.confirm.expose());
    add("CK_0", keys.request_chain.expose());
    let chain = HmacKey::new(keys.request_chain.expose());
    let slot = mac(&chain, &[1, 0, 0, 0, 0]);
    add("CK_1", &mac(&chain, &[2]));
    add("SK_0", &slot);
    let [inner, outer] = midstates(&slot);
    add("SK_0 inner", &inner);
    add("SK_0 outer", &outer);
    let slot = HmacKey::new(&slot);
    for counter in 0..6 {
        let request = mac(&slot, &mvt_proto::slot::request_key_input(number, counter));
        let [inner, outer] = midstates(&request);
        add(&format!("K_req {counter}"), &request);
        add(&format!("K_req {counter} inner"), &inner);
        add(&format!("K_req {counter} outer"), &outer);
    }
    (keys, found)
}

/// A session whose keys the test knows.
struct Known {
    wire: Wire,
    session: ClientSession,
    gs: Secret,
}

impl Known {
    fn resume(server: &Server, kept: &Kept) -> Self {
        let private = random();
        let offer = Offer {
            server_public: &server.public_key,
            mode: Mode::DiffieHellman,
            login_id: 9,
            cookie: None,
            channel_binding: &[],
        };
        let (initiator, frame) = Initiator::start(kept, &offer, &random(), copy(&private));
        let mut wire = server.connect();
        wire.send(&frame);
        let answer = wire.frame().expect("a RESUME_R");
        let gs = resumed_secret(&frame, &answer, &private, &kept.resume_secret);
        let session = initiator.finish(&answer, now_ms()).expect("an honest RESUME_R");
        Self { wire, session, gs }
    }

    /// One request; too slow where its generation, begun at `begun` or later, was over before.
    fn request(&mut self, begun: Instant, hard: Duration) -> Result<(), TooSlow> {
        let mut frame = Vec::new();
        let sealed = self.session.seal_request(5, b"twenty bytes of load", now_ms(), &mut frame);
        if sealed.is_err() {
            in_time(begun, hard)?;
        }
        let pending = sealed.expect("far from every hard limit");
        self.wire.send(&frame);
        let answer = self.wire.answer(&mut self.session, &pending);
        if answer != Ok(0) {
            in_time(begun, hard)?;
        }
        assert_eq!(answer, Ok(0));
        Ok(())
    }

    /// Requests until an OFFER is there; takes it, and gives N and the next generation's secret.
    fn renew(
        &mut self,
        keys: &GenerationKeys,
        begun: Instant,
        hard: Duration,
    ) -> Result<(Vec<u8>, Secret), TooSlow> {
        loop {
            self.request(begun, hard)?;
            for mut frame in std::mem::take(&mut self.wire.controls) {
                let header = Header::parse(&frame, Role::Client).expect("well formed");
                let mut copied = frame.clone();
                let told = self.session.control(&header, &mut frame, random(), now_ms(), &mut Vec::new());
                if !matches!(told, Ok(Told::Renewed)) {
                    continue;
                }
                let opened = control::open(Role::Client, &keys.control_s2c, &header, &mut copied);
                let Ok(Says::Offer(offer)) = opened else { panic!("an OFFER") };
                let gs = extract(keys.ratchet.expose(), offer.nonce.expose());
                return Ok((offer.nonce.expose().to_vec(), gs));
            }
        }
    }
}

/// What is found, name by name.
struct Look {
    found: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Look {
    fn at(server: &Server, needles: &Needles) -> Self {
        Self { found: scan(server.process_id(), needles) }
    }

    fn sees(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// Which of `needles` are there, and where.
    fn left_of(&self, needles: &Needles) -> Vec<String> {
        let left = needles.iter().filter_map(|(name, _)| self.found.get_key_value(name));
        left.map(|(name, places)| format!("{name}: {places:?}")).collect()
    }
}

/// Looks until nothing of `gone` is left; what begins `TIDY` after `over_by` or later must find nothing. Before, a key
/// may still be there with right: it is the server's clock that ends it, and what was left on a stack goes with the next tick. Time in
/// which the server had no core for that is not its own.
fn wait_until_gone(server: &Server, over_by: Instant, gone: &Needles, others: &Needles) -> Look {
    let all: Needles = gone.iter().chain(others).cloned().collect();
    std::thread::sleep(over_by.saturating_duration_since(Instant::now()));
    let since = Stopwatch::start(server.process_id());
    loop {
        let is_late = since.elapsed() >= TIDY;
        let look = Look::at(server, &all);
        let left = look.left_of(gone);
        if left.is_empty() {
            return look;
        }
        assert!(!is_late, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A look that was to find what is in use ended after that was over: it says nothing.
#[derive(Debug)]
struct TooSlow;

/// Whether what was seen by now was seen within the life of a generation that began at `begun` or later.
fn in_time(begun: Instant, hard: Duration) -> Result<(), TooSlow> {
    if begun.elapsed() < hard { Ok(()) } else { Err(TooSlow) }
}

fn look_for_keys(config: &str, suite: Suite, hard: Duration) -> Result<(), TooSlow> {
    let hard_ms = hard.as_millis();
    let server = Server::start(&format!(
        "{config}io.shards = 1\nlimits.renew_after_requests = 4\nlimits.sessions_max = 64\n\
         limits.renew_after_ms = {hard_ms}\nlimits.reject_after_ms = {hard_ms}\n"
    ));
    let (_wire, _first, kept, _) = resuming::with_ticket(&server, suite);
    let resumed = Instant::now();
    let mut known = Known::resume(&server, &kept);
    let key_id = known.session.key_id();
    let (keys, first) = needles(0, &known.gs, key_id);
    known.request(resumed, hard)?;

    // The canary: what is in use is found.
    let look = Look::at(&server, &first);
    in_time(resumed, hard)?;
    for expected in ["RT of 0", "CTLs of 0", "CTLc of 0", "CK_1 of 0", "SK_0 inner of 0"] {
        assert!(look.sees(expected), "{expected} in {:?}", look.found);
    }

    let asked = Instant::now();
    let (nonce, gs) = known.renew(&keys, resumed, hard)?;
    let offered = Instant::now();
    let (_, second) = needles(1, &gs, key_id);
    known.request(asked, hard)?;
    let committed = Instant::now();
    known.request(asked, hard)?;
    assert_eq!(known.session.generation(), 1);

    // After commit and drain (§11.3.4): nothing of generation 0, nor of what made generation 1.
    let drained = committed + (Duration::from_secs(2) + 4 * (committed - asked)).min(Duration::from_secs(30));
    let (used_up, in_use): (Needles, Needles) =
        second.into_iter().partition(|(name, _)| name.starts_with("GS"));
    let mut gone = first;
    gone.push(("N of 1".into(), nonce));
    gone.extend(used_up);
    gone.push(("RS before the resume".into(), kept.resume_secret.expose().to_vec()));
    let look = wait_until_gone(&server, drained, &gone, &in_use);
    in_time(asked, hard)?;
    assert!(look.sees("CTLs of 1"), "the scan is alive: {:?}", look.found);

    // After the hard limit: nothing at all.
    gone.extend(in_use);
    let look = wait_until_gone(&server, offered + hard, &gone, &Vec::new());
    assert!(look.found.is_empty());
    Ok(())
}

/// Where a machine is so busy that a look takes longer than a key lives, keys live longer.
fn leaves_nothing(config: &str, suite: Suite) {
    let lives = [7, 30, 120].map(Duration::from_secs);
    let done = lives.into_iter().any(|hard| look_for_keys(config, suite, hard).is_ok());
    assert!(done, "no look was in time");
}

#[test]
fn keys_leave_the_memory_of_the_server_with_their_generation() {
    leaves_nothing("io.backend = \"uring\"\n", Suite::Hs256);
}

#[test]
fn keys_of_sealed_sessions_leave_it_too() {
    leaves_nothing("io.backend = \"epoll\"\n", Suite::Gcm256);
}

/// CASES O-07: neither a crash nor a host that is short of memory leaves keys on a disk.
#[test]
fn memory_is_kept_off_disks_or_the_start_is_refused() {
    let row = |server: &Server, file: &str, row: &str| {
        let path = format!("/proc/{}/{file}", server.process_id());
        let text = std::fs::read_to_string(path).expect("it runs");
        text.lines().find(|line| line.starts_with(row)).expect("a row").to_owned()
    };
    let is_root = rustix::process::geteuid().is_root();
    let config = if is_root { "memory.lock = true\n" } else { "" };
    let mut server = Server::start(config);
    assert!(row(&server, "limits", "Max core file size").contains(" 0  "), "no core dump");
    assert_eq!(
        row(&server, "status", "VmLck").contains(" 0 kB"),
        !is_root,
        "locked where that was asked for"
    );
    still_serves(&server);
    server.kill();
    server.wait();
    std::fs::write(server.path("locked.toml"), "listen.tcp = \"127.0.0.1:0\"\nmemory.lock = true\n")
        .expect("written");
    // With a limit, and without the capability to ignore it.
    let drop = if is_root { "setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock" } else { "" };
    let start =
        format!("ulimit -l 64; exec {drop} {} run --config locked.toml", env!("CARGO_BIN_EXE_mvt-server"));
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &start]).current_dir(server.path("")).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(71), "{said}");
    assert!(said.contains("memory.lock") && said.contains("LimitMEMLOCK"), "{said}");
}

fn still_serves(server: &Server) {
    let (mut wire, mut session) = server.login(Suite::Hs256);
    let (pending, _) = wire.request(&mut session, b"locked");
    assert_eq!(wire.answer(&mut session, &pending), Ok(0));
}
