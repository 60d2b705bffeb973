//! Certificates in the files that people have, sorted for what they are imported for.

use gm::Certificate;

use crate::Refusal;

/// All certificates of a file (PEM with one or many, DER, `.p7b`, bare Base64), each once, in its order.
pub(crate) fn certificates(file: &[u8]) -> Result<Vec<Certificate>, Refusal> {
    let bundle = gm::pem::read_bundle(file).map_err(|refused| no(refused.person()))?;
    let mut found: Vec<Certificate> = Vec::new();
    for certificate in bundle.certificates {
        if !found.iter().any(|known| known.der == certificate.der) {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(no("文件中没有证书。"));
    }
    Ok(found)
}

/// The only certificate of a file.
pub(crate) fn certificate(file: &[u8]) -> Result<Certificate, Refusal> {
    let mut all = certificates(file)?;
    match (all.pop(), all.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        _ => Err(no("文件中应当只有一张证书。")),
    }
}

/// The certificate of this key first, then those above it as far as the files lead.
pub(crate) fn path_of(spki: &[u8], mut all: Vec<Certificate>) -> Result<Vec<Certificate>, Refusal> {
    let own = all
        .iter()
        .position(|certificate| certificate.public_key.to_spki() == spki);
    let own = own.ok_or_else(|| Refusal::no("certificate_key", "文件中没有该密钥的证书（公钥不一致）。"))?;
    let mut path = vec![all.swap_remove(own)];
    while let Some(last) = path.last().filter(|last| !last.is_self_issued()) {
        let Some(above) = all.iter().position(|issuer| last.is_issued_by(issuer).is_ok()) else {
            break;
        };
        path.push(all.swap_remove(above));
    }
    Ok(path)
}

fn no(text: impl Into<String>) -> Refusal {
    Refusal::no("certificate_file", text)
}
