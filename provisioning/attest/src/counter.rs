//! A number of the TPM that only grows (NV counter, TPM 2.0 part 1, 37.2.4): a file that carries an older one was put
//! back in time.
//!
//! Whoever owns the TPM can remove a counter, but one made in its place begins beyond every number the TPM ever had.

use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::constants::{CapabilityType, NvIndexType};
use tss_esapi::handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::{NvAuth, Provision};
use tss_esapi::structures::{CapabilityData, NvPublicBuilder};

use crate::tpm::{During, Open, Tpm, TpmError};

/// First index of the range that the owner of the machine may use (TCG registry of reserved handles, 2.2.2).
const FIRST: u32 = 0x0180_0000;
/// Bytes of a counter.
const SIZE: u16 = 8;

/// A counter by its number among the owner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// The counter of this number.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        Self(FIRST + u32::from(number))
    }

    /// Its value; `None` when it was never advanced on this TPM.
    pub fn read(self, tpm: &Tpm) -> Result<Option<u64>, TpmError> {
        tpm.act(|open| match self.find(open)? {
            Some(handle) => value(open, handle).map(Some),
            None => Ok(None),
        })
    }

    /// Adds one, and answers the new value. The first value of a counter is any number.
    pub fn advance(self, tpm: &Tpm) -> Result<u64, TpmError> {
        tpm.act(|open| {
            let handle = match self.find(open)? {
                Some(handle) => handle,
                None => self.define(open)?,
            };
            open.context
                .execute_with_nullauth_session(|c| c.nv_increment(NvAuth::Owner, handle))
                .during("advance the counter")?;
            value(open, handle)
        })
    }

    fn index(self) -> Result<NvIndexTpmHandle, TpmError> {
        NvIndexTpmHandle::new(self.0).during("name the counter")
    }

    fn find(self, open: &mut Open) -> Result<Option<NvIndexHandle>, TpmError> {
        let (listed, _) = open
            .context
            .execute_without_session(|c| c.get_capability(CapabilityType::Handles, self.0, 1))
            .during("look for the counter")?;
        let index = TpmHandle::NvIndex(self.index()?);
        // The list begins at the first index that is not below ours.
        let CapabilityData::Handles(listed) = listed else {
            return Ok(None);
        };
        if listed.into_inner().first() != Some(&index) {
            return Ok(None);
        }
        let handle = open
            .context
            .execute_without_session(|c| c.tr_from_tpm_public(index))
            .during("look for the counter")?;
        Ok(Some(handle.into()))
    }

    fn define(self, open: &mut Open) -> Result<NvIndexHandle, TpmError> {
        let attributes = NvIndexAttributesBuilder::new()
            .with_nv_index_type(NvIndexType::Counter)
            .with_owner_write(true)
            .with_owner_read(true)
            .build()
            .during("describe the counter")?;
        let public = NvPublicBuilder::new()
            .with_nv_index(self.index()?)
            .with_index_name_algorithm(HashingAlgorithm::Sha256)
            .with_index_attributes(attributes)
            .with_data_area_size(SIZE.into())
            .build()
            .during("describe the counter")?;
        open.context
            .execute_with_nullauth_session(|c| c.nv_define_space(Provision::Owner, None, public))
            .during("make the counter")
    }
}

fn value(open: &mut Open, handle: NvIndexHandle) -> Result<u64, TpmError> {
    let bytes = open
        .context
        .execute_with_nullauth_session(|c| c.nv_read(NvAuth::Owner, handle, SIZE, 0))
        .during("read the counter")?;
    let bytes = bytes.value().try_into().map_err(|_| TpmError::Malformed)?;
    Ok(u64::from_be_bytes(bytes))
}
