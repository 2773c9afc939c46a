//! Published answers: RFC 4231 and cases of Wycheproof, on every path, each case in every lane.

mod oracle;

use mvt_lanes::{HmacKey, Job, mac};
use oracle::engines;

/// Lanes of one batch: more than the widest group, and not a multiple of any.
const LANES: usize = 19;

struct Case {
    name: &'static str,
    key: Vec<u8>,
    message: Vec<u8>,
    /// The output, or its leading bytes where the source truncates.
    mac: Vec<u8>,
}

fn hex(text: &str) -> Vec<u8> {
    let nibble = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(nibble).collect()
}

/// RFC 4231, 4.2 to 4.8.
fn rfc_4231() -> Vec<Case> {
    let case = |name, key: Vec<u8>, message: &[u8], mac| Case {
        name,
        key,
        message: message.to_vec(),
        mac: hex(mac),
    };
    let long_key = b"Test Using Larger Than Block-Size Key - Hash Key First";
    let long_both = b"This is a test using a larger than block-size key and a larger than block-size data. \
        The key needs to be hashed before being used by the HMAC algorithm.";
    vec![
        case(
            "case 1",
            vec![0x0b; 20],
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        case(
            "case 2",
            b"Jefe".to_vec(),
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        case(
            "case 3",
            vec![0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        case(
            "case 4",
            (1..=25).collect(),
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        case("case 5", vec![0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        case(
            "case 6",
            vec![0xaa; 131],
            long_key,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        case(
            "case 7",
            vec![0xaa; 131],
            long_both,
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ]
}

/// C2SP/wycheproof, testvectors_v1/hmac_sha256_test.json: valid cases 1, 2, 17, 20, 21, 22.
fn wycheproof() -> Vec<Case> {
    let rows = [
        (
            "tcId 1",
            "1e225cafb90339bba1b24076d4206c3e79c355805d851682bc818baa4f5a7779",
            "",
            "b175b57d89ea6cb606fb3363f2538abd73a4c00b4a1386905bac809004cf1933",
        ),
        (
            "tcId 2",
            "8159fd15133cd964c9a6964c94f0ea269a806fd9f43f0da58b6cd1b33d189b2a",
            "77",
            "dfc5105d5eecf7ae7b8b8de3930e7659e84c4172f2555142f1e568fc1872ad93",
        ),
        (
            "tcId 17",
            "6fa353868c82e5deeedac7f09471a61bf749ab5498239e947e012eee3c82d7c4",
            "aeed3e4d4cb9bbb60d482e98c126c0f5",
            "9ed7f0e73812a27a87a3808ee0c89a6456499e835974ba57c5aab2a0d8c69e93",
        ),
        (
            "tcId 20",
            "186e248ad824e1eb93329a7fdcd565b6cb4eaf3f85b90b910777128d8c538d27",
            "92ef9ff52f46eccc7e38b9ee19fd2de3b37726c8e6ce9e1b96db5dda4c317902",
            "3fc1d73dd4a8858c1fc3d8c4a3f33ed5ad0c70210038394a5902cb26fe287348",
        ),
        (
            "tcId 21",
            "28855c7efc8532d92567300933cc1ca2d0586f55dcc9f054fcca2f05254fbf7f",
            "9c09207ff0e6e582cb3747dca954c94d45c05e93f1e6f21179cf0e25b4cede74b5479d32f5166935c86f0441905865",
            "788c0589000fb7f0b5d51f1596472bc9ec413421a43df96ee32b02b5d275ffe3",
        ),
        (
            "tcId 22",
            "8e540cb30c94836ae2a5950f355d482a7002e255207e94fda3f7ef1a099013a0",
            "d6500f95e11262e308bf3df4df4b855f33e857563d4543f195639a0a17b442eb9fdcc1367d2eee75c8f805730b89290f",
            "39697e70ce741feb33dedc069f00b5627fd9b837d10cbdd5b6d19cfbd511dd2c",
        ),
    ];
    let case = |(name, key, message, mac)| Case { name, key: hex(key), message: hex(message), mac: hex(mac) };
    rows.into_iter().map(case).collect()
}

#[test]
fn every_path_gives_the_published_outputs_in_every_lane() {
    for case in rfc_4231().into_iter().chain(wycheproof()) {
        let key = HmacKey::new(&case.key);
        assert_eq!(mac(&key, &case.message)[..case.mac.len()], case.mac, "one at a time: {}", case.name);
        for engine in engines() {
            let mut out = [[0; 32]; LANES];
            engine.mac(&[Job::new(&key, &case.message); LANES], &mut out);
            for (lane, out) in out.iter().enumerate() {
                assert_eq!(out[..case.mac.len()], case.mac, "{} {} lane {lane}", engine.path(), case.name);
            }
        }
    }
}

#[test]
fn all_published_cases_in_one_batch_of_mixed_lengths() {
    let cases: Vec<Case> = rfc_4231().into_iter().chain(wycheproof()).collect();
    let keys: Vec<HmacKey> = cases.iter().map(|case| HmacKey::new(&case.key)).collect();
    let jobs: Vec<Job<'_>> =
        keys.iter().zip(&cases).map(|(key, case)| Job::new(key, &case.message)).collect();
    for engine in engines() {
        let mut out = vec![[0; 32]; jobs.len()];
        engine.mac(&jobs, &mut out);
        for (case, out) in cases.iter().zip(&out) {
            assert_eq!(out[..case.mac.len()], case.mac, "{} {}", engine.path(), case.name);
        }
    }
}

/// Truncated tags of the same file under the key 00 01 .. 1f: the true one, then cases 118, 120, 122, 124, 126,
/// 128, 132, 136, 140, 146, 148, 150, 152, 154, 156, 158 and 160, all invalid.
#[test]
fn truncated_tags_of_wycheproof_are_judged_as_published() {
    let key = HmacKey::new(&(0..32).collect::<Vec<u8>>());
    let message: Vec<u8> = (0..16).collect();
    let tags = [
        "d8b99f2709a3ca74172cbe93824c1f29",
        "d8b99fa709a3ca74172cbe93824c1f29",
        "d8b99f2708a3ca74172cbe93824c1f29",
        "d8b99f270ba3ca74172cbe93824c1f29",
        "d8b99f2709a3caf4172cbe93824c1f29",
        "d8b99f2709a3ca74162cbe93824c1f29",
        "d8b99f2709a3ca74972cbe93824c1f29",
        "d8b99f2709a3ca74172cbf93824c1f29",
        "d8b99f2709a3ca74172cbe93804c1f29",
        "d8b99f2709a3ca74172cbe93824c1f28",
        "d8b99f2709a3ca74172cbe93824c1fa9",
        "d9b99f2709a3ca74162cbe93824c1f29",
        "d8b99fa709a3caf4172cbe93824c1f29",
        "d8b99f2709a3caf4172cbe93824c1fa9",
        "274660d8f65c358be8d3416c7db3e0d6",
        "00000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff",
        "58391fa789234af497ac3e1302cc9fa9",
    ]
    .map(|tag| <[u8; 16]>::try_from(hex(tag)).unwrap());
    for engine in engines() {
        let mut ok = [false; 18];
        engine.verify(&[Job::new(&key, &message); 18], &tags, &mut ok);
        assert!(ok[0], "{} rejected the true tag", engine.path());
        assert!(ok[1..].iter().all(|ok| !ok), "{} accepted a published forgery: {ok:?}", engine.path());
    }
}
