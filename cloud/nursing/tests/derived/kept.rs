//! What becomes of files and jobs whose maker died, or that nobody wants any more; a shift whose parts a battery change cut.

use std::path::{Path, PathBuf};

use super::*;

/// All kept files of the hospital.
fn files(site: &Site) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let any = base::blobs::Blob {
        id: records::id::BlobId::parse("blb_1").unwrap(),
        digest: "00".repeat(32),
        mime: String::new(),
        size: 0,
        purpose: String::new(),
        owner: String::new(),
        created_at: Timestamp::default(),
    };
    let place = site.ctx.blobs.path(&site.tenant, &any);
    let mut found = Vec::new();
    walk(place.ancestors().nth(2).unwrap(), &mut found);
    found.sort();
    found
}

/// The server dies after a file is among the kept ones and before its row: in the database the last unit does not come to its
/// end. `dies` makes it so, `lives` takes that back.
async fn left_behind(site: Site, dies: &'static str, lives: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(Worker::new(kit::process::binary("media-worker")), folder.path());
    let appliance = Appliance::new(&site);
    let admin = site.staff("admin", &[Role::Admin]).await;
    keep(
        &site,
        &appliance,
        &appliance.entry(1, CustodyEntry::FIRST, film()),
        film(),
    )
    .await;
    round(&site.ctx, &shop, Lane::Quick).await;
    let whole = files(&site);
    let proxy = "/admin/footage/clp_1/proxy";
    let (_, asked) = admin.post(proxy, json!({})).await;
    let object = format!(
        "/admin/footage/clp_1/media/{}",
        asked.pointer("/id").unwrap().as_str().unwrap()
    );

    site.tamper(dies).await;
    round(&site.ctx, &shop, Lane::Any).await;
    site.tamper(lives).await;
    assert_eq!(files(&site).len(), whole.len() + 1, "the file that nobody names");
    let (status, given_up) = admin.delete(&object).await;
    assert_eq!(
        (status, given_up.pointer("/state")),
        (StatusCode::OK, Some(&json!("cancelled"))),
        "{given_up}"
    );
    assert_eq!(admin.delete(&object).await.0, StatusCode::CONFLICT);

    // Whoever made it may still live; a day later nobody does. An original is never taken for such a file.
    site.tamper("INSERT INTO nursing_taking(tenant_id, digest, object, since) SELECT tenant_id, sm3, 'drv_none', 0 FROM nursing_clip")
        .await;
    site.clock.advance(Duration::from_secs(23 * 3600));
    round(&site.ctx, &shop, Lane::Any).await;
    assert_eq!(files(&site).len(), whole.len() + 1);
    site.clock.advance(Duration::from_secs(2 * 3600));
    round(&site.ctx, &shop, Lane::Any).await;
    assert_eq!(files(&site), whole);
    let (notes,): (u64,) = site.look("SELECT COUNT(*) FROM nursing_taking").await;
    assert_eq!(notes, 0);

    // Made once more it is there for good.
    let admin = site.sign_in("admin").await;
    admin.post(proxy, json!({})).await;
    round(&site.ctx, &shop, Lane::Any).await;
    site.clock.advance(Duration::from_secs(25 * 3600));
    round(&site.ctx, &shop, Lane::Any).await;
    assert_eq!(files(&site).len(), whole.len() + 1);
    let admin = site.sign_in("admin").await;
    let (_, media) = admin.get("/admin/footage/clp_1/media").await;
    assert_eq!(super::object(&media, "proxy")["state"], "made", "{media}");
}

#[test]
fn a_file_whose_maker_died_before_its_row_is_swept_up_and_an_original_never_is() {
    let routes = || nursing::routes();
    ward::on_sqlite(routes, TABLES, |site| {
        left_behind(
            site,
            "CREATE TRIGGER dies BEFORE INSERT ON base_blob BEGIN SELECT RAISE(ABORT, 'dead'); END",
            "DROP TRIGGER dies",
        )
    });
    ward::on_postgres(routes, TABLES, |site| {
        left_behind(
            site,
            "ALTER TABLE base_blob ADD CONSTRAINT dies CHECK (purpose <> 'footage_derived') NOT VALID",
            "ALTER TABLE base_blob DROP CONSTRAINT dies",
        )
    });
}

