//! Disks that were put back or copied: appliances and clouds with another past than the other end remembers.

use records::PeerId;

use super::Site;
use crate::ward::*;

fn backup(from: &std::path::Path, to: &std::path::Path) {
    let source = rusqlite::Connection::open(from).unwrap();
    source.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}

impl Site {
    /// What the disk was when both ends knew the same five entries, 0 to 4.
    async fn five_entries_and_a_copy_of_the_disk(&self) -> std::path::PathBuf {
        append(&self.here, &PeerId::cloud(), 0..5).await;
        wait_seen(&self.there, 5).await;
        wait_status(&mut self.appliance.status(), "drained", |s| s.buffer_depth == 0).await;
        let copy = self.folder.path().join("copy.db");
        backup(&self.folder.path().join("edge.db"), &copy);
        copy
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appliance_restored_from_an_old_disk_image_raises_an_alarm_and_loses_and_repeats_nothing() {
    let mut site = Site::open().await;
    let image = site.five_entries_and_a_copy_of_the_disk().await;
    append(&site.here, &PeerId::cloud(), 5..9).await;
    wait_seen(&site.there, 9).await;
    site.appliance.stop().await;

    let restored = open_store(&image).await;
    site.appliance = start_edge(&restored, &site.authority, &site.edge, site.proxy.port).await;
    append(&restored, &PeerId::cloud(), 100..103).await;
    let seen = wait_seen(&site.there, 12).await;
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 101, 102]);
    wait_status(&mut site.appliance.status(), "alarmed", |s| {
        matches!(s.alarm, Some(link::Alarm::RolledBack { ours: 6, theirs: 9, .. }))
    })
    .await;
    append(&restored, &PeerId::cloud(), 103..105).await;
    wait_seen(&site.there, 14).await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloned_appliance_and_its_original_raise_the_alarm_and_no_entry_of_either_is_lost() {
    let site = Site::open().await;
    let image = site.five_entries_and_a_copy_of_the_disk().await;

    let twin_store = open_store(&image).await;
    let twin = start_edge(&twin_store, &site.authority, &site.edge, site.proxy.port).await;
    append(&twin_store, &PeerId::cloud(), 100..110).await;
    append(&site.here, &PeerId::cloud(), 200..210).await;
    let mut seen = wait_seen(&site.there, 25).await;
    let inner_order: Vec<_> = seen.iter().filter(|n| **n >= 200).copied().collect();
    assert_eq!(inner_order, numbers(200..210));
    seen.sort_unstable();
    assert_eq!(seen, [numbers(0..5), numbers(100..110), numbers(200..210)].concat());
    until("the cloud notices the clone", async || {
        site.cloud.status(&site.edge).and_then(|s| s.alarm) == Some(link::Alarm::Cloned)
    })
    .await;
    // Each tells the last alarm alone; the two throw each other out as long as both live.
    until("one of them tells that it was fenced", async || {
        let alarms = [twin.status(), site.appliance.status()].map(|s| s.borrow().alarm.clone());
        alarms.contains(&Some(link::Alarm::Fenced))
    })
    .await;
    twin.stop().await;
    site.close().await;
}

/// What an appliance sent in vain has the same numbers as what its twin delivered meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_swallowed_by_the_line_while_a_twin_used_their_numbers_are_not_taken_for_delivered() {
    let site = Site::open().await;
    let image = site.five_entries_and_a_copy_of_the_disk().await;

    let swallowed = site.proxy.swallowed_bytes();
    site.proxy.set(proxy::Weather::BlackHole);
    append(&site.here, &PeerId::cloud(), 200..210).await;
    until("something is sent into the hole", async || {
        site.proxy.swallowed_bytes() >= swallowed + 200
    })
    .await;

    let twin_store = open_store(&image).await;
    let broker = site.cloud.broker_address().unwrap().port();
    let twin = start_edge(&twin_store, &site.authority, &site.edge, broker).await;
    append(&twin_store, &PeerId::cloud(), 100..110).await;
    wait_seen(&site.there, 15).await;
    twin.stop().await;

    site.proxy.set(proxy::Weather::Fair);
    let seen = wait_seen(&site.there, 25).await;
    assert_eq!(seen, [numbers(0..5), numbers(100..110), numbers(200..210)].concat());
    wait_status(&mut site.appliance.status(), "alarmed", |s| {
        matches!(
            s.alarm,
            Some(link::Alarm::RolledBack {
                ours: 6,
                theirs: 15,
                ..
            })
        )
    })
    .await;
    site.close().await;
}

/// The epoch of an appliance may be younger than the cloud's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_restored_to_before_an_epoch_began_is_sent_all_that_it_forgot() {
    let Site {
        folder,
        here,
        there,
        authority,
        cloud,
        proxy: line,
        appliance,
        edge,
    } = Site::open().await;
    let listen = cloud.broker_address().unwrap();
    append(&here, &PeerId::cloud(), 0..3).await;
    wait_seen(&there, 3).await;
    let old_cloud = folder.path().join("old-cloud.db");
    backup(&folder.path().join("cloud.db"), &old_cloud);
    append(&here, &PeerId::cloud(), 3..5).await;
    wait_seen(&there, 5).await;
    wait_status(&mut appliance.status(), "drained", |s| s.buffer_depth == 0).await;
    let image = folder.path().join("image.db");
    backup(&folder.path().join("edge.db"), &image);
    append(&here, &PeerId::cloud(), 5..9).await;
    wait_seen(&there, 9).await;
    appliance.stop().await;

    // Its disk is put back, and it begins an epoch after the fifth entry.
    let restored = open_store(&image).await;
    let appliance = start_edge(&restored, &authority, &edge, line.port).await;
    append(&restored, &PeerId::cloud(), 100..103).await;
    wait_seen(&there, 12).await;
    wait_status(&mut appliance.status(), "drained", |s| s.buffer_depth == 0).await;

    // Then the cloud's is, to a time when it knew three.
    cloud.stop().await;
    let there = open_store(&old_cloud).await;
    let cloud = start_cloud(&there, &authority, listen).await;
    let seen = wait_seen(&there, 8).await;
    assert_eq!(seen, [numbers(0..5), numbers(100..103)].concat());
    append(&restored, &PeerId::cloud(), 103..105).await;
    wait_seen(&there, 10).await;
    wait_status(&mut appliance.status(), "drained", |s| s.buffer_depth == 0).await;
    appliance.stop().await;
    cloud.stop().await;
}
