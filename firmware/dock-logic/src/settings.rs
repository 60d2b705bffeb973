//! Settings in flash, and the count of starts.

use core::ops::Range;

use dock_link::{Refusal, Setting};
use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::map::Value;

use crate::pages::{Pages, read, write};

/// Key of the count of starts; settings have their own numbers as keys.
const STARTS: u8 = 0xF0;

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
            keep(flash, range, setting as u8, value).await?;
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
    let _ = keep(flash, range, STARTS, starts).await;
    starts
}

/// Keeps one value. When the pages are given up for it, what could still be read in them is written anew.
async fn keep<F: NorFlash, V: for<'a> Value<'a> + PartialEq>(
    flash: &mut F,
    range: Range<u32>,
    key: u8,
    value: V,
) -> Result<(), Refusal> {
    let settings = Settings::load(flash, range.clone()).await;
    let starts = read::<F, u32>(flash, range.clone(), STARTS).await;
    if write(flash, range.clone(), key, value).await? == Pages::AsBefore {
        return Ok(());
    }
    for setting in Setting::ALL {
        let kept = settings.get(setting);
        if setting as u8 != key && kept != setting.range().1 {
            write(flash, range.clone(), setting as u8, kept).await?;
        }
    }
    if let Some(starts) = starts
        && key != STARTS
    {
        write(flash, range, STARTS, starts).await?;
    }
    Ok(())
}
