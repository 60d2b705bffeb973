//! Values kept in pages of flash. `sequential-storage` appends items and moves on page by page, so that wear is spread, and
//! reads as before after a power cut at any write: at most the value being written is lost, to its former one.

use core::ops::Range;

use dock_link::Refusal;
use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage, Value};

/// Room for one item.
const ITEM: usize = 64;

/// What became of the pages a value was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    /// They took it beside what they held.
    AsBefore,
    /// They had to be given up, and hold nothing but it.
    Anew,
}

/// The value kept under a key; `None` as well when the pages cannot be read.
pub(crate) async fn read<F: NorFlash, V: for<'a> Value<'a>>(flash: &mut F, range: Range<u32>, key: u8) -> Option<V> {
    let config = MapConfig::try_new(range).ok()?;
    let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
    let mut buffer = [0u8; ITEM];
    map.fetch_item::<V>(&mut buffer, &key).await.ok().flatten()
}

/// Keeps a value; it counts as kept when it can be read back.
///
/// Pages that noise or another program left behind can refuse a value, or take it and hide it: an item in them that is
/// longer than any of ours ends every search. Such pages are given up.
pub(crate) async fn write<F: NorFlash, V: for<'a> Value<'a> + PartialEq>(
    flash: &mut F,
    range: Range<u32>,
    key: u8,
    value: V,
) -> Result<Pages, Refusal> {
    match append(flash, range.clone(), key, &value).await {
        Err(Error::Storage { .. }) => return Err(Refusal::Flash),
        Ok(()) if read(flash, range.clone(), key).await.as_ref() == Some(&value) => return Ok(Pages::AsBefore),
        Ok(()) | Err(_) => {}
    }
    let erased = flash.erase(range.start, range.end).await;
    erased.map_err(|_| Refusal::Flash)?;
    let appended = append(flash, range, key, &value).await;
    appended.map(|()| Pages::Anew).map_err(|_| Refusal::Flash)
}

async fn append<F: NorFlash, V: for<'a> Value<'a>>(
    flash: &mut F,
    range: Range<u32>,
    key: u8,
    value: &V,
) -> Result<(), Error<F::Error>> {
    let config = MapConfig::try_new(range).map_err(|_| Error::LogicBug {})?;
    let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
    let mut buffer = [0u8; ITEM];
    map.store_item(&mut buffer, &key, value).await
}
