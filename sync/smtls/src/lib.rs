//! TLS 1.3 with SM4-GCM, SM3 and SM2 (RFC 8998) as a rustls crypto provider.
