//! A soft cryptographic device with the interface of GM/T 0018, loaded like a vendor's library.
//!
//! It keeps its books in the folder the library lies in (a test copies the library to a folder of its own):
//! `keys` (made at the first opening), `attempts` (every password it was shown, as right or wrong), and `control`, which is read
//! at every call. One word a line:
//!
//! | line | effect |
//! |--|--|
//! | `password WORDS` | password of all private keys (bench1234 without the line) |
//! | `sessions N` | at most N sessions (64 without the line) |
//! | `sm1` | reports SM1 and offers a stand-in for it: a secret algorithm cannot be built, so SM4 under a turned key answers |
//! | `coordinates 32` | 32-byte coordinates instead of 64 |
//! | `decrypt short` | `SDF_InternalDecrypt_ECC` without the algorithm parameter |
//! | `cipher old` | the ciphertext structure of 2008: length first, hash last |
//! | `deny CODE` | answer without access right (0x01000007 without the line) |
//! | `reset N` | another N than before: all sessions are forgotten |
//! | `lapse N` | another N than before: all sessions lose their access rights |
//! | `slow FUNCTION MS` | takes that long |
//! | `fail FUNCTION CODE [TIMES]` | the function fails; after 0x01000003 or 0x01000004 the session stays broken |
//! | `hang FUNCTION` | no answer until the line is gone |
//! | `lie FUNCTION flip` / `garbage` / `short` / `overrun N` / `count N` | the reply is wrong |
//! | `fuzz SEED` | every reply is wrong in one of these ways, or right, by chance |

mod abi;
mod asymmetric;
mod books;
mod control;
mod layout;
mod reply;
mod state;
mod symmetric;
