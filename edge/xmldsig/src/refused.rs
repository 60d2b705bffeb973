//! Why a document or a signature was not accepted.

/// A refusal: `code()` for programs, `to_string()` for the operator, `person()` for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not well-formed XML.
    #[error("not well-formed XML at line {line}: {at}")]
    Malformed {
        /// What could not be read.
        at: &'static str,
        /// Line, from 1.
        line: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the bytes are not UTF-8")]
    NotUtf8,
    /// The XML declaration names another encoding than UTF-8.
    #[error("encoding {0}: only UTF-8 is read; convert the document and its declaration before signing")]
    Encoding(String),
    /// Not XML 1.0.
    #[error("only XML 1.0 is read")]
    XmlVersion,
    /// A document type declaration.
    #[error("DOCTYPE is not accepted")]
    Doctype,
    /// A prefix that is not declared, or a declaration the standard forbids.
    #[error("namespace {name} at line {line} is not declared or not allowed")]
    Namespace {
        /// Prefix or name.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// A relative namespace name, which has no canonical form.
    #[error("namespace name {0} is relative and has no canonical form")]
    RelativeNamespace(String),
    /// `xml:base` outside the part to be canonicalised by C14N 1.1.
    #[error("xml:base around the signed part is not accepted with C14N 1.1")]
    XmlBase,
    /// Beyond a limit.
    #[error("{0} is larger than the limit")]
    TooLarge(&'static str),
    /// No signature in the document.
    #[error("no signature in the document")]
    NoSignature,
    /// The signature element is not as the standard has it.
    #[error("signature element: {0}")]
    Structure(&'static str),
    /// An algorithm that is not accepted here.
    #[error("algorithm {0} is not accepted")]
    Algorithm(String),
    /// A transform that is not accepted here, or not in this place.
    #[error("transform {0} is not accepted here")]
    Transform(String),
    /// A reference to something that is neither in the document nor given.
    #[error("reference {0} is neither in the document nor given")]
    Reference(String),
    /// No element has this id.
    #[error("no element has the id {0}")]
    IdMissing(String),
    /// More than one element has this id.
    #[error("more than one element has the id {0}")]
    IdTwice(String),
    /// Not usable as an id.
    #[error("{0} is not usable as an id")]
    IdInvalid(String),
    /// Another signature in the document would stop being valid.
    #[error("another signature covers the place of the new one and would stop being valid")]
    BreaksSignature,
    /// What is referred to is not what was signed.
    #[error("{0} differs from what was signed")]
    DigestMismatch(String),
    /// The signature does not verify under the signer's key.
    #[error("the signature is not valid")]
    SignatureInvalid,
    /// No certificate in the signature and none given.
    #[error("the signer's certificate is neither in the signature nor given")]
    CertificateMissing,
    /// Which certificate is the signer's cannot be told.
    #[error("which certificate is the signer's cannot be told")]
    CertificateAmbiguous,
    /// The signer named another certificate than the one at hand.
    #[error("the signer named another certificate than the one at hand")]
    OtherCertificate,
    /// The key or the certificate was not accepted.
    #[error(transparent)]
    Key(#[from] gm::Refused),
}

impl Refused {
    /// Stable name of the reason, for programs and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "xml_malformed",
            Self::NotUtf8 | Self::Encoding(_) => "xml_encoding",
            Self::XmlVersion => "xml_version",
            Self::Doctype => "xml_doctype",
            Self::Namespace { .. } | Self::RelativeNamespace(_) => "xml_namespace",
            Self::XmlBase => "xml_base",
            Self::TooLarge(_) => "too_large",
            Self::NoSignature => "no_signature",
            Self::Structure(_) => "signature_structure",
            Self::Algorithm(_) => "unknown_algorithm",
            Self::Transform(_) => "transform",
            Self::Reference(_) => "reference_unresolved",
            Self::IdMissing(_) => "id_missing",
            Self::IdTwice(_) => "id_twice",
            Self::IdInvalid(_) => "id_invalid",
            Self::BreaksSignature => "breaks_signature",
            Self::DigestMismatch(_) => "document_changed",
            Self::SignatureInvalid => "signature_invalid",
            Self::CertificateMissing => "signer_certificate_missing",
            Self::CertificateAmbiguous => "signer_certificate_ambiguous",
            Self::OtherCertificate => "signer_certificate_other",
            Self::Key(refused) => refused.code(),
        }
    }

    /// Plain words for the person who asked.
    #[must_use]
    pub fn person(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "XML 文档格式不正确，无法读取。",
            Self::NotUtf8 | Self::Encoding(_) => "XML 文档不是 UTF-8 编码，请转换为 UTF-8 后重试。",
            Self::XmlVersion => "只支持 XML 1.0 文档。",
            Self::Doctype => "出于安全考虑，不接受带有 DOCTYPE 声明的 XML 文档，请删除该声明后重试。",
            Self::Namespace { .. } => "XML 文档的命名空间前缀未声明或声明有误。",
            Self::RelativeNamespace(_) => "XML 文档使用了相对命名空间地址，无法规范化，请改为完整地址。",
            Self::XmlBase => "被签名部分之外带有 xml:base 属性，无法规范化。",
            Self::TooLarge(_) => "XML 文档过大或过于复杂，超出允许范围。",
            Self::NoSignature => "文档中没有签名。",
            Self::Structure(_) => "签名数据格式不正确，无法验证。",
            Self::Algorithm(_) => "签名使用了不支持的算法。",
            Self::Transform(_) => "签名使用了不允许的转换方式。",
            Self::Reference(_) => "签名引用的内容不在文档中，也未随请求提供。",
            Self::IdMissing(_) => "签名引用的内容在文档中不存在。",
            Self::IdTwice(_) => "文档中有多处内容使用同一标识，无法确定被签名的是哪一处。",
            Self::IdInvalid(_) => "标识不符合 XML 规范，请更换。",
            Self::BreaksSignature => "文档已被签名，再次签名会使原签名失效。",
            Self::DigestMismatch(_) => "文档内容与签名时不一致，可能被改动过。",
            Self::SignatureInvalid => "签名无效。",
            Self::CertificateMissing => "签名中没有签名人证书，请提供证书后重试。",
            Self::CertificateAmbiguous => "签名中有多张证书，无法确定签名人。",
            Self::OtherCertificate => "签名人证书与签名时使用的证书不一致。",
            Self::Key(refused) => refused.person(),
        }
    }
}
