//! Finding, making and destroying keys of a token.

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::{Line, Snag, Token, Worked, by, lock, module};
use crate::der;
use crate::judge::Known;
use crate::reference::{Named, Pkcs11Key};
use crate::{Fault, KeyAlgorithm, KeyInfo, KeyRef};

/// What the interface needs to know of an object.
#[derive(Default)]
struct Traits {
    kind: Option<KeyType>,
    label: Vec<u8>,
    id: Vec<u8>,
    curve: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    point: Vec<u8>,
    length: u64,
    signs: bool,
    decrypts: bool,
    extractable: bool,
    always_asks: bool,
}

impl Traits {
    fn read(session: &Session, object: ObjectHandle) -> Worked<Self> {
        let wanted = [
            AttributeType::KeyType,
            AttributeType::Label,
            AttributeType::Id,
            AttributeType::EcParams,
            AttributeType::Modulus,
            AttributeType::PublicExponent,
            AttributeType::EcPoint,
            AttributeType::ValueLen,
            AttributeType::Sign,
            AttributeType::Decrypt,
            AttributeType::Extractable,
            AttributeType::AlwaysAuthenticate,
        ];
        let mut traits = Self::default();
        for attribute in session
            .get_attributes(object, &wanted)
            .or_else(by("C_GetAttributeValue"))?
        {
            match attribute {
                Attribute::KeyType(kind) => traits.kind = Some(kind),
                Attribute::Label(label) => traits.label = label,
                Attribute::Id(id) => traits.id = id,
                Attribute::EcParams(curve) => traits.curve = curve,
                Attribute::Modulus(modulus) => traits.modulus = modulus,
                Attribute::PublicExponent(exponent) => traits.exponent = exponent,
                Attribute::EcPoint(point) => traits.point = point,
                Attribute::ValueLen(length) => traits.length = *length,
                Attribute::Sign(signs) => traits.signs = signs,
                Attribute::Decrypt(decrypts) => traits.decrypts = decrypts,
                Attribute::AlwaysAuthenticate(asks) => traits.always_asks = asks,
                Attribute::Extractable(extractable) => traits.extractable = extractable,
                _ => {}
            }
        }
        Ok(traits)
    }

    fn algorithm(&self) -> Option<KeyAlgorithm> {
        // A vendor's own key type has the curve all the same.
        if self.curve == der::SM2 {
            return Some(KeyAlgorithm::Sm2);
        }
        match self.kind? {
            KeyType::EC if self.curve == der::P256 => Some(KeyAlgorithm::P256),
            KeyType::RSA => Some(KeyAlgorithm::Rsa {
                bits: u32::try_from(der::strip(&self.modulus).len()).ok()?.checked_mul(8)?,
            }),
            KeyType::AES => Some(KeyAlgorithm::Aes {
                bits: u32::try_from(self.length).ok()?.checked_mul(8)?,
            }),
            _ => None,
        }
    }
}

fn own(key: &KeyRef) -> Worked<&Pkcs11Key> {
    match &key.0 {
        Named::Pkcs11(own) => Ok(own),
        Named::Sdf(_) => Err(Fault::NoKey(key.to_string()).into()),
    }
}

/// The private or secret key a reference names.
pub(super) fn find(token: &Token, line: &mut Line, key: &KeyRef) -> Worked<ObjectHandle> {
    if let Some(handle) = line.handles.get(key) {
        return Ok(*handle);
    }
    let wanted = own(key)?;
    let info = token.token()?;
    let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    let here = fits(&wanted.token, info.label())
        && fits(&wanted.serial, info.serial_number())
        && fits(&wanted.manufacturer, info.manufacturer_id())
        && fits(&wanted.model, info.model());
    if !here {
        return Err(Fault::NoKey(key.to_string()).into());
    }
    let classes: &[ObjectClass] = match wanted.kind.as_deref() {
        Some("secret-key") => &[ObjectClass::SECRET_KEY],
        Some(_) => &[ObjectClass::PRIVATE_KEY],
        None => &[ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY],
    };
    let mut found = Vec::new();
    for class in classes {
        let mut template = vec![Attribute::Class(*class)];
        template.extend(
            wanted
                .object
                .as_ref()
                .map(|label| Attribute::Label(label.as_bytes().to_vec())),
        );
        template.extend(wanted.id.as_ref().map(|id| Attribute::Id(id.clone())));
        found.extend(line.session.find_objects(&template).or_else(by("C_FindObjects"))?);
    }
    match found.as_slice() {
        [] => Err(Fault::NoKey(key.to_string()).into()),
        [one] => {
            line.handles.insert(key.clone(), *one);
            Ok(*one)
        }
        _ => Err(Fault::Ambiguous(key.to_string()).into()),
    }
}

