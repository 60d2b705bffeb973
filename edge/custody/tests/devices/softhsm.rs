//! SoftHSM2 as the token. Its configuration is an environment variable and its state belongs to the process, so each test runs
//! itself again in a process of its own, with a token of its own.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use custody::pkcs11::{Config, VendorSm2};
use custody::{Cipher, CipherKey, Device, Direction, Fault, Guarded, Hash, KeyAlgorithm, KeyRef, Mode, Scheme, Unwrap};

use crate::bench::PATIENT;
use crate::judges::{MESSAGE, openssl_encrypts, openssl_verifies, sha, unpadded};

const FOLDER: &str = "CUSTODY_SOFTHSM_FOLDER";
const PIN: &str = "4321";
/// OID of the SM2 curve.
const SM2_CURVE: &[u8] = &[0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];

fn module() -> PathBuf {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    ];
    let found = places.iter().map(PathBuf::from).find(|path| path.is_file());
    found.expect("softhsm2 is installed")
}

/// Runs the body in a process of its own with two fresh tokens, `yiqiao` and `other`.
fn alone(name: &str, body: fn(&Path)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = folder.path().join("softhsm2.conf");
    std::fs::write(
        &conf,
        format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()),
    )
    .unwrap();
    for label in ["yiqiao", "other"] {
        let made = Command::new("softhsm2-util")
            .args([
                "--init-token",
                "--free",
                "--label",
                label,
                "--so-pin",
                "87654321",
                "--pin",
                PIN,
            ])
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let pin = folder.path().join("pin");
    std::fs::write(&pin, format!("{PIN}\n")).unwrap();
    std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("softhsm::{name}"), "--nocapture"])
        .env("SOFTHSM2_CONF", &conf)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(printed.contains("1 passed"), "the test ran: {printed}");
}

fn config(folder: &Path) -> Config {
    let mut config = Config::new(module());
    config.token = Some("yiqiao".into());
    config.pin_file = Some(folder.join("pin"));
    config.sessions = 4;
    config
}

fn open(config: Config) -> Guarded {
    custody::open_within(custody::Config::Pkcs11(config), PATIENT).unwrap()
}

/// Somebody else in the same process, beside the product.
fn stranger() -> (Pkcs11, Session) {
    let module = Pkcs11::new(module()).unwrap();
    let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = module.get_slots_with_initialized_token().unwrap();
    let slot = slots
        .into_iter()
        .find(|slot| module.get_token_info(*slot).unwrap().label() == "yiqiao");
    let session = module.open_rw_session(slot.unwrap()).unwrap();
    (module, session)
}

#[test]
fn a_token_signs_what_openssl_verifies() {
    alone("a_token_signs_what_openssl_verifies", |folder| {
        let device = open(config(folder));
        let seal = device.generate("签章 P-256", KeyAlgorithm::P256).unwrap();
        let rsa = device.generate("rsa", KeyAlgorithm::Rsa { bits: 2048 }).unwrap();
        assert!(seal.signs && !seal.decrypts && rsa.signs && rsa.decrypts);
        // The reference a configuration would name, written and read again.
        let named: KeyRef = seal.key.to_string().parse().unwrap();
        let public = device.public_key(&named).unwrap();
        let digest = sha(Hash::Sha256);
        let signature = device.sign(&named, Scheme::EcdsaP256, &digest).unwrap();
        assert!(openssl_verifies(&public.spki, "-sha256", &[], &signature));
        let long = device.sign(&named, Scheme::EcdsaP256, &sha(Hash::Sha512)).unwrap();
        assert!(openssl_verifies(&public.spki, "-sha512", &[], &long));

        let public = device.public_key(&rsa.key).unwrap();
        assert_eq!(public.algorithm, KeyAlgorithm::Rsa { bits: 2048 });
        for (hash, name, salt) in [
            (Hash::Sha256, "-sha256", "rsa_pss_saltlen:32"),
            (Hash::Sha512, "-sha512", "rsa_pss_saltlen:64"),
        ] {
            let signature = device.sign(&rsa.key, Scheme::RsaPkcs1(hash), &sha(hash)).unwrap();
            assert!(openssl_verifies(&public.spki, name, &[], &signature));
            let signature = device.sign(&rsa.key, Scheme::RsaPss(hash), &sha(hash)).unwrap();
            assert!(openssl_verifies(
                &public.spki,
                name,
                &["rsa_padding_mode:pss", salt],
                &signature
            ));
        }
        let ciphertext = openssl_encrypts(&public.spki, &[], MESSAGE);
        assert_eq!(
            *device.decrypt(&rsa.key, Unwrap::RsaPkcs1, &ciphertext).unwrap(),
            MESSAGE
        );
        assert_eq!(
            device.decrypt(&rsa.key, Unwrap::RsaPkcs1, &unpadded(ciphertext.len())),
            Err(Fault::Ciphertext)
        );

        let wrong = device
            .sign(&named, Scheme::RsaPkcs1(Hash::Sha256), &digest)
            .unwrap_err();
        assert_eq!(wrong.code(), "device_wrong_key");
        let (one, two) = (device.random(64).unwrap(), device.random(64).unwrap());
        assert_ne!(one, two);
    });
}

