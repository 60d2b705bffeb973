//! The unit of work on both databases: every story runs on SQLite and on PostgreSQL.

mod stage;

use stage::{Site, on_both, on_postgres, visit_table};
use store::{Scope, StoreError};

async fn book(site: &Site, patient: &str) -> Result<bool, StoreError> {
    let patient = patient.to_owned();
    site.store
        .write(&site.scope, move |tx| {
            let patient = patient.clone();
            Box::pin(async move {
                let tenant = tx.tenant().clone();
                let taken = tx
                    .exec(
                        "UPDATE slot SET booked = booked + 1 WHERE tenant_id = $1 AND id = $2 AND booked < capacity",
                        &[&tenant, &"morning"],
                    )
                    .await?;
                if taken == 0 {
                    return Ok(false);
                }
                tx.exec(
                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, $2)",
                    &[&tenant, &patient],
                )
                .await?;
                Ok(true)
            })
        })
        .await
}

async fn count(site: &Site, sql: &'static str) -> i64 {
    let (n,): (i64,) = site
        .store
        .read(&site.scope, move |tx| {
            Box::pin(async move { tx.one::<(i64,)>(sql, &[]).await })
        })
        .await
        .unwrap_or_else(|e: StoreError| panic!("{sql}: {e}"));
    n
}

/// Two hundred people ask at once for a clinic of fifty; each of them twice.
#[test]
fn a_clinic_is_never_oversold_and_nobody_is_booked_twice() {
    on_both(|site| async move {
        visit_table(&site, 50).await;
        let asks: Vec<_> = (0..400)
            .map(|i| {
                let site = site.clone();
                tokio::spawn(async move { book(&site, &format!("patient-{}", i % 200)).await })
            })
            .collect();
        let (mut booked, mut full, mut twice) = (0, 0, 0);
        for ask in asks {
            match ask.await.unwrap() {
                Ok(true) => booked += 1,
                Ok(false) => full += 1,
                Err(StoreError::Unique { .. }) => twice += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((booked, full + twice), (50, 350));
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, 50);
        assert_eq!(count(&site, "SELECT SUM(booked) FROM slot").await, 50);
    });
}

#[test]
fn a_refused_unit_leaves_nothing_and_its_neighbours_stand() {
    on_both(|site| async move {
        visit_table(&site, 10).await;
        let store = site.store.clone();
        let scope = site.scope.clone();
        let refused = tokio::spawn(async move {
            store
                .write(&scope, |tx| {
                    Box::pin(async move {
                        let tenant = tx.tenant().clone();
                        tx.exec(
                            "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'lost')",
                            &[&tenant],
                        )
                        .await?;
                        Err::<(), _>(StoreError::Busy)
                    })
                })
                .await
        });
        let kept = book(&site, "kept").await;
        assert_eq!(refused.await.unwrap(), Err(StoreError::Busy));
        assert_eq!(kept, Ok(true));
        assert_eq!(
            count(&site, "SELECT COUNT(*) FROM booking WHERE patient = 'lost'").await,
            0
        );
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, 1);
    });
}

/// PostgreSQL keeps no U+0000: the row is at fault, not the database, and nobody need ask again.
#[test]
fn a_text_with_a_zero_character_is_refused_as_such() {
    on_postgres(|site| async move {
        visit_table(&site, 10).await;
        let refused = book(&site, "欧阳\0静").await;
        assert!(matches!(refused, Err(StoreError::Constraint { .. })), "{refused:?}");
        assert_eq!(count(&site, "SELECT SUM(booked) FROM slot").await, 0);
    });
}

#[test]
fn a_nested_part_that_fails_is_undone_alone() {
    on_both(|site| async move {
        visit_table(&site, 10).await;
        site.store
            .write(&site.scope, |tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.exec(
                        "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'first')",
                        &[&tenant],
                    )
                    .await?;
                    let again = tx
                        .nested(|tx| {
                            Box::pin(async move {
                                let tenant = tx.tenant().clone();
                                tx.exec(
                                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'inner')",
                                    &[&tenant],
                                )
                                .await?;
                                tx.exec(
                                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'first')",
                                    &[&tenant],
                                )
                                .await
                            })
                        })
                        .await;
                    assert!(matches!(again, Err(StoreError::Unique { .. })), "{again:?}");
                    tx.exec(
                        "INSERT INTO booking(tenant_id, patient) VALUES ($1, 'second')",
                        &[&tenant],
                    )
                    .await
                })
            })
            .await
            .unwrap();
        let patients: Vec<(String,)> = site
            .store
            .read(&site.scope, |tx| {
                Box::pin(async move { tx.all("SELECT patient FROM booking ORDER BY patient", &[]).await })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        assert_eq!(patients, [("first".to_owned(),), ("second".to_owned(),)]);
    });
}