/// The public object beside a private one.
fn partner(session: &Session, traits: &Traits) -> Worked<Option<ObjectHandle>> {
    let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    if traits.id.is_empty() {
        template.push(Attribute::Label(traits.label.clone()));
    } else {
        template.push(Attribute::Id(traits.id.clone()));
    }
    let found = session.find_objects(&template).or_else(by("C_FindObjects"))?;
    Ok(found.first().copied())
}

/// The public key of a private one, read once.
pub(super) fn known(token: &Token, line: &mut Line, key: &KeyRef) -> Worked<Known> {
    if let Some(known) = lock(&token.known).get(key) {
        return Ok(known.clone());
    }
    let object = find(token, line, key)?;
    let mut traits = Traits::read(&line.session, object)?;
    if traits.always_asks {
        return Err(Fault::NotOffered("每次使用都须输入口令的密钥").into());
    }
    let algorithm = traits.algorithm();
    if let Some(public) = partner(&line.session, &traits)? {
        let public = Traits::read(&line.session, public)?;
        traits.point = public.point;
        if traits.modulus.is_empty() {
            traits.modulus = public.modulus;
        }
        if traits.exponent.is_empty() {
            traits.exponent = public.exponent;
        }
    }
    let point = der::point(&traits.point);
    let known = match algorithm {
        Some(KeyAlgorithm::Sm2) => point.and_then(Known::sm2),
        Some(KeyAlgorithm::P256) => point.and_then(Known::p256),
        Some(KeyAlgorithm::Rsa { .. }) => Known::rsa(&traits.modulus, &traits.exponent),
        _ => {
            let key = key.to_string();
            return Err(Fault::WrongKey { key, wanted: "签名" }.into());
        }
    };
    let known = known.ok_or(Fault::BadReply {
        function: "C_GetAttributeValue",
        what: "no public key beside the private one, or one off its curve",
    })?;
    lock(&token.known).insert(key.clone(), known.clone());
    Ok(known)
}

fn info(token: &Token, session: &Session, object: ObjectHandle) -> Worked<KeyInfo> {
    let traits = Traits::read(session, object)?;
    let algorithm = traits.algorithm();
    let vendor = token.config.sm2;
    let (can_sign, can_decrypt) = match algorithm {
        Some(KeyAlgorithm::Sm2) => (vendor.is_some(), vendor.is_some_and(|sm2| sm2.decrypt.is_some())),
        Some(KeyAlgorithm::P256) => (true, false),
        Some(KeyAlgorithm::Rsa { .. }) => (true, true),
        Some(KeyAlgorithm::Aes { .. }) => (false, true),
        None => (false, false),
    };
    let label = String::from_utf8_lossy(&traits.label).into_owned();
    let secret = matches!(algorithm, Some(KeyAlgorithm::Aes { .. }));
    let named = Pkcs11Key {
        object: (!label.is_empty()).then(|| label.clone()),
        id: (!traits.id.is_empty()).then_some(traits.id),
        kind: Some(if secret { "secret-key" } else { "private" }.to_owned()),
        ..Pkcs11Key::default()
    };
    Ok(KeyInfo {
        key: KeyRef(Named::Pkcs11(named)),
        label,
        algorithm,
        signs: can_sign && traits.signs,
        decrypts: can_decrypt && traits.decrypts,
    })
}