#[test]
fn keys_are_made_once_listed_and_destroyed() {
    alone("keys_are_made_once_listed_and_destroyed", |folder| {
        let device = open(config(folder));
        let info = device.info().unwrap();
        assert_eq!((info.label.as_str(), info.generates), ("yiqiao", true));
        assert!(info.schemes.contains(&Scheme::EcdsaP256) && !info.schemes.contains(&Scheme::Sm2));
        assert_eq!(info.ciphers, [Cipher::Aes]);
        let seal = device.generate("seal", KeyAlgorithm::P256).unwrap();
        let aes = device.generate("box", KeyAlgorithm::Aes { bits: 256 }).unwrap();
        let again = device.generate("seal", KeyAlgorithm::P256).unwrap_err();
        assert_eq!(again.code(), "device_input", "repeating makes no second key");
        let refused = device.generate("short", KeyAlgorithm::Rsa { bits: 1024 }).unwrap_err();
        assert_eq!(refused.code(), "device_not_offered");
        let listed: HashSet<String> = device
            .keys()
            .unwrap()
            .into_iter()
            .map(|key| key.key.to_string())
            .collect();
        assert_eq!(listed, HashSet::from([seal.key.to_string(), aes.key.to_string()]));

        let held = CipherKey::Held(aes.key.clone());
        let mode = Mode::Cbc([4; 16]);
        let secret = device
            .cipher(&held, Cipher::Aes, mode, Direction::Encrypt, &[6; 48])
            .unwrap();
        assert_ne!(*secret, [6; 48]);
        assert_eq!(
            *device
                .cipher(&held, Cipher::Aes, mode, Direction::Decrypt, &secret)
                .unwrap(),
            [6; 48]
        );
        let sm1 = device
            .cipher(&held, Cipher::Sm1, mode, Direction::Encrypt, &[6; 48])
            .unwrap_err();
        assert_eq!(sm1.code(), "device_not_offered");

        device.destroy(&seal.key).unwrap();
        assert_eq!(
            device.sign(&seal.key, Scheme::EcdsaP256, &[1; 32]),
            Err(Fault::NoKey(seal.key.to_string()))
        );
        assert_eq!(device.destroy(&seal.key).unwrap_err().code(), "device_no_key");
        assert_eq!(device.keys().unwrap().len(), 1);
        let (_, session) = stranger();
        let left = session
            .find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY)])
            .unwrap();
        assert!(left.is_empty(), "the public part went with it");
    });
}

