//! Settings in flash: a power cut at any step loses at most the one being written, to its former value.

use dock_link::{Board, Setting};
use dock_logic::{Layout, Settings, counted_start};
use embassy_futures::block_on;
use proptest::prelude::*;
use sequential_storage::cache::Cache;
use sequential_storage::map::{MapConfig, MapStorage};

use crate::flash::{Nor, PAGE};

fn range() -> std::ops::Range<u32> {
    Layout::of(Board::Mps2).settings
}

fn changes() -> impl Strategy<Value = Vec<(Setting, u16)>> {
    let change = (0..Setting::ALL.len(), any::<u16>()).prop_map(|(n, value)| {
        let setting = Setting::ALL[n];
        let (low, _, high) = setting.range();
        (setting, low + value % (high - low + 1))
    });
    proptest::collection::vec(change, 1..40)
}

/// Writes until the power is cut; answers what is known to be kept and what was being written.
fn write_until_cut(flash: &mut Nor, changes: &[(Setting, u16)]) -> (Settings, Option<(Setting, u16)>) {
    let mut settings = block_on(Settings::load(flash, range()));
    for (setting, value) in changes {
        if block_on(settings.change(flash, range(), *setting, *value)).is_err() {
            return (settings, Some((*setting, *value)));
        }
    }
    (settings, None)
}

fn judge(flash: &mut Nor, kept: &Settings, cut: Option<(Setting, u16)>) {
    let found = block_on(Settings::load(flash, range()));
    for setting in Setting::ALL {
        let (found, kept) = (found.get(setting), kept.get(setting));
        let written = cut.is_some_and(|(s, value)| s == setting && value == found);
        assert!(found == kept || written, "{setting:?} is {found}, was {kept}");
    }
}

/// Every single step of a long series of changes, pages moved on and erased included.
#[test]
fn a_power_cut_at_each_step_loses_at_most_the_setting_being_written() {
    let changes: Vec<_> = (0..900u16).map(|n| (Setting::StaggerMs, n)).collect();
    let mut whole = Nor::new();
    write_until_cut(&mut whole, &changes);
    assert!(
        whole.erased[1..4].iter().all(|n| *n > 0),
        "the test moves through the pages: {:?}",
        &whole.erased[1..5]
    );
    for cut in (1..whole.steps).step_by(31) {
        let mut flash = Nor::new();
        (flash.left, flash.chance) = (Some(cut), cut + 1);
        let (kept, being) = write_until_cut(&mut flash, &changes);
        flash.power_on();
        judge(&mut flash, &kept, being);
        // And it goes on working.
        let mut settings = block_on(Settings::load(&mut flash, range()));
        block_on(settings.change(&mut flash, range(), Setting::FullBelowMa, 77)).unwrap();
        assert_eq!(
            block_on(Settings::load(&mut flash, range())).get(Setting::FullBelowMa),
            77
        );
    }
}

/// What another program left in the pages in the same format, but longer than anything of ours.
fn foreign(flash: &mut Nor, length: usize) {
    let config = MapConfig::try_new(range()).unwrap();
    let mut map = MapStorage::<u8, _, _>::new(flash, config, Cache::new_uncached());
    block_on(map.store_item(&mut [0; 4096], &0x77, &vec![0x5A; length].as_slice())).unwrap();
}

#[test]
fn a_page_that_hides_what_is_kept_in_it_is_given_up() {
    let mut flash = Nor::new();
    let mut settings = Settings::new();
    block_on(settings.change(&mut flash, range(), Setting::FullBelowMa, 77)).unwrap();
    foreign(&mut flash, 200);
    assert_eq!(block_on(Settings::load(&mut flash, range())), Settings::new());
    block_on(settings.change(&mut flash, range(), Setting::Sound, 0)).unwrap();
    let found = block_on(Settings::load(&mut flash, range()));
    assert_eq!(found.get(Setting::Sound), 0, "kept, and found again");
    for n in 1..=5 {
        assert_eq!(block_on(counted_start(&mut flash, range())), n);
    }
}

#[test]
fn when_pages_are_given_up_what_can_still_be_read_stays() {
    let mut flash = Nor::new();
    // Fills the first page; ours come behind it, and all is well until that page's turn to be written comes.
    foreign(&mut flash, 3_900);
    let mut settings = Settings::new();
    block_on(settings.change(&mut flash, range(), Setting::FullBelowMa, 77)).unwrap();
    for n in 1..=1_000 {
        assert_eq!(block_on(counted_start(&mut flash, range())), n);
    }
    let page = range().start as usize / PAGE;
    assert!(flash.erased[page] > 0, "the turn of the first page came");
    assert_eq!(block_on(Settings::load(&mut flash, range())), settings);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any changes, any number of cuts.
    #[test]
    fn power_cuts_lose_at_most_the_setting_being_written(
        lives in proptest::collection::vec((changes(), 1u64..300, 1u64..u64::MAX), 1..6),
    ) {
        let mut flash = Nor::new();
        for (changes, cut, chance) in lives {
            (flash.left, flash.chance) = (Some(cut), chance);
            let (kept, being) = write_until_cut(&mut flash, &changes);
            flash.power_on();
            judge(&mut flash, &kept, being);
        }
    }

    /// Whatever lies in the pages, the dock has usable settings and can keep new ones.
    #[test]
    fn garbage_in_the_pages_gives_the_usual_settings_or_kept_ones_and_can_be_written(
        seed in 1u64..u64::MAX, length in 1usize..16384,
    ) {
        let mut flash = Nor::new();
        let mut chance = seed;
        for at in 0..length {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            flash.bytes[0x1000 + at] = (chance >> 24) as u8;
        }
        let mut settings = block_on(Settings::load(&mut flash, range()));
        for setting in Setting::ALL {
            let (low, _, high) = setting.range();
            prop_assert!((low..=high).contains(&settings.get(setting)));
        }
        block_on(settings.change(&mut flash, range(), Setting::Sound, 0)).unwrap();
        prop_assert_eq!(block_on(Settings::load(&mut flash, range())).get(Setting::Sound), 0);
    }
}

/// Wear: a board that starts a hundred times a day for ten years erases each page far less often than flash allows.
#[test]
fn starts_are_counted_and_wear_is_spread() {
    let mut flash = Nor::new();
    for n in 1..=5_000u32 {
        assert_eq!(block_on(counted_start(&mut flash, range())), n);
    }
    let pages = &flash.erased[1..5];
    let (least, most) = (pages.iter().min().unwrap(), pages.iter().max().unwrap());
    assert!(most - least <= 1, "{pages:?}");
    // 365,000 starts are 73 times as many; flash stands 10,000 erasures.
    assert!(most * 73 < 2_000, "{pages:?}");
    assert_eq!(block_on(counted_start(&mut flash, range())), 5_001);
}