/// All private and secret keys.
pub(super) fn list(token: &Token, line: &mut Line) -> Worked<Vec<KeyInfo>> {
    let mut keys = Vec::new();
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
        let found = line
            .session
            .find_objects(&[Attribute::Class(class)])
            .or_else(by("C_FindObjects"))?;
        for object in found {
            keys.push(info(token, &line.session, object)?);
        }
    }
    Ok(keys)
}

/// Makes a key that cannot leave the token.
pub(super) fn generate(token: &Token, line: &mut Line, label: &str, algorithm: KeyAlgorithm) -> Worked<KeyInfo> {
    let name = Attribute::Label(label.as_bytes().to_vec());
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::SECRET_KEY] {
        let same = line.session.find_objects(&[Attribute::Class(class), name.clone()]);
        if !same.or_else(by("C_FindObjects"))?.is_empty() {
            return Err(Fault::Input("此标签的密钥已存在").into());
        }
    }
    let id = line.session.generate_random_vec(16).or_else(by("C_GenerateRandom"))?;
    let common = [Attribute::Token(true), name, Attribute::Id(id)];
    let kept = [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
    ];
    let (mechanism, public, uses) = match algorithm {
        KeyAlgorithm::P256 => {
            let public = vec![Attribute::EcParams(der::P256.to_vec()), Attribute::Verify(true)];
            (Mechanism::EccKeyPairGen, public, vec![Attribute::Sign(true)])
        }
        KeyAlgorithm::Rsa { bits } if matches!(bits, 2048 | 3072 | 4096) => {
            let public = vec![
                Attribute::ModulusBits(u64::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
                Attribute::Verify(true),
                Attribute::Encrypt(true),
            ];
            let uses = vec![Attribute::Sign(true), Attribute::Decrypt(true)];
            (Mechanism::RsaPkcsKeyPairGen, public, uses)
        }
        KeyAlgorithm::Sm2 => {
            let number = token.config.sm2.and_then(|sm2| sm2.generate);
            let kind = number.and_then(module::mechanism);
            let kind = kind.ok_or(Fault::NotOffered("在此模块内产生 SM2 密钥（未配置厂商机制）"))?;
            let public = vec![Attribute::EcParams(der::SM2.to_vec()), Attribute::Verify(true)];
            let mechanism = Mechanism::VendorDefined(VendorDefinedMechanism::new::<u8>(kind, None));
            (mechanism, public, vec![Attribute::Sign(true)])
        }
        KeyAlgorithm::Aes { bits } if matches!(bits, 128 | 256) => {
            let length = Attribute::ValueLen(u64::from(bits / 8).into());
            let uses = [length, Attribute::Encrypt(true), Attribute::Decrypt(true)];
            let template = [common.as_slice(), &kept, &uses].concat();
            let made = line.session.generate_key(&Mechanism::AesKeyGen, &template);
            return confirm(token, &line.session, made.or_else(by("C_GenerateKey"))?);
        }
        _ => return Err(Fault::NotOffered("此长度的密钥").into()),
    };
    let public = [common.as_slice(), &public].concat();
    let private = [common.as_slice(), &kept, &uses].concat();
    let made = line.session.generate_key_pair(&mechanism, &public, &private);
    let (_, private) = made.or_else(by("C_GenerateKeyPair"))?;
    confirm(token, &line.session, private)
}

/// A key the token would give out is not kept.
fn confirm(token: &Token, session: &Session, object: ObjectHandle) -> Worked<KeyInfo> {
    if Traits::read(session, object)?.extractable {
        let _ = session.destroy_object(object);
        return Err(Snag::Fault(Fault::BadReply {
            function: "C_GenerateKeyPair",
            what: "a key that can be taken out, against its template",
        }));
    }
    info(token, session, object)
}

/// Destroys a key and its public part.
pub(super) fn destroy(token: &Token, line: &mut Line, key: &KeyRef) -> Worked<()> {
    let object = find(token, line, key)?;
    line.handles.remove(key);
    let traits = Traits::read(&line.session, object)?;
    let public = partner(&line.session, &traits)?;
    line.session.destroy_object(object).or_else(by("C_DestroyObject"))?;
    match public {
        Some(public) => line.session.destroy_object(public).or_else(by("C_DestroyObject")),
        None => Ok(()),
    }
}