#[test]
fn what_is_to_be_told_is_told_once_and_only_after_the_commit() {
    on_both(|site| async move {
        visit_table(&site, 10).await;
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for keep in [true, false] {
            let told = told.clone();
            let _ = site
                .store
                .write(&site.scope, move |tx| {
                    let told = told.clone();
                    Box::pin(async move {
                        let (inner, told_inner) = (told.clone(), told.clone());
                        tx.after_commit(move || assert!(told.send(if keep { "kept" } else { "lost" }).is_ok()));
                        let _ = tx
                            .nested::<(), _, _>(move |tx| {
                                tx.after_commit(move || assert!(inner.send("undone").is_ok()));
                                Box::pin(async { Err(StoreError::Busy) })
                            })
                            .await;
                        tx.after_commit(move || assert!(told_inner.send("last").is_ok()));
                        if keep { Ok(()) } else { Err(StoreError::Busy) }
                    })
                })
                .await;
        }
        drop(told);
        let mut all = Vec::new();
        while let Some(word) = heard.recv().await {
            all.push(word);
        }
        assert_eq!(all, ["kept", "last"]);
    });
}

#[test]
fn a_swallowed_failure_does_not_commit_half_a_unit() {
    on_both(|site| async move {
        visit_table(&site, 10).await;
        let done = site
            .store
            .write(&site.scope, |tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.exec("INSERT INTO booking(tenant_id, patient) VALUES ($1, 'x')", &[&tenant])
                        .await?;
                    let _ = tx
                        .exec("INSERT INTO booking(tenant_id, patient) VALUES ($1, 'x')", &[&tenant])
                        .await;
                    let after = tx
                        .exec("INSERT INTO booking(tenant_id, patient) VALUES ($1, 'y')", &[&tenant])
                        .await;
                    assert_eq!(after, Err(StoreError::Aborted));
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        assert!(matches!(done, Err(StoreError::Unique { .. })), "{done:?}");
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, 0);
    });
}