#[test]
fn ecdsa_on_the_sm2_curve_is_never_taken_for_sm2() {
    alone("ecdsa_on_the_sm2_curve_is_never_taken_for_sm2", |folder| {
        let (_module, session) = stranger();
        session
            .login(UserType::User, Some(&AuthPin::from(PIN.to_owned())))
            .unwrap();
        let common = [
            Attribute::Token(true),
            Attribute::Label(b"sm2".to_vec()),
            Attribute::Id(vec![1]),
        ];
        let public = [common.as_slice(), &[Attribute::EcParams(SM2_CURVE.to_vec())]].concat();
        let private = [common.as_slice(), &[Attribute::Private(true), Attribute::Sign(true)]].concat();
        session
            .generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)
            .unwrap();

        let key: KeyRef = "pkcs11:object=sm2".parse().unwrap();
        let device = open(config(folder));
        assert_eq!(device.public_key(&key).unwrap().algorithm, KeyAlgorithm::Sm2);
        assert!(
            device.keys().unwrap().iter().all(|key| !key.signs),
            "listed, but not as one that signs"
        );
        let refused = device.sign(&key, Scheme::Sm2, &[1; 32]).unwrap_err();
        assert_eq!(refused.code(), "device_not_offered");
        assert!(refused.person().contains("SM2"), "{}", refused.person());
        assert_eq!(
            device.sign(&key, Scheme::EcdsaP256, &[1; 32]).unwrap_err().code(),
            "device_wrong_key"
        );

        // A configuration that names CKM_ECDSA as the vendor's SM2: the token signs, and the signature is caught.
        let mut misled = config(folder);
        misled.sm2 = Some(VendorSm2 {
            sign: 0x1041,
            generate: None,
            decrypt: None,
            der: false,
        });
        let caught = open(misled).sign(&key, Scheme::Sm2, &[1; 32]).unwrap_err();
        assert!(matches!(caught, Fault::BadReply { function: "C_Sign", .. }), "{caught}");
    });
}

#[test]
fn a_wrong_pin_is_tried_once() {
    alone("a_wrong_pin_is_tried_once", |folder| {
        let mut config = config(folder);
        config.sessions = 16;
        let file = config.pin_file.clone().unwrap();
        std::fs::write(&file, "9999").unwrap();
        let log = folder.join("log");
        let writer = std::sync::Mutex::new(std::fs::File::create(&log).unwrap());
        tracing_subscriber::fmt().with_writer(writer).init();
        let refusals = || {
            std::fs::read_to_string(&log)
                .unwrap()
                .matches("refused the sign-in")
                .count()
        };
        let (module, session) = stranger();
        let slot = session.get_session_info().unwrap().slot_id();
        let device = open(config.clone());
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(device.keys(), Err(Fault::PinWrong)));
            }
        });
        assert_eq!(refusals(), 1, "sixteen threads, one try");
        assert!(module.get_token_info(slot).unwrap().user_pin_count_low());
        // Somebody signs in rightly, which clears the token's count; if the wrong PIN were tried again, it would be low again.
        session
            .login(UserType::User, Some(&AuthPin::from(PIN.to_owned())))
            .unwrap();
        session.logout().unwrap();
        assert!(!module.get_token_info(slot).unwrap().user_pin_count_low());
        device.reset().unwrap();
        for _ in 0..3 {
            assert_eq!(device.keys(), Err(Fault::PinWrong));
        }
        assert!(
            !module.get_token_info(slot).unwrap().user_pin_count_low(),
            "it was not tried again"
        );
        device.give_pin(PIN.to_owned().into());
        assert_eq!(device.keys(), Ok(Vec::new()));

        session.logout().unwrap();
        config.pin_file = None;
        assert_eq!(open(config).keys(), Err(Fault::PinMissing));
    });
}

