//! What a device offers, for the person who configures it: `probe CONFIG.toml [KEY]`.
//!
//! The file is the device's table as `signd` has it (`kind = "sdf"`, `library = …` or `kind = "pkcs11"`, `module = …`). With a key
//! named it also signs a test digest with it, which asks for the PIN once.

use std::error::Error;
use std::process::ExitCode;

use custody::{Cipher, CipherKey, Config, Device, Direction, Fault, Guarded, Hash, KeyAlgorithm, KeyRef, Mode, Scheme};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What a fault means to a person, with the operator's words behind.
            match error.downcast_ref::<Fault>() {
                Some(fault) => eprintln!("{}\n  [{}] {fault}", fault.person(), fault.code()),
                None => eprintln!("{error}"),
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("用法：probe 配置文件.toml [密钥]")?;
    let key: Option<KeyRef> = args.next().map(|key| key.parse()).transpose()?;
    let config: Config = toml::from_str(&std::fs::read_to_string(&file)?)?;
    let device = custody::open(config)?;
    describe(&device)?;
    if let Some(key) = key {
        try_key(&device, &key)?;
    }
    Ok(())
}

fn describe(device: &Guarded) -> Result<(), Fault> {
    let info = device.info()?;
    println!("厂商      {}", info.maker);
    println!("型号      {}", info.model);
    println!("序列号    {}", info.serial);
    if !info.label.is_empty() {
        println!("标签      {}", info.label);
    }
    println!(
        "签名算法  {}",
        words(info.schemes.iter().map(|scheme| format!("{scheme:?}")))
    );
    println!(
        "对称算法  {}",
        words(info.ciphers.iter().map(|cipher| format!("{cipher:?}")))
    );
    println!(
        "SM1       {}",
        if info.ciphers.contains(&Cipher::Sm1) {
            "设备提供"
        } else {
            "无（仅存在于经认证的密码设备内）"
        }
    );
    println!(
        "产生密钥  {}",
        if info.generates {
            "可以"
        } else {
            "使用厂商管理工具"
        }
    );
    println!("随机数    {}", told(device.random(32).map(|_| ())));
    println!("SM3       {}", told(device.sm3(b"abc").map(|_| ())));
    let test = CipherKey::Given(vec![0; 16].into());
    for cipher in [Cipher::Sm4, Cipher::Sm1] {
        let done = device.cipher(&test, cipher, Mode::Ecb, Direction::Encrypt, &[0; 16]);
        println!("{cipher:?} 运算  {}", told(done.map(|_| ())));
    }
    println!("密钥");
    match device.keys() {
        Ok(keys) => {
            for key in keys {
                let uses = [(key.signs, "签名"), (key.decrypts, "解密")];
                let uses = words(uses.iter().filter(|(can, _)| *can).map(|(_, word)| (*word).to_owned()));
                let algorithm = key
                    .algorithm
                    .map_or_else(|| "未知算法".to_owned(), |algorithm| format!("{algorithm:?}"));
                println!("  {}  {algorithm}  {uses}", key.key);
            }
        }
        Err(fault) => println!("  {}", fault.person()),
    }
    Ok(())
}

fn try_key(device: &Guarded, key: &KeyRef) -> Result<(), Fault> {
    let scheme = match device.public_key(key)?.algorithm {
        KeyAlgorithm::Sm2 => Scheme::Sm2,
        KeyAlgorithm::P256 => Scheme::EcdsaP256,
        KeyAlgorithm::Rsa { .. } => Scheme::RsaPkcs1(Hash::Sha256),
        KeyAlgorithm::Aes { .. } => return Err(Fault::NotOffered("用对称密钥签名")),
    };
    let signature = device.sign(key, scheme, &[0x5A; 32])?;
    println!("试签      {scheme:?}，{} 字节，验证通过", signature.len());
    Ok(())
}

fn words(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join("、")
}

fn told(outcome: Result<(), Fault>) -> String {
    outcome.map_or_else(|fault| fault.person(), |()| "正常".into())
}
