/// Why a key, certificate or signature was not accepted. Every reason has a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not the DER it should be.
    #[error("malformed {at}")]
    Malformed {
        /// The part that could not be read.
        at: &'static str,
    },
    /// Larger than what is read.
    #[error("{at} is larger than the limit")]
    TooLarge {
        /// The part that is too large.
        at: &'static str,
    },
    /// The CMS is not `SignedData`.
    #[error("not a signed message: content type {0}")]
    UnknownContentType(String),
    /// A digest other than SM3 and SHA-256/384/512.
    #[error("digest algorithm {0} is not accepted")]
    UnknownDigest(String),
    /// A signature algorithm other than those of [`crate::key::Algorithm`].
    #[error("signature algorithm {0} is not accepted")]
    UnknownSignature(String),
    /// A point that is not on its curve, an RSA modulus or exponent that is not accepted, a private key out of range.
    #[error("the key is not accepted")]
    InvalidKey,
    /// A key of another kind or curve.
    #[error("keys of kind {0} are not accepted")]
    UnknownKey(String),
    /// The algorithm is for another kind of key.
    #[error("the algorithm is for another kind of key")]
    WrongAlgorithm,
    /// An SM2 user id of more than 8191 bytes.
    #[error("the user id is too long")]
    InvalidUserId,
    /// A digest of another length than its algorithm's.
    #[error("the digest has the wrong length")]
    InvalidDigest,
    /// A signer that takes whole messages only was given a digest.
    #[error("this key signs whole messages, not digests")]
    DigestOnly,
    /// GM object identifiers mixed with classic algorithms or the reverse.
    #[error("algorithms of different families in one message")]
    MixedAlgorithms,
    /// `signerInfos` is empty.
    #[error("no signer")]
    NoSigner,
    /// More than one signer where one is meant.
    #[error("more than one signer")]
    ManySigners,
    /// The signer's certificate is not in the message.
    #[error("the signer's certificate is not in the message")]
    SignerCertificateMissing,
    /// A required signed attribute is absent, doubled or of the wrong type.
    #[error("signed attribute {0} is absent or wrong")]
    Attribute(&'static str),
    /// The signed content type is not the encapsulated one.
    #[error("signed content type does not match")]
    ContentTypeMismatch,
    /// The message carries content where it should be detached.
    #[error("the message is not detached")]
    NotDetached,
    /// The message carries no content, and content is wanted from it.
    #[error("the message carries no content")]
    Detached,
    /// Content signed without attributes that reads as signed attributes itself.
    #[error("the content reads as the signed attributes of another message")]
    AmbiguousContent,
    /// The document is not the one that was signed.
    #[error("the document differs from the one that was signed")]
    DigestMismatch,
    /// The signature does not verify under the signer's key.
    #[error("the signature is not valid")]
    SignatureInvalid,
    /// The stated signing time lies in the future.
    #[error("the signing time lies in the future")]
    SignedInFuture,
    /// A certificate was not yet valid at the signing time.
    #[error("certificate {serial} is not yet valid at that time")]
    NotYetValid {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// A certificate had expired at the signing time.
    #[error("certificate {serial} has expired at that time")]
    Expired {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// No path from the signer to a trusted root.
    #[error("no path to a trusted root")]
    Untrusted,
    /// A certificate's own signature does not verify.
    #[error("certificate {serial} is not signed by its issuer")]
    CertificateSignature {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// An issuer that is not an authority, may not sign certificates, or exceeds its path length.
    #[error("certificate {serial} may not issue")]
    NotAnAuthority {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// The signer's certificate is not for signing documents.
    #[error("the certificate is not for signing")]
    WrongUsage,
    /// A critical extension nobody here knows.
    #[error("unknown critical extension {0}")]
    UnknownCritical(String),
    /// A certificate is revoked.
    #[error("certificate {serial} is revoked since {since}")]
    Revoked {
        /// Serial number in hexadecimal.
        serial: String,
        /// Since when.
        since: time::OffsetDateTime,
    },
    /// The responder does not know the certificate.
    #[error("the responder does not know certificate {serial}")]
    StatusUnknown {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// There is no list and no answer that speaks of the certificate.
    #[error("nothing proves that certificate {serial} is not revoked")]
    StatusUnproven {
        /// Serial number in hexadecimal.
        serial: String,
    },
    /// A list, an answer or a time stamp is not accepted.
    #[error(transparent)]
    Evidence(#[from] crate::evidence::Unfit),
    /// The file holds none of what was looked for.
    #[error("no {what} in the file")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The file holds several of what one is wanted of.
    #[error("more than one {what} in the file")]
    Several {
        /// What was looked for.
        what: &'static str,
    },
    /// A private key lies in a file of certificates.
    #[error("the file holds a private key")]
    UnexpectedKey,
    /// A private key encrypted in a way that is not read.
    #[error("encryption {0} is not accepted")]
    UnknownEncryption(String),
    /// The password is wrong, or the file is damaged.
    #[error("wrong password or damaged file")]
    WrongPassword,
    /// The key envelope was made for another key, or is damaged.
    #[error("the key envelope is for another key or damaged")]
    Envelope,
    /// The key is in a device, which did not do what was asked.
    #[error("{text}")]
    Device {
        /// The device's reason, by its stable name.
        code: &'static str,
        /// What happened and what to do, for a person.
        text: String,
    },
    /// The operating system's random source is absent or failed its health test; nothing was signed.
    #[error("the random source failed; nothing was signed")]
    Randomness,
}

impl Refused {
    /// Stable name of the reason, for programs and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownContentType(_) => "unknown_content_type",
            Self::UnknownDigest(_) => "unknown_digest",
            Self::UnknownSignature(_) => "unknown_signature_algorithm",
            Self::InvalidKey => "invalid_key",
            Self::UnknownKey(_) => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::InvalidUserId => "invalid_user_id",
            Self::InvalidDigest => "invalid_digest",
            Self::DigestOnly => "digest_only",
            Self::MixedAlgorithms => "mixed_algorithms",
            Self::NoSigner => "no_signer",
            Self::ManySigners => "many_signers",
            Self::SignerCertificateMissing => "signer_certificate_missing",
            Self::Attribute(_) => "attribute",
            Self::ContentTypeMismatch => "content_type_mismatch",
            Self::NotDetached => "not_detached",
            Self::Detached => "detached",
            Self::AmbiguousContent => "ambiguous_content",
            Self::DigestMismatch => "document_changed",
            Self::SignatureInvalid => "signature_invalid",
            Self::SignedInFuture => "signed_in_future",
            Self::NotYetValid { .. } => "certificate_not_yet_valid",
            Self::Expired { .. } => "certificate_expired",
            Self::Untrusted => "untrusted",
            Self::CertificateSignature { .. } => "certificate_signature",
            Self::NotAnAuthority { .. } => "not_an_authority",
            Self::WrongUsage => "wrong_usage",
            Self::UnknownCritical(_) => "unknown_critical_extension",
            Self::Revoked { .. } => "certificate_revoked",
            Self::StatusUnknown { .. } => "certificate_status_unknown",
            Self::StatusUnproven { .. } => "certificate_status_unproven",
            Self::Evidence(unfit) => unfit.code(),
            Self::NotFound { .. } => "not_found",
            Self::Several { .. } => "several",
            Self::UnexpectedKey => "unexpected_private_key",
            Self::UnknownEncryption(_) => "unknown_encryption",
            Self::WrongPassword => "wrong_password",
            Self::Envelope => "envelope",
            Self::Device { code, .. } => code,
            Self::Randomness => "randomness",
        }
    }

    /// Plain words for the person who asked.
    #[must_use]
    pub fn person(&self) -> &'static str {
        match self {
            Self::DigestMismatch => "文件内容与签名时不一致，可能被改动过。",
            Self::SignatureInvalid => "签名无效。",
            Self::SignedInFuture => "签名时间晚于当前时间，不可信。",
            Self::NotYetValid { .. } => "签名时证书尚未生效。",
            Self::Expired { .. } => "签名时证书已过期。",
            Self::Untrusted | Self::CertificateSignature { .. } | Self::NotAnAuthority { .. } => {
                "签名证书不是由受信任的机构签发。"
            }
            Self::WrongUsage | Self::UnknownCritical(_) => "该证书不能用于签署文件。",
            Self::NoSigner | Self::ManySigners | Self::SignerCertificateMissing => "签名信息不完整。",
            Self::Revoked { .. } => "证书已被吊销。",
            Self::StatusUnknown { .. } | Self::StatusUnproven { .. } => "无法确认证书是否已吊销，请联系管理员。",
            Self::Evidence(unfit) => unfit.person(),
            Self::Randomness => "随机数来源异常，已停止签名，请联系管理员。",
            Self::NotFound { .. } => "文件中没有找到所需的内容，请确认选择了正确的文件。",
            Self::Several { .. } => "文件中有多个密钥，请每次只导入一个。",
            Self::UnexpectedKey => "文件中含有私钥，已拒绝；请只导入证书。",
            Self::UnknownEncryption(_) => "不支持该文件的加密方式，请改用 PKCS#8（AES 或 SM4）格式导出。",
            Self::WrongPassword => "密码错误，或文件已损坏。",
            Self::Envelope => "密钥信封不是为本设备制作的，或已损坏。",
            Self::Detached => "签名数据中不含原文，请同时提供原文。",
            Self::NotDetached => "签名数据中已含原文，与所选的验证方式不符。",
            Self::AmbiguousContent => "原文可能取自另一份签名数据，已拒绝。",
            Self::MixedAlgorithms => "签名数据混用了国密与国际算法，无法验证。",
            Self::InvalidKey => "密钥不正确或长度不被接受。",
            Self::UnknownKey(_) => "不支持这种类型的密钥。",
            Self::WrongAlgorithm => "签名算法与密钥类型不符。",
            Self::UnknownSignature(_) | Self::UnknownDigest(_) => "不支持该签名使用的算法。",
            Self::InvalidUserId => "SM2 用户标识过长。",
            Self::InvalidDigest => "摘要长度与算法不符。",
            Self::DigestOnly => "该密钥只能对完整数据签名，不能只对摘要签名。",
            Self::Device { .. } => "保管密钥的密码设备没有完成操作。",
            _ => "签名数据格式不正确，无法验证。",
        }
    }
}