/// Waits until something holds.
async fn soon(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

/// What is being made and not wanted any more is stopped, its process too; what is made cannot be given up.
#[test]
fn a_job_that_is_given_up_stops_with_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let (program, number) = (folder.path().join("worker"), folder.path().join("number"));
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --tools ]; then echo '{{\"versions\":\"stand-in\",\"missing\":[]}}'; exit; fi\nread order\n\
         case \"$order\" in *probe*) echo '{{\"made\":{{\"what\":\"facts\",\"container\":\"mp4\",\"condition\":\"complete\",\"video\":{{\"codec\":\"h265\",\
         \"width\":1,\"height\":1}}}}}}';; *proxy*) echo $$ > {0}.part; mv {0}.part {0}; while :; do echo '{{\"progress\":40}}'; sleep 1; done;; esac\n",
        number.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    story(Worker::new(program), |site, shop| {
        let number = number.clone();
        async move {
            let appliance = Appliance::new(&site);
            let admin = site.staff("admin", &[Role::Admin]).await;
            keep(
                &site,
                &appliance,
                &appliance.entry(1, CustodyEntry::FIRST, film()),
                film(),
            )
            .await;
            round(&site.ctx, &shop, Lane::Quick).await;
            let (status, asked) = admin.post("/admin/footage/clp_1/proxy", json!({})).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
            let (ctx, works) = (site.ctx.clone(), shop.clone());
            let working = tokio::spawn(async move { round(&ctx, &works, Lane::Any).await });
            soon(|| number.exists()).await;
            let process = PathBuf::from("/proc").join(std::fs::read_to_string(&number).unwrap().trim());
            let object = asked["id"].as_str().unwrap();
            let (_, probe) = admin.get("/admin/footage/clp_1/media").await;
            let never = super::object(&probe, "probe")["id"].as_str().unwrap();
            let path = |object: &str| format!("/admin/footage/clp_1/media/{object}");
            assert_eq!(admin.delete(&path(never)).await.0, StatusCode::NOT_FOUND);
            assert_eq!(admin.delete(&path(object)).await.0, StatusCode::OK);
            working.await.unwrap();
            soon(|| !process.exists()).await;
            std::fs::remove_file(&number).unwrap();
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            let given_up = super::object(&media, "proxy");
            assert_eq!(
                (&given_up["state"], &given_up["note"]),
                (&json!("cancelled"), &json!("已取消")),
                "{media}"
            );
            let (audited,): (u64,) = site
                .look("SELECT COUNT(*) FROM base_audit WHERE action = 'footage.cancel'")
                .await;
            assert_eq!(audited, 1);
        }
    });
}

/// Originals and what is made of them are had at their own routes, which write each look down, and nowhere else.
#[test]
fn footage_is_not_had_at_the_door_of_other_files() {
    story(
        Worker::new(kit::process::binary("media-worker")),
        |site, shop| async move {
            let appliance = Appliance::new(&site);
            let admin = site.staff("admin", &[Role::Admin]).await;
            keep(
                &site,
                &appliance,
                &appliance.entry(1, CustodyEntry::FIRST, film()),
                film(),
            )
            .await;
            round(&site.ctx, &shop, Lane::Quick).await;
            let (original,): (String,) = site.look("SELECT blob_id FROM nursing_clip").await;
            let (poster,): (String,) = site
                .look("SELECT blob_id FROM nursing_derived WHERE kind = 'poster'")
                .await;
            for blob in [original, poster] {
                let (status, _, _) = ask(&admin, &format!("/blobs/{blob}"), None).await;
                assert_eq!(status, StatusCode::NOT_FOUND);
            }
            assert_eq!(ask(&admin, "/admin/footage/clp_1/content", None).await.2, film());
        },
    );
}

/// The battery was changed twice in a shift: two parts are whole, the last was being written. All are there, byte for byte,
/// in their order on one line of time, and the last is as long as what was rescued of it.
#[test]
fn the_parts_of_a_shift_cut_by_a_battery_change_are_one_line_and_the_damaged_one_is_rescued() {
    story(
        Worker::new(kit::process::binary("media-worker")),
        |site, shop| async move {
            let appliance = Appliance::new(&site);
            let admin = site.staff("admin", &[Role::Admin]).await;
            let cut = &film()[..film().len() * 6 / 10];
            let began = Timestamp::parse("2026-11-23T23:00:00Z").unwrap();
            let mut link = CustodyEntry::FIRST.to_owned();
            let parts = [
                (film(), "complete", Some(2000)),
                (film(), "complete", Some(2000)),
                (cut, "damaged", None),
            ];
            // As they come: the last first.
            for (sequence, at) in [(1u64, 2usize), (2, 0), (3, 1)] {
                let (bytes, condition, duration_ms) = parts[at];
                let entry = CustodyEntry {
                    recorded_at: Some(began.plus(Duration::from_secs(5 * at as u64))),
                    clock_offset_ms: Some(0),
                    condition: condition.to_owned(),
                    duration_ms,
                    ..appliance.entry(sequence, &link, bytes)
                };
                link = hex::encode(gm::sm3(&canonical(&entry).unwrap()));
                keep(&site, &appliance, &entry, bytes).await;
            }
            round(&site.ctx, &shop, Lane::Any).await;
            let (_, clip) = admin.get("/admin/footage/clp_2").await;
            let clips = clip["docked"]["clips"].as_array().unwrap();
            let told: Vec<_> = clips
                .iter()
                .map(|c| {
                    (
                        c["id"].as_str().unwrap(),
                        c["began_at"].as_str().unwrap(),
                        c["state"].as_str().unwrap(),
                    )
                })
                .collect();
            assert_eq!(
                told,
                [
                    ("clp_2", "2026-11-23T23:00:00Z", "confirmed"),
                    ("clp_3", "2026-11-23T23:00:05Z", "confirmed"),
                    ("clp_1", "2026-11-23T23:00:10Z", "confirmed")
                ]
            );
            assert_eq!(
                (&clips[0]["playable_ms"], &clips[2]["duration_ms"]),
                (&json!(2000), &Value::Null)
            );
            let rescued = clips[2]["playable_ms"].as_u64().unwrap();
            assert!((500..2000).contains(&rescued), "{rescued}");
            for (clip, bytes) in [("clp_1", cut), ("clp_2", film()), ("clp_3", film())] {
                let (_, media) = admin.get(&format!("/admin/footage/{clip}/media")).await;
                assert_ne!(media["play"]["kind"], "none", "{media}");
                let (_, _, original) = ask(&admin, &format!("/admin/footage/{clip}/content"), None).await;
                assert_eq!(original, bytes, "{clip}");
            }
        },
    );
}
