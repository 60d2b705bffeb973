//! XML signatures (XML-DSig): enveloped, enveloping, detached; SM2, RSA, ECDSA. No I/O.
