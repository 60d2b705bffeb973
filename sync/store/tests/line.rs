//! The log on both databases: nothing is lost, nothing is applied twice, order holds.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod stage;

use std::sync::Arc;
use std::time::Duration;

use records::id::EdgeId;
use records::{Lane, PeerId};
use serde_json::json;
use stage::{Site, hospital, on_both, visit_table};
use store::{Cursor, Entry, StoreError, StreamKey, Taken};

fn appliance() -> PeerId {
    PeerId::edge(&EdgeId::parse("edg_1").unwrap())
}

fn stream() -> StreamKey {
    StreamKey::new(hospital(), appliance(), Lane::Clinical)
}

async fn order(site: &Site, n: usize, fail: bool) -> Result<u64, StoreError> {
    site.store
        .write(&site.scope, move |tx| {
            Box::pin(async move {
                let seq = tx
                    .append(
                        &appliance(),
                        Lane::Clinical,
                        "his.command",
                        &format!("con_{n}"),
                        &json!({ "n": n }),
                    )
                    .await?;
                if fail { Err(StoreError::Busy) } else { Ok(seq) }
            })
        })
        .await
}

async fn waiting(site: &Site) -> Vec<Entry> {
    site.store.outbox_after(&stream(), 0, 10_000, usize::MAX).await.unwrap()
}

/// Forty clerks order at once; every third order is taken back.
#[test]
fn numbers_have_no_holes_and_only_committed_orders_leave() {
    on_both(|site| async move {
        let mut watch = site.store.watch(stream());
        let orders: Vec<_> = (0..40)
            .map(|n| {
                let site = site.clone();
                tokio::spawn(async move { order(&site, n, n % 3 == 0).await })
            })
            .collect();
        for (n, ask) in orders.into_iter().enumerate() {
            assert_eq!(ask.await.unwrap().is_ok(), n % 3 != 0);
        }
        let entries = waiting(&site).await;
        let numbers: Vec<u64> = entries.iter().map(|e| e.seq).collect();
        assert_eq!(numbers, (1..=26).collect::<Vec<_>>());
        assert!(
            entries
                .iter()
                .all(|e| e.entity.trim_start_matches("con_").parse::<usize>().unwrap() % 3 != 0)
        );
        tokio::time::timeout(Duration::from_secs(60), watch.wait_for(|newest| *newest == 26))
            .await
            .expect("the line is woken")
            .unwrap();
    });
}

#[test]
fn what_is_acknowledged_stays_until_it_is_pruned() {
    on_both(|site| async move {
        for n in 0..10 {
            order(&site, n, false).await.unwrap();
        }
        let state = site.store.stream(&stream()).await.unwrap();
        assert_eq!((state.last_seq, state.depth(), state.first_retained), (10, 10, 1));
        let few = site.store.outbox_after(&stream(), 3, 4, usize::MAX).await.unwrap();
        assert_eq!(few.iter().map(|e| e.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
        let narrow = site.store.outbox_after(&stream(), 3, 100, 1).await.unwrap();
        assert_eq!(narrow.len(), 1, "one entry always fits");

        site.store.outbox_ack(&stream(), state.epoch + 1, 9).await.unwrap();
        site.store.outbox_ack(&stream(), state.epoch, 11).await.unwrap();
        assert_eq!(
            site.store.stream(&stream()).await.unwrap().acked_seq,
            0,
            "foreign and impossible marks change nothing"
        );
        site.store.outbox_ack(&stream(), state.epoch, 6).await.unwrap();
        site.store.outbox_ack(&stream(), state.epoch, 4).await.unwrap();
        assert_eq!(site.store.stream(&stream()).await.unwrap().depth(), 4);
        assert_eq!(waiting(&site).await.len(), 10);

        let now = site.store.clock().now();
        assert_eq!(
            site.store
                .outbox_prune(&site.scope, now.minus(Duration::from_secs(60)))
                .await,
            Ok(0)
        );
        assert_eq!(
            site.store
                .outbox_prune(&site.scope, now.plus(Duration::from_secs(60)))
                .await,
            Ok(6)
        );
        assert_eq!(site.store.stream(&stream()).await.unwrap().first_retained, 7);
    });
}

#[test]
fn an_end_that_lost_its_past_begins_a_new_epoch() {
    on_both(|site| async move {
        order(&site, 1, false).await.unwrap();
        let before = site.store.stream(&stream()).await.unwrap();
        site.store.outbox_ack(&stream(), before.epoch, 1).await.unwrap();
        let after = site.store.renew_epoch(&stream(), 0).await.unwrap();
        assert!(after.epoch > before.epoch);
        assert_eq!((after.last_seq, after.acked_seq), (1, 0));
        site.store.outbox_ack(&stream(), before.epoch, 1).await.unwrap();
        assert_eq!(site.store.stream(&stream()).await.unwrap().acked_seq, 0);
    });
}

fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    range
        .map(|seq| Entry {
            seq,
            kind: "his.command.result".to_owned(),
            entity: format!("con_{seq}"),
            at: records::Timestamp::from_seconds(1),
            body: "{}".to_owned(),
        })
        .collect()
}

/// The effect of an entry here: one booking row named after it. `poison` fails.
async fn deliver(site: &Site, batch: Vec<Entry>, poison: Option<u64>) -> store::Applied<StoreError> {
    site.store
        .apply(&site.scope, &stream(), 7, batch, move |tx, entry| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                tx.exec(
                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, $2)",
                    &[&tenant, &entry.entity],
                )
                .await?;
                if poison == Some(entry.seq) {
                    return Err(StoreError::Busy);
                }
                Ok(())
            })
        })
        .await
        .unwrap()
}

