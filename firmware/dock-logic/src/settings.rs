//! Settings in flash. `sequential-storage` appends items and moves on page by page, so that wear is spread, and reads as
//! before after a power cut at any write: at most the setting being written is lost, to its former value.

use core::ops::Range;

use dock_link::{Refusal, Setting};
use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::Error;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};

/// Key of the count of starts; settings have their own numbers as keys.
const STARTS: u8 = 0xF0;
/// Room for one item.
const ITEM: usize = 64;

/// The settings in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    values: [u16; Setting::ALL.len()],
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The usual ones.
    pub const fn new() -> Self {
        let mut values = [0; Setting::ALL.len()];
        let mut at = 0;
        while at < values.len() {
            #[expect(
                clippy::indexing_slicing,
                reason = "`get_mut` is not const; the index is below the length"
            )]
            {
                values[at] = Setting::ALL[at].range().1;
            }
            at += 1;
        }
        Self { values }
    }

    /// Those kept in flash; what cannot be read, or lies outside of what is allowed, is as usual.
    pub async fn load<F: NorFlash>(flash: &mut F, range: Range<u32>) -> Self {
        let mut settings = Self::new();
        for setting in Setting::ALL {
            let kept = read::<F, u16>(flash, range.clone(), setting as u8).await;
            if let Some(value) = kept.filter(|v| allowed(setting, *v)) {
                settings.set(setting, value);
            }
        }
        settings
    }

    /// Value of a setting.
    pub fn get(&self, setting: Setting) -> u16 {
        let at = Setting::ALL.iter().position(|s| *s == setting);
        at.and_then(|at| self.values.get(at))
            .copied()
            .unwrap_or(setting.range().1)
    }

    /// The same, for reckoning with time.
    pub fn ms(&self, setting: Setting) -> u64 {
        u64::from(self.get(setting))
    }

    fn set(&mut self, setting: Setting, value: u16) {
        let at = Setting::ALL.iter().position(|s| *s == setting);
        if let Some(place) = at.and_then(|at| self.values.get_mut(at)) {
            *place = value;
        }
    }

    /// Changes one, in flash first. What is as it should be already is not written.
    pub async fn change<F: NorFlash>(
        &mut self,
        flash: &mut F,
        range: Range<u32>,
        setting: Setting,
        value: u16,
    ) -> Result<(), Refusal> {
        if !allowed(setting, value) {
            return Err(Refusal::OutOfRange);
        }
        if self.get(setting) != value {
            write(flash, range, setting as u8, value).await?;
            self.set(setting, value);
        }
        Ok(())
    }
}

fn allowed(setting: Setting, value: u16) -> bool {
    let (low, _, high) = setting.range();
    (low..=high).contains(&value)
}

/// Counts this start of the board; the number differs from that of every start before, as long as the flash works.
pub async fn counted_start<F: NorFlash>(flash: &mut F, range: Range<u32>) -> u32 {
    let starts = read::<F, u32>(flash, range.clone(), STARTS).await.unwrap_or(0);
    let starts = starts.wrapping_add(1).max(1);
    // A board whose flash is worn out still serves.
    let _ = write(flash, range, STARTS, starts).await;
    starts
}

pub(crate) async fn read<F: NorFlash, V: for<'a> sequential_storage::map::Value<'a>>(
    flash: &mut F,
    range: Range<u32>,
    key: u8,
) -> Option<V> {
    let config = MapConfig::try_new(range).ok()?;
    let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
    let mut buffer = [0u8; ITEM];
    map.fetch_item::<V>(&mut buffer, &key).await.ok().flatten()
}

pub(crate) async fn write<F: NorFlash, V: for<'a> sequential_storage::map::Value<'a>>(
    flash: &mut F,
    range: Range<u32>,
    key: u8,
    value: V,
) -> Result<(), Refusal> {
    let config = MapConfig::try_new(range).map_err(|_| Refusal::Flash)?;
    let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
    let mut buffer = [0u8; ITEM];
    let mut stored = map.store_item(&mut buffer, &key, &value).await;
    if matches!(stored, Err(Error::Corrupted { .. })) {
        // Pages that noise or another program left behind are given up: settings are then as usual.
        map.erase_all().await.map_err(|_| Refusal::Flash)?;
        stored = map.store_item(&mut buffer, &key, &value).await;
    }
    stored.map_err(|_| Refusal::Flash)
}
