//! A kept clip with everything derived from it: what the acts over HTTP look at.

use std::collections::BTreeMap;

use base::{ApiError, Ctx};
use media::{Facts, Made};
use records::footage::ClipId;
use records::id::BlobId;
use store::{Scope, Tx};

use super::store::{self as sql, Derived};
use super::{DerivedId, Kind};
use crate::footage::store::{self as clips, Clip};

/// A kept clip with everything derived from it.
pub(super) struct Footing {
    pub(super) clip: Clip,
    pub(super) hospital: String,
    pub(super) objects: Vec<Derived>,
    /// Bytes of each object.
    pub(super) sizes: BTreeMap<String, u64>,
}

impl Footing {
    pub(super) fn one(&self, kind: Kind) -> Option<&Derived> {
        self.objects.iter().find(|d| d.kind == kind)
    }

    pub(super) fn facts(&self) -> Option<Facts> {
        match self.one(Kind::Probe).and_then(Derived::made) {
            Some(Made::Facts(facts)) => Some(facts),
            _ => None,
        }
    }

    /// The object of this kind, when it is there.
    pub(super) fn made(&self, kind: Kind) -> Option<(Option<DerivedId>, BlobId)> {
        let object = self.one(kind)?;
        Some((Some(object.id.clone()), object.blob_id.clone()?))
    }

    /// The bytes of an object; of the original without one.
    pub(super) fn blob_of(&self, object: Option<&DerivedId>) -> Option<(Option<DerivedId>, BlobId)> {
        let blob = match object {
            None => self.clip.blob_id.clone()?,
            Some(id) => self.objects.iter().find(|d| d.id == *id)?.blob_id.clone()?,
        };
        Some((object.cloned(), blob))
    }

    /// Length of what can be played.
    pub(super) fn duration_ms(&self) -> Option<u64> {
        let rescued = self.one(Kind::Salvage).and_then(Derived::made);
        match rescued {
            Some(Made::Rescued(r)) => Some(r.duration_ms),
            _ => self.facts().and_then(|f| f.duration_ms).or(self.clip.duration_ms),
        }
    }
}

/// Reads it in a unit of work.
pub(super) async fn footing(tx: &mut Tx<'_>, id: &ClipId) -> Result<Footing, ApiError> {
    let clip = clips::get(tx, id).await?.filter(|c| c.blob_id.is_some());
    let clip = clip.ok_or_else(ApiError::not_found)?;
    Ok(Footing {
        hospital: base::tenants::by_id(tx).await?.name,
        objects: sql::of_clip(tx, id).await?,
        sizes: sql::sizes(tx, id).await?,
        clip,
    })
}

/// Reads it by itself.
pub(super) async fn load(ctx: &Ctx, scope: &Scope, id: ClipId) -> Result<Footing, ApiError> {
    ctx.store
        .read(scope, move |tx| {
            let id = id.clone();
            Box::pin(async move { footing(tx, &id).await })
        })
        .await
}
