//! SM4 (GB/T 32907) and its modes, constant time, with the processor's AES instructions where it has them. No I/O.
