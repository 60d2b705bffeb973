//! The operations, and their description (WSDL 1.1, document/literal wrapped).

use std::fmt::Write as _;

/// The namespace of the operations.
pub(super) const NAMESPACE: &str = "urn:yiqiao:signd:sof";

/// An operation: its name, its parameters in order (`?`: may be absent), the type of its answer.
pub(super) type Operation = (&'static str, &'static [&'static str], &'static str);

const STRING: &str = "string";
const BOOLEAN: &str = "boolean";

/// All of them.
pub(super) const OPERATIONS: &[Operation] = &[
    ("SOF_SignData", &["CertID?", "InData"], STRING),
    ("SOF_VerifySignedData", &["Cert", "InData", "SignValue"], BOOLEAN),
    ("SOF_SignDataByP7", &["CertID?", "InData"], STRING),
    ("SOF_VerifySignedDataByP7", &["P7Data"], BOOLEAN),
    ("SOF_GetP7SignDataInfo", &["P7Data", "Type"], STRING),
    ("SOF_SignMessage", &["Flag", "CertID?", "InData"], STRING),
    ("SOF_VerifySignedMessage", &["SignedMessage", "InData?"], BOOLEAN),
    ("SOF_SignMessageDetach", &["CertID?", "InData"], STRING),
    ("SOF_VerifySignedMessageDetach", &["SignedMessage", "InData"], BOOLEAN),
    ("SOF_SignDataXML", &["CertID?", "InData"], STRING),
    ("SOF_VerifySignedDataXML", &["InData"], BOOLEAN),
    ("SOF_GetCertInfo", &["Cert", "Type"], STRING),
    ("SOF_GetCertInfoByOid", &["Cert", "Oid"], STRING),
    ("SOF_ValidateCert", &["Cert"], BOOLEAN),
    ("SOF_GetServerCertificate", &["CertID?"], STRING),
    ("SOF_PubKeyEncrypt", &["Cert", "InData"], STRING),
    ("SOF_PriKeyDecrypt", &["CertID?", "InData"], STRING),
    ("SOF_GenRandom", &["RandomLen"], STRING),
    ("SOF_CreateTimeStampRequest", &["InData"], STRING),
    ("SOF_CreateTimeStampResponse", &["TsRequest"], STRING),
    ("SOF_VerifyTimeStamp", &["InData", "TsResponse"], BOOLEAN),
    ("SOF_GetTimeStampInfo", &["TsResponse", "Type"], STRING),
];

/// The description for clients that came to this host.
pub(super) fn write(host: &str) -> String {
    let host = quick_xml::escape::escape(host);
    let (mut types, mut messages, mut port, mut binding) = (String::new(), String::new(), String::new(), String::new());
    for (name, parameters, answer) in OPERATIONS {
        // Writing into a String does not fail.
        let _ = write!(types, "<xs:element name=\"{name}\"><xs:complexType><xs:sequence>");
        for parameter in *parameters {
            let (parameter, least) = parameter.strip_suffix('?').map_or((*parameter, 1), |bare| (bare, 0));
            let _ = write!(
                types,
                "<xs:element name=\"{parameter}\" type=\"xs:string\" minOccurs=\"{least}\"/>"
            );
        }
        let _ = write!(
            types,
            "</xs:sequence></xs:complexType></xs:element><xs:element name=\"{name}Response\"><xs:complexType><xs:sequence><xs:element name=\"return\" type=\"xs:{answer}\"/></xs:sequence></xs:complexType></xs:element>"
        );
        let _ = write!(
            messages,
            "<message name=\"{name}\"><part name=\"parameters\" element=\"tns:{name}\"/></message><message name=\"{name}Response\"><part name=\"parameters\" element=\"tns:{name}Response\"/></message>"
        );
        let _ = write!(
            port,
            "<operation name=\"{name}\"><input message=\"tns:{name}\"/><output message=\"tns:{name}Response\"/></operation>"
        );
        let _ = write!(
            binding,
            "<operation name=\"{name}\"><soap:operation soapAction=\"\"/><input><soap:body use=\"literal\"/></input><output><soap:body use=\"literal\"/></output></operation>"
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"{NAMESPACE}\" name=\"SOF\" targetNamespace=\"{NAMESPACE}\"><types><xs:schema targetNamespace=\"{NAMESPACE}\" elementFormDefault=\"qualified\">{types}</xs:schema></types>{messages}<portType name=\"SOF\">{port}</portType><binding name=\"SOF\" type=\"tns:SOF\"><soap:binding style=\"document\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>{binding}</binding><service name=\"SOF\"><port name=\"SOF\" binding=\"tns:SOF\"><soap:address location=\"https://{host}/soap\"/></port></service></definitions>"
    )
}