#[test]
fn a_panicking_unit_is_undone_and_the_store_goes_on() {
    on_both(|site| async move {
        visit_table(&site, 10).await;
        let done = site
            .store
            .write(&site.scope, |tx| {
                Box::pin(async move {
                    let tenant = tx.tenant().clone();
                    tx.exec("INSERT INTO booking(tenant_id, patient) VALUES ($1, 'x')", &[&tenant])
                        .await?;
                    if tenant.as_str().starts_with("hos_") {
                        panic!("a bug in a closure");
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        assert_eq!(done, Err(StoreError::Panicked));
        assert_eq!(book(&site, "after").await, Ok(true));
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, 1);
    });
}

/// A browser that goes away in the middle must not leave a transaction open or half a booking.
#[test]
fn a_dropped_request_leaves_whole_units_only() {
    on_both(|site| async move {
        visit_table(&site, 1_000).await;
        for i in 0..60 {
            let site = site.clone();
            let ask = tokio::spawn(async move { book(&site, &format!("p{i}")).await });
            tokio::task::yield_now().await;
            if i % 2 == 0 {
                ask.abort();
            } else {
                assert_eq!(ask.await.unwrap(), Ok(true));
            }
        }
        // A later unit of the same hospital is behind all of them.
        book(&site, "last").await.unwrap();
        let booked = count(&site, "SELECT SUM(booked) FROM slot").await;
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, booked);
        assert!(booked >= 31, "{booked}");
    });
}

#[test]
fn reading_cannot_write() {
    on_both(|site| async move {
        visit_table(&site, 1).await;
        let done = site
            .store
            .read(&site.scope, |tx| {
                Box::pin(async move { tx.exec("UPDATE slot SET booked = 7", &[]).await })
            })
            .await;
        assert_eq!(done, Err(StoreError::ReadOnly));
        assert_eq!(count(&site, "SELECT SUM(booked) FROM slot").await, 0);
    });
}

#[test]
fn a_migration_runs_once_and_may_not_be_rewritten() {
    on_both(|site| async move {
        let first = store::Migration {
            name: "ward/0001_bed",
            sql: "CREATE TABLE bed(tenant_id TEXT NOT NULL, photo BLOB, weight DOUBLE PRECISION, label TEXT)",
        };
        site.store.migrate(&[first]).await.unwrap();
        site.store.migrate(&[first]).await.unwrap();
        let changed = store::Migration {
            sql: "CREATE TABLE bed(tenant_id TEXT)",
            ..first
        };
        let refused = site.store.migrate(&[changed]).await;
        assert!(matches!(refused, Err(StoreError::Migration { .. })), "{refused:?}");

        let broken = store::Migration {
            name: "ward/0002_broken",
            sql: "CREATE TABLE half(tenant_id TEXT); CREATE TABLE bed(tenant_id TEXT);",
        };
        assert!(site.store.migrate(&[broken]).await.is_err());
        let missing = site
            .store
            .read(&site.scope, |tx| {
                Box::pin(async move { tx.one::<(i64,)>("SELECT COUNT(*) FROM half", &[]).await })
            })
            .await;
        assert!(
            matches!(missing, Err(StoreError::Sql { .. })),
            "half a migration stays: {missing:?}"
        );
    });
}

#[test]
fn values_come_back_as_they_went_in() {
    on_both(|site| async move {
        site.store
            .migrate(&[store::Migration {
                name: "ward/0001_things",
                sql: "CREATE TABLE thing(tenant_id TEXT NOT NULL, t TEXT, i BIGINT, f DOUBLE PRECISION, b BLOB, n TEXT, j TEXT, w BIGINT)",
            }])
            .await
            .unwrap();
        let at = site.store.clock().now();
        let row = site
            .store
            .write(&site.scope, move |tx| {
                Box::pin(async move {
                    let (tenant, none) = (tx.tenant().clone(), None::<String>);
                    let json = serde_json::json!({"诊断": ["感冒"], "n": 1});
                    tx.exec(
                        "INSERT INTO thing(tenant_id, t, i, f, b, n, j, w) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        &[
                            &tenant,
                            &"甲 'quoted' $1",
                            &i64::MIN,
                            &0.1_f64,
                            &vec![0_u8, 255],
                            &none,
                            &json,
                            &at,
                        ],
                    )
                    .await?;
                    tx.one::<(
                        String,
                        i64,
                        f64,
                        Vec<u8>,
                        Option<String>,
                        serde_json::Value,
                        records::Timestamp,
                        bool,
                    )>(
                        "SELECT t, i, f, b, n, j, w, EXISTS(SELECT 1 FROM thing WHERE t = $1) FROM thing",
                        &[&"甲 'quoted' $1"],
                    )
                    .await
                })
            })
            .await
            .unwrap_or_else(|e: StoreError| panic!("{e}"));
        assert_eq!(
            row,
            (
                "甲 'quoted' $1".to_owned(),
                i64::MIN,
                0.1,
                vec![0, 255],
                None,
                serde_json::json!({"诊断": ["感冒"], "n": 1}),
                at,
                true
            )
        );
    });
}

/// Units of one hospital may read and then decide: nobody slips in between.
#[test]
fn a_count_read_in_a_unit_is_still_true_when_it_writes() {
    on_both(|site| async move {
        visit_table(&site, 1_000).await;
        let asks: Vec<_> = (0..40)
            .map(|i| {
                let site = site.clone();
                tokio::spawn(async move {
                    site.store
                        .write(&site.scope, move |tx| {
                            Box::pin(async move {
                                let tenant = tx.tenant().clone();
                                let (n,): (i64,) = tx
                                    .one("SELECT COUNT(*) FROM booking WHERE tenant_id = $1", &[&tenant])
                                    .await?;
                                tx.exec(
                                    "INSERT INTO booking(tenant_id, patient) VALUES ($1, $2)",
                                    &[&tenant, &format!("number-{n}")],
                                )
                                .await?;
                                let _ = i;
                                Ok::<_, StoreError>(())
                            })
                        })
                        .await
                })
            })
            .collect();
        for ask in asks {
            ask.await.unwrap().unwrap();
        }
        assert_eq!(count(&site, "SELECT COUNT(*) FROM booking").await, 40);
    });
}

#[test]
fn waiting_for_anything_but_the_database_is_refused_on_sqlite() {
    stage::on_sqlite(|site| async move {
        let done = site
            .store
            .write(&Scope::system(site.scope.tenant.clone()), |_| {
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    Ok::<_, StoreError>(())
                })
            })
            .await;
        assert_eq!(done, Err(StoreError::Awaited));
    });
}
