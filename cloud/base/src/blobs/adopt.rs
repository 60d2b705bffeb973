//! Large files that came another way (footage of an appliance): taken into their place without passing through memory.

use std::io::Read;
use std::path::{Path, PathBuf};

use records::TenantId;
use sha2::Sha256;
use sm3::Sm3;

use super::BlobStore;

/// What became of a file to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It lies in its place, durably, and has the digests.
    Kept,
    /// It is not there.
    Missing,
    /// It has other digests; it was left where it lay.
    Different,
}

impl BlobStore {
    /// Moves a file of these digests (SM3 and SHA-256, hex) and size to its place, after reading all of it. One that lies
    /// there already counts, once it was read, too. The file must be on the same file system.
    ///
    /// # Errors
    /// When it cannot be read or moved.
    pub async fn adopt(
        &self,
        tenant: &TenantId,
        file: Option<&Path>,
        (sm3, sha256, size): (&str, &str, u64),
    ) -> std::io::Result<Adopted> {
        let folder = self.folder(tenant, sm3);
        let (place, file) = (folder.join(sm3), file.map(Path::to_owned));
        let expected = (sm3.to_owned(), sha256.to_owned(), size);
        blocking(move || {
            if is(&place, &expected)? == Some(true) {
                // The same content twice: what came is not needed.
                if let Some(file) = file.filter(|f| f.exists()) {
                    std::fs::remove_file(file)?;
                }
                return Ok(Adopted::Kept);
            }
            let Some(file) = file else {
                return Ok(Adopted::Missing);
            };
            match is(&file, &expected)? {
                None => Ok(Adopted::Missing),
                Some(false) => Ok(Adopted::Different),
                Some(true) => {
                    std::fs::create_dir_all(&folder)?;
                    std::fs::File::open(&file)?.sync_all()?;
                    std::fs::rename(&file, &place)?;
                    std::fs::File::open(&folder)?.sync_all()?;
                    Ok(Adopted::Kept)
                }
            }
        })
        .await
    }

    /// SM3, hex, and size of a file that was made here, before it is [taken in](Self::take_in).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn weigh(&self, file: &Path) -> std::io::Result<(String, u64)> {
        let file = file.to_owned();
        blocking(move || sm3_of(&file)).await
    }

    /// Moves a file of this SM3 that was made here to its place. It must be on the same file system.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub async fn take_in(&self, tenant: &TenantId, file: &Path, digest: &str) -> std::io::Result<()> {
        let (file, folder, digest) = (file.to_owned(), self.folder(tenant, digest), digest.to_owned());
        blocking(move || {
            std::fs::create_dir_all(&folder)?;
            std::fs::File::open(&file)?.sync_all()?;
            // The same content twice is the same file.
            std::fs::rename(&file, folder.join(&digest))?;
            std::fs::File::open(&folder)?.sync_all()
        })
        .await
    }

    /// Removes a file that no row names, and says whether there was one. For who makes sure, in the same unit of work, that
    /// nobody is about to name it: it does not wait for anything but the disk.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn drop_nameless(&self, tenant: &TenantId, digest: &str) -> std::io::Result<bool> {
        match std::fs::remove_file(self.folder(tenant, digest).join(digest)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a kept file anew: whether it is there and has these digests and this size.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn verify(&self, tenant: &TenantId, (sm3, sha256, size): (&str, &str, u64)) -> std::io::Result<bool> {
        let place = self.folder(tenant, sm3).join(sm3);
        let expected = (sm3.to_owned(), sha256.to_owned(), size);
        blocking(move || Ok(is(&place, &expected)? == Some(true))).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

fn sm3_of(file: &Path) -> std::io::Result<(String, u64)> {
    let (mut file, mut digest, mut size) = (std::fs::File::open(file)?, Sm3::default(), 0u64);
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            return Ok((hex::encode(sm3::Digest::finalize(digest)), size));
        };
        sm3::Digest::update(&mut digest, read);
        size += read.len() as u64;
    }
}

/// Whether a file has these digests; `None` when there is none.
fn is(file: &PathBuf, (sm3, sha256, size): &(String, String, u64)) -> std::io::Result<Option<bool>> {
    let mut file = match std::fs::File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() != *size {
        return Ok(Some(false));
    }
    let (mut own_sm3, mut own_sha) = (Sm3::default(), Sha256::default());
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            break;
        };
        sm3::Digest::update(&mut own_sm3, read);
        sha2::Digest::update(&mut own_sha, read);
    }
    let same =
        hex::encode(sm3::Digest::finalize(own_sm3)) == *sm3 && hex::encode(sha2::Digest::finalize(own_sha)) == *sha256;
    Ok(Some(same))
}
