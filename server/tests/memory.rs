//! Keys whose time is over are not in the memory of the server any more: not in its tables, its heap, its stacks, the
//! lanes or the rings (SPEC §5.1.1, §5.2.2, §5.3.2, §7.2.3, §11).
//!
//! The keys are computed here from what a client knows: RS_g and the RESUME it began, then OFFER by OFFER. That the scan
//! finds keys at all is shown by those that are still in use.

#[path = "support/scan.rs"]
mod scan;
mod support;

use std::time::{Duration, Instant};

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
use support::{Server, Wire, random, resuming};

const HARD_MS: u64 = 14_000;

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

    fn request(&mut self) {
        let (pending, _) = self.wire.request(&mut self.session, b"twenty bytes of load");
        assert_eq!(self.wire.answer(&mut self.session, &pending), Ok(0));
    }

    /// Requests until an OFFER is there; takes it, and gives N and the next generation's secret.
    fn renew(&mut self, keys: &GenerationKeys) -> (Vec<u8>, Secret) {
        loop {
            self.request();
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
                return (offer.nonce.expose().to_vec(), gs);
            }
        }
    }
}

fn names(server: &Server, needles: &Needles) -> Vec<String> {
    let found = scan(server.process_id(), needles);
    found.into_iter().map(|(name, places)| format!("{name}: {places:?}")).collect()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn leaves_nothing(config: &str, suite: Suite) {
    let server = Server::start(&format!(
        "{config}io.shards = 1\nlimits.renew_after_requests = 4\nlimits.sessions_max = 64\n\
         limits.renew_after_ms = {HARD_MS}\nlimits.reject_after_ms = {HARD_MS}\n"
    ));
    let (_wire, _first, kept, _) = resuming::with_ticket(&server, suite);
    let mut known = Known::resume(&server, &kept);
    let key_id = known.session.key_id();
    let (keys, first) = needles(0, &known.gs, key_id);
    known.request();

    // The canary: what is in use is found.
    let in_use: Vec<_> =
        names(&server, &first).iter().map(|found| found.split(':').next().unwrap().to_owned()).collect();
    for expected in ["RT of 0", "CTLs of 0", "CTLc of 0", "CK_1 of 0", "SK_0 inner of 0"] {
        assert!(in_use.iter().any(|name| name == expected), "{expected} in {in_use:?}");
    }

    let (nonce, gs) = known.renew(&keys);
    let (_, second) = needles(1, &gs, key_id);
    known.request();
    known.request();
    assert_eq!(known.session.generation(), 1);
    let begun = Instant::now();

    // After commit and drain: nothing of generation 0, nor of what made generation 1.
    let mut gone: Needles = first.clone();
    gone.push(("N of 1".into(), nonce));
    gone.extend(second.iter().filter(|(name, _)| name.starts_with("GS")).cloned());
    gone.push(("RS before the resume".into(), kept.resume_secret.expose().to_vec()));
    // The drain took two seconds, and what it left on a stack goes with the next tick.
    let mut left = Vec::new();
    wait_for("the drain ends", || {
        std::thread::sleep(Duration::from_millis(500));
        left = names(&server, &gone);
        left.is_empty() || begun.elapsed() > Duration::from_secs(8)
    });
    assert_eq!(left, Vec::<String>::new(), "after the drain");
    let canary = names(&server, &second);
    assert!(canary.iter().any(|name| name.starts_with("CTLs of 1")), "the scan is alive: {canary:?}");

    // After the hard limit: nothing at all.
    gone.extend(second);
    wait_for("the hard limit comes", || {
        left = names(&server, &gone);
        left.is_empty() || begun.elapsed() > Duration::from_millis(HARD_MS + 3_000)
    });
    assert_eq!(left, Vec::<String>::new(), "after the hard limit");
}

#[test]
fn keys_leave_the_memory_of_the_server_with_their_generation() {
    leaves_nothing("io.backend = \"uring\"\n", Suite::Hs256);
}

#[test]
fn keys_of_sealed_sessions_leave_it_too() {
    leaves_nothing("io.backend = \"epoll\"\n", Suite::Gcm256);
}