#[test]
fn sessions_that_died_are_opened_and_signed_in_anew() {
    alone("sessions_that_died_are_opened_and_signed_in_anew", |folder| {
        let device = open(config(folder));
        let key = device.generate("seal", KeyAlgorithm::P256).unwrap().key;
        let sign = || device.sign(&key, Scheme::EcdsaP256, &[1; 32]);
        sign().unwrap();
        // Signed out behind our back: the sign-in is the process's.
        let (_, session) = stranger();
        session.logout().unwrap();
        assert!(sign().is_ok(), "signed in again");
        drop(session);
        // The module was finalised: every handle is void.
        stranger().0.finalize().unwrap();
        assert!(sign().is_ok(), "initialised again");
        // Finalised and initialised again by another: the module answers, but our sessions are void.
        stranger().0.finalize().unwrap();
        let (_, session) = stranger();
        assert!(sign().is_ok(), "opened again");
        drop(session);
        stranger().0.finalize().unwrap();
        assert_eq!(device.info().unwrap().label, "yiqiao");
        // The token is gone.
        std::fs::rename(folder.join("tokens"), folder.join("pulled")).unwrap();
        std::fs::create_dir(folder.join("tokens")).unwrap();
        stranger_without_token();
        assert_eq!(sign().unwrap_err().code(), "device_gone");
        std::fs::remove_dir(folder.join("tokens")).unwrap();
        std::fs::rename(folder.join("pulled"), folder.join("tokens")).unwrap();
        stranger_without_token();
        assert!(sign().is_ok(), "plugged in again");
    });
}

/// SoftHSM looks at its tokens when it is initialised.
fn stranger_without_token() {
    let module = Pkcs11::new(module()).unwrap();
    let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    module.finalize().unwrap();
}

#[test]
fn tokens_and_keys_must_be_named_without_doubt() {
    alone("tokens_and_keys_must_be_named_without_doubt", |folder| {
        let fault = |config: Config| custody::open(custody::Config::Pkcs11(config)).err().unwrap().code();
        let with = |token: Option<&str>, serial: Option<&str>| Config {
            token: token.map(str::to_owned),
            serial: serial.map(str::to_owned),
            ..config(folder)
        };
        assert_eq!(fault(with(None, None)), "device_absent", "two tokens fit");
        assert_eq!(fault(with(Some("nobody"), None)), "device_absent");
        assert_eq!(fault(with(Some("yiqiao"), Some("0000"))), "device_absent");
        assert_eq!(fault(Config::new("libsofthsm2.so")), "device_library");
        assert_eq!(fault(Config::new("/etc/passwd")), "device_library");
        let device = open(config(folder));
        let serial = device.info().unwrap().serial;
        assert!(custody::open(custody::Config::Pkcs11(with(None, Some(&serial)))).is_ok());

        let (_, session) = stranger();
        device.generate("one", KeyAlgorithm::P256).unwrap();
        for id in [7, 8] {
            let template = [
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Label(b"twin".to_vec()),
                Attribute::Id(vec![id]),
                Attribute::ValueLen(16.into()),
            ];
            session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
        }
        let find = |text: &str| {
            let held = CipherKey::Held(text.parse().unwrap());
            let done = device.cipher(&held, Cipher::Aes, Mode::Ecb, Direction::Encrypt, &[0; 16]);
            done.map_err(|fault| fault.code())
        };
        assert_eq!(find("pkcs11:object=twin"), Err("device_key_ambiguous"));
        assert!(find("pkcs11:object=twin;id=%07").is_ok());
        assert_eq!(find("pkcs11:object=twin;id=%09"), Err("device_no_key"));
        assert_eq!(find("pkcs11:token=other;object=twin;id=%07"), Err("device_no_key"));
        assert!(find("pkcs11:token=yiqiao;object=twin;id=%07;type=secret-key").is_ok());
        assert_eq!(find("pkcs11:object=twin;id=%07;type=private"), Err("device_no_key"));
        assert_eq!(find("sdf:1"), Err("device_no_key"));
    });
}

#[test]
fn many_threads_share_few_sessions() {
    alone("many_threads_share_few_sessions", |folder| {
        let device = open(config(folder));
        let key = device.generate("seal", KeyAlgorithm::P256).unwrap().key;
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        device.sign(&key, Scheme::EcdsaP256, &[1; 32]).unwrap();
                    }
                });
            }
        });
    });
}
