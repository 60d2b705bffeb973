//! A certification authority site: CRL, OCSP, certificates, time stamps; misbehaves on command.
