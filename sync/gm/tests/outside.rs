//! Keys, signatures, certificates and messages made by Debian's openssl are read here, and ours there.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what a test cannot set up fails the test"
)]

#[path = "outside/certificates.rs"]
mod certificates;
#[path = "outside/exchanged.rs"]
mod exchanged;
#[path = "outside/files.rs"]
mod files;
#[path = "outside/fuzz.rs"]
mod fuzz;
#[path = "outside/keys.rs"]
mod keys;
#[path = "outside/messages.rs"]
mod messages;

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Every kind of key, in openssl's words.
const KINDS: [&str; 3] = [
    "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "-algorithm EC -pkeyopt ec_paramgen_curve:SM2",
];

/// A folder in which openssl runs.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(TempDir::new().expect("folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).expect("written");
    }

    fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).expect("read")
    }

    /// Runs `openssl` with these words (split at spaces); whether it succeeded, and all it said.
    fn tried(&self, words: &str) -> (bool, String) {
        let out = Command::new("openssl")
            .args(words.split_ascii_whitespace())
            .current_dir(self.path())
            .output()
            .expect("openssl is installed");
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The same, which must succeed.
    fn run(&self, words: &str) -> String {
        let (well, said) = self.tried(words);
        assert!(well, "openssl {words}: {said}");
        said
    }
}
