//! The HPKE that recovery stands on: RFC 9180's vectors in PSK mode, and points of low order (CASES V-07).

mod support;

use core::convert::Infallible;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable,
    aead::AesGcm128,
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use support::points::{bad_points, hex};

/// The randomness of the vector: ikmE, once.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("bytes are asked for")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}

impl TryCryptoRng for Given {}

const IKM_E: &str = "78628c354e46f3e169bd231be7b2ff1c77aa302460a26dbfa15515684c00130b";
const IKM_R: &str = "d4a09d09f575fef425905d2ab396c1449141463f698f8efdb7accfaff8995098";
const PK_R: &str = "9fed7e8c17387560e92cc6462a68049657246a09bfa8ade7aefe589672016366";
const SK_R: &str = "c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd";
const ENC: &str = "0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b";
const PSK: &str = "0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82";
const PSK_ID: &[u8] = b"Ennyn Durin aran Moria";
const INFO: &[u8] = b"Ode on a Grecian Urn";
const TEXT: &[u8] = b"Beauty is truth, truth beauty";
const SEALED: [&str; 3] = [
    "e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea",
    "49f3b19b28a9ea9f43e8c71204c00d4a490ee7f61387b6719db765e948123b45b61633ef059ba22cd62437c8ba",
    "257ca6a08473dc851fde45afd598cc83e326ddd0abe1ef23baa3baa4dd8cde99fce2c1e8ce687b0b47ead1adc9",
];
const EXPORTS: [(&[u8], &str); 3] = [
    (b"", "dff17af354c8b41673567db6259fd6029967b4e1aad13023c2ae5df8f4f43bf6"),
    (b"\0", "6a847261d8207fe596befb52928463881ab493da345b10e1dcc645e3b94e2d95"),
    (b"TestContext", "8aff52b45a1be3a734bc7a41e20b4e055ad4c4d22104b0c20285a7c4302401cd"),
];

/// Appendix A.1.2: the KEM, KDF and mode of §13.1. The vectors of §13 hold the AEAD and the key schedule around it.
#[test]
fn the_vectors_of_rfc_9180_in_psk_mode_hold() {
    let psk = hex(PSK);
    let bundle = || PskBundle::new(&psk, PSK_ID).expect("both are there");
    let (private, public) = X25519HkdfSha256::derive_keypair(&hex(IKM_R));
    assert_eq!(public.to_bytes().to_vec(), hex(PK_R));
    // The RFC prints the private key before it is clamped.
    let named = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&hex(SK_R)).expect("32 bytes");
    assert!(private == named);

    let (enc, mut sender) = setup_sender_with_rng::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Psk(bundle()),
        &public,
        INFO,
        &mut Given(hex(IKM_E)),
    )
    .expect("a good key");
    assert_eq!(enc.to_bytes().to_vec(), hex(ENC));
    let mut receiver = setup_receiver::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Psk(bundle()),
        &private,
        &enc,
        INFO,
    )
    .expect("a good point");
    for (number, sealed) in SEALED.iter().enumerate() {
        let associated = format!("Count-{number}");
        assert_eq!(sender.seal(TEXT, associated.as_bytes()).expect("sealed"), hex(sealed));
        assert_eq!(receiver.open(&hex(sealed), associated.as_bytes()).expect("opens"), TEXT);
    }
    for (context, exported) in EXPORTS {
        let mut out = [0; 32];
        sender.export(context, &mut out).expect("32 bytes");
        assert_eq!(out.to_vec(), hex(exported));
        receiver.export(context, &mut out).expect("32 bytes");
        assert_eq!(out.to_vec(), hex(exported));
    }
}

#[test]
fn an_encapsulated_key_of_low_order_is_refused() {
    let (private, _) = X25519HkdfSha256::derive_keypair(&hex(IKM_R));
    let mut low_order_count = 0;
    for point in bad_points() {
        let enc = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&point).expect("32 bytes");
        let bundle = PskBundle::new(&[7; 32], PSK_ID).expect("both are there");
        let mode = OpModeR::Psk(bundle);
        let made = setup_receiver::<AesGcm128, HkdfSha256, X25519HkdfSha256>(&mode, &private, &enc, INFO);
        low_order_count += usize::from(made.is_err());
    }
    // Some of these points are honest ones in another encoding, which HPKE takes and the protocol does not.
    assert!(low_order_count >= 5, "{low_order_count}");
}