async fn effects(site: &Site) -> i64 {
    site.store
        .read(&site.scope, |tx| {
            Box::pin(async move { tx.one::<(i64,)>("SELECT COUNT(*) FROM booking", &[]).await })
        })
        .await
        .unwrap_or_else(|e: StoreError| panic!("{e}"))
        .0
}

#[test]
fn an_entry_takes_effect_once_however_often_it_comes() {
    on_both(|site| async move {
        visit_table(&site, 1).await;
        let first = deliver(&site, entries(1..=5), None).await;
        assert_eq!(first.cursor, Cursor { epoch: 7, seq: 5 });
        // The same batch again, twice at once, overlapping with news.
        let again = tokio::join!(
            deliver(&site, entries(3..=8), None),
            deliver(&site, entries(1..=8), None)
        );
        assert_eq!((again.0.cursor.seq, again.1.cursor.seq), (8, 8));
        assert_eq!(effects(&site).await, 8);

        let hole = deliver(&site, entries(10..=12), None).await;
        assert!(hole.out_of_step);
        assert_eq!((hole.cursor.seq, effects(&site).await), (8, 8));
    });
}

#[test]
fn an_entry_that_fails_holds_back_what_follows_until_it_is_parked() {
    on_both(|site| async move {
        visit_table(&site, 1).await;
        let stopped = deliver(&site, entries(1..=5), Some(3)).await;
        assert_eq!(stopped.failed, Some((3, StoreError::Busy)));
        assert_eq!((stopped.cursor.seq, effects(&site).await), (2, 2));

        let poison = Arc::new(entries(3..=3).remove(0));
        let kept = poison.clone();
        site.store
            .write(&site.scope, move |tx| {
                let entry = kept.clone();
                Box::pin(async move {
                    assert_eq!(tx.take(&appliance(), Lane::Clinical, 7, 3).await?, Taken::Fresh);
                    tx.park(&appliance(), Lane::Clinical, 7, &entry, "unknown kind").await
                })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        assert_eq!(deliver(&site, entries(3..=5), None).await.cursor.seq, 5);
        assert_eq!(effects(&site).await, 4);

        let parked = site
            .store
            .write(&site.scope, |tx| {
                Box::pin(async move {
                    let waiting = tx.parked(10).await?;
                    let settled = tx
                        .parked_settled((&appliance(), Lane::Clinical, 7, 3), "replayed by hand")
                        .await?;
                    Ok::<_, StoreError>((waiting, settled, tx.parked(10).await?.len()))
                })
            })
            .await
            .unwrap();
        assert_eq!(parked.0.len(), 1);
        assert_eq!(parked.0[0].entry, *poison);
        assert_eq!((parked.1, parked.2), (true, 0));
    });
}

#[test]
fn another_epoch_is_not_mixed_up_with_the_known_one() {
    on_both(|site| async move {
        visit_table(&site, 1).await;
        deliver(&site, entries(1..=2), None).await;
        let other = site
            .store
            .apply(&site.scope, &stream(), 8, entries(3..=3), |_, _| {
                Box::pin(async { Ok::<_, StoreError>(()) })
            })
            .await
            .unwrap();
        assert!(other.out_of_step);
        assert_eq!(other.cursor, Cursor { epoch: 7, seq: 2 });
        site.store
            .write(&site.scope, |tx| {
                Box::pin(async move {
                    tx.skip(&appliance(), Lane::Clinical, 8, (1, 5), "sender restored")
                        .await
                })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        assert_eq!(site.store.cursor(&stream()).await.unwrap(), Cursor { epoch: 8, seq: 5 });
    });
}

/// What one clerk's unit comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stands,
    /// The closure thinks better of it after it appended.
    TakenBack,
    /// A statement fails after it appended.
    Collides,
    Panics,
}

/// Takes the next ticket and appends it: the ticket says in which order units were done.
async fn ticket(site: &Site, end: End) -> Result<(), StoreError> {
    site.store
        .write(&site.scope, move |tx| {
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                // Read, then decide: safe only as long as units of a hospital run one after another.
                let (booked,): (i64,) = tx
                    .one(
                        "SELECT booked FROM slot WHERE tenant_id = $1 AND id = 'morning'",
                        &[&tenant],
                    )
                    .await?;
                let booked = booked + 1;
                tx.exec(
                    "UPDATE slot SET booked = $2 WHERE tenant_id = $1 AND id = 'morning'",
                    &[&tenant, &booked],
                )
                .await?;
                let body = json!({ "ticket": booked });
                tx.append(&appliance(), Lane::Clinical, "his.command", "e", &body)
                    .await?;
                match end {
                    End::Stands => Ok(()),
                    End::TakenBack => Err(StoreError::Full),
                    End::Collides => tx
                        .exec(
                            "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'there already')",
                            &[&tenant],
                        )
                        .await
                        .map(drop),
                    End::Panics => panic!("on purpose"),
                }
            })
        })
        .await
}

/// Reads along while others write: what is there must always be the stream's beginning without a hole.
async fn follow(site: Site, until: usize) {
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < until {
        let after = seen.last().copied().unwrap_or(0);
        for entry in site
            .store
            .outbox_after(&stream(), after, 10_000, usize::MAX)
            .await
            .unwrap()
        {
            let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
            assert_eq!(
                Some(entry.seq),
                seen.last().copied().or(Some(0)).map(|n| n + 1),
                "a hole"
            );
            assert_eq!(
                body.get("ticket"),
                Some(&json!(entry.seq)),
                "not in the order of the commits"
            );
            seen.push(entry.seq);
        }
    }
}

/// Sixty clerks at two replicas (one on SQLite) keep appending while a receiver reads along; a good part of their
/// units comes to nothing, each in its own way.
#[test]
fn many_writers_leave_a_stream_without_holes_in_the_order_of_their_commits() {
    const CLERKS: usize = 60;
    const EACH: usize = 12;
    let story = |site: Site, other: Site| async move {
        visit_table(&site, 1).await;
        let taken = |tx: &mut store::Tx<'_>| tx.tenant().clone();
        site.store
            .write(&site.scope, move |tx| {
                let tenant = taken(tx);
                Box::pin(async move {
                    let sql = "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'there already')";
                    tx.exec(sql, &[&tenant]).await
                })
            })
            .await
            .unwrap();
        let end = |clerk: usize, n: usize| match (clerk + n) % 7 {
            1 => End::TakenBack,
            3 => End::Collides,
            5 => End::Panics,
            _ => End::Stands,
        };
        let good: usize = (0..CLERKS * EACH)
            .filter(|i| end(i / EACH, i % EACH) == End::Stands)
            .count();
        let reader = tokio::spawn(follow(site.clone(), good));
        let clerks: Vec<_> = (0..CLERKS)
            .map(|clerk| {
                let site = if clerk % 2 == 0 { site.clone() } else { other.clone() };
                tokio::spawn(async move {
                    for n in 0..EACH {
                        let (end, done) = (end(clerk, n), ticket(&site, end(clerk, n)).await);
                        assert_eq!(done.is_ok(), end == End::Stands, "{done:?}");
                    }
                })
            })
            .collect();
        for clerk in clerks {
            clerk.await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(60), reader)
            .await
            .expect("everything that was answered is there")
            .unwrap();
        assert_eq!(waiting(&site).await.len(), good, "what was taken back has left nothing");
        let state = site.store.stream(&stream()).await.unwrap();
        assert_eq!(state.last_seq, good as u64);
    };
    stage::on_sqlite(|site| story(site.clone(), site));
    stage::on_two_replicas(story);
}
