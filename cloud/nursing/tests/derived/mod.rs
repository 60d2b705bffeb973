//! What is derived of footage, over the real router and the real worker, on both databases.

mod kept;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use base::Role;
use media::Worker;
use nursing::footage::derived::{Lane, Workshop, round};
use records::Timestamp;
use records::document::canonical;
use records::footage::CustodyEntry;
use serde_json::{Value, json};
use ward::{Browser, Site};

use crate::{Appliance, TABLES, send};

const LETTERS: &str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc";

/// Two seconds of film, as a recorder makes it.
fn film() -> &'static [u8] {
    static FILM: OnceLock<Vec<u8>> = OnceLock::new();
    FILM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.mp4");
        let line = format!(
            "-q videotestsrc num-buffers=60 pattern=ball ! video/x-raw,format=I420,width=320,height=180,framerate=30/1 ! \
             x264enc key-int-max=15 bframes=0 tune=zerolatency ! h264parse ! mp4mux ! filesink location={}",
            file.display()
        );
        let made = Command::new("gst-launch-1.0").args(line.split_whitespace()).status().unwrap();
        assert!(made.success());
        std::fs::read(file).unwrap()
    })
}

/// Frames of a film, counted by somebody else.
fn frames(bytes: &[u8]) -> usize {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let counted = Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
        .arg(file.path())
        .output()
        .unwrap();
    String::from_utf8_lossy(&counted.stdout).trim().parse().unwrap_or(0)
}

fn shop(worker: Worker, folder: &Path) -> Workshop {
    let now = Timestamp::parse("2026-11-24T00:30:00Z").unwrap();
    Workshop::open(worker, LETTERS.into(), folder.to_owned(), now).unwrap()
}

/// Runs a story with a workshop.
fn story<F: Future<Output = ()>>(worker: Worker, told: impl Fn(Site, Workshop) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(worker, folder.path());
    ward::on_both(
        || nursing::routes().layer(Extension(shop.clone())),
        TABLES,
        |site| told(site, shop.clone()),
    );
}

/// A kept clip.
async fn keep(site: &Site, appliance: &Appliance, entry: &CustodyEntry, bytes: &[u8]) {
    site.ctx.blobs.write(&site.tenant, "test", bytes).await.unwrap();
    send(site, &appliance.sealed(entry, "appliance", "edg_1/7"))
        .await
        .unwrap();
}

async fn ask(browser: &Browser, path: &str, range: Option<&str>) -> (StatusCode, HeaderMap, Bytes) {
    let bearer = format!("Bearer {}", browser.token().unwrap());
    let mut request = Request::get(path).header(header::AUTHORIZATION, bearer);
    if let Some(range) = range {
        request = request.header(header::RANGE, range);
    }
    let response = browser.send(request.body(Body::empty()).unwrap()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    (
        status,
        headers,
        to_bytes(response.into_body(), usize::MAX).await.unwrap(),
    )
}

fn object<'a>(media: &'a Value, kind: &str) -> &'a Value {
    let objects = media["objects"].as_array().unwrap();
    objects.iter().find(|o| o["kind"] == kind).unwrap_or(&Value::Null)
}

/// From the confirmed clip to pictures, a playable copy, a proxy and an export; each look is in the audit, the original is
/// untouched.
#[test]
fn a_confirmed_clip_gets_pictures_and_a_playable_copy_and_what_people_ask_for() {
    story(
        Worker::new(kit::process::binary("media-worker")),
        |site, shop| async move {
            let appliance = Appliance::new(&site);
            let admin = site.staff("admin", &[Role::Admin]).await;
            let entry = appliance.entry(1, CustodyEntry::FIRST, film());
            keep(&site, &appliance, &entry, film()).await;
            let (status, media) = admin.get("/admin/footage/clp_1/media").await;
            assert_eq!(
                (status, &media["play"]["kind"]),
                (StatusCode::OK, &json!("none")),
                "{media}"
            );
            assert_eq!(media["play"]["text"], "正在识别文件，请稍候");
            assert_eq!(media["tools"]["ready"], true, "{media}");
            let (status, refused) = admin.post("/admin/footage/clp_1/proxy", json!({})).await;
            assert_eq!(
                (status, &refused["code"]),
                (StatusCode::CONFLICT, &json!("media_state"))
            );

            round(&site.ctx, &shop, Lane::Quick).await;
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            for kind in ["probe", "poster", "strip", "remux"] {
                let made = object(&media, kind);
                assert_eq!(
                    (&made["state"], &made["derived_from"]),
                    (&json!("made"), &json!(entry.sha256)),
                    "{media}"
                );
                assert!(made["tools"].as_str().unwrap().contains("GStreamer"), "{made}");
            }
            assert_eq!(media["objects"].as_array().unwrap().len(), 4, "{media}");
            assert_eq!(media["probe"]["video"]["codec"], "h264");
            assert_eq!(
                (&media["play"]["kind"], &media["hospital"], &media["nurse"]),
                (&json!("remux"), &json!("市第一人民医院"), &json!("李护士"))
            );
            assert_eq!(
                (&media["poster"], &media["began_at"]),
                (&json!(true), &json!("2026-11-23T23:31:00Z"))
            );
            assert!(media["strip"]["times_ms"].as_array().unwrap().len() >= 3, "{media}");
            for path in ["poster", "strip"] {
                let (status, headers, bytes) = ask(&admin, &format!("/admin/footage/clp_1/{path}"), None).await;
                assert_eq!(
                    (status, &headers[header::CONTENT_TYPE]),
                    (StatusCode::OK, &"image/jpeg".parse().unwrap())
                );
                assert!(bytes.starts_with(&[0xff, 0xd8, 0xff]));
            }
            let play = format!(
                "/admin/footage/clp_1/play?object={}",
                media["play"]["object"].as_str().unwrap()
            );
            let (status, headers, head) = ask(&admin, &play, Some("bytes=0-7")).await;
            assert_eq!((status, &head[4..]), (StatusCode::PARTIAL_CONTENT, b"ftyp".as_slice()));
            assert_eq!(headers[header::CONTENT_TYPE], "video/mp4");
            assert_eq!(headers[header::CACHE_CONTROL], "private, no-store");
            let (_, _, whole) = ask(&admin, "/admin/footage/clp_1/play", None).await;
            assert_eq!(frames(&whole), 60);

            // A small one, asked for twice, made once.
            for _ in 0..2 {
                let (status, asked) = admin.post("/admin/footage/clp_1/proxy", json!({})).await;
                assert_eq!(
                    (status, &asked["state"]),
                    (StatusCode::ACCEPTED, &json!("wanted")),
                    "{asked}"
                );
            }
            let exports = "/admin/footage/clp_1/exports";
            for (wrong, field) in [
                (json!({ "reason": " " }), "reason"),
                (json!({ "reason": "投诉取证", "from_ms": 9000 }), "from_ms"),
                (json!({ "reason": "投诉取证", "from_ms": 500, "to_ms": 500 }), "to_ms"),
            ] {
                let (status, refused) = admin.post(exports, wrong).await;
                assert_eq!(
                    (status, &refused["field"]),
                    (StatusCode::UNPROCESSABLE_ENTITY, &json!(field))
                );
            }
            let part = json!({ "reason": "投诉取证", "from_ms": 500, "to_ms": 1500 });
            let (status, asked) = admin.post(exports, part).await;
            assert_eq!(
                (status, &asked["kind"]),
                (StatusCode::CREATED, &json!("export")),
                "{asked}"
            );
            let fetch = format!("{exports}/{}", asked["id"].as_str().unwrap());
            assert_eq!(ask(&admin, &fetch, None).await.0, StatusCode::NOT_FOUND);
            // What takes long is not taken by the lane of what everybody gets.
            round(&site.ctx, &shop, Lane::Quick).await;
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            assert_eq!(object(&media, "proxy")["state"], "wanted");
            round(&site.ctx, &shop, Lane::Any).await;
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            assert_eq!(object(&media, "proxy")["state"], "made", "{media}");
            let made = object(&media, "export");
            assert_eq!(
                (&made["state"], &made["reason"]),
                (&json!("made"), &json!("投诉取证")),
                "{media}"
            );
            let (status, headers, export) = ask(&admin, &fetch, None).await;
            assert_eq!((status, frames(&export)), (StatusCode::OK, 30));
            let named = headers[header::CONTENT_DISPOSITION].to_str().unwrap();
            assert!(
                named.starts_with("attachment; filename=\"ZFY0001_") && named.ends_with("_export.mp4\""),
                "{named}"
            );

            // The original is as it was, every look is written down, and the chain of the audit holds.
            let (_, proven) = admin.post("/admin/footage/clp_1/verification", json!({})).await;
            assert_eq!(proven["proof"]["content"], true);
            let (looks,): (u64,) = site
            .look("SELECT COUNT(*) FROM base_audit WHERE action IN ('footage.picture', 'footage.play', 'footage.export_fetch')")
            .await;
            assert_eq!(looks, 5);
            let (asked,): (u64,) = site
                .look("SELECT COUNT(*) FROM base_audit WHERE action IN ('footage.proxy', 'footage.export')")
                .await;
            assert_eq!(asked, 2);
            let (made,): (u64,) = site
                .look("SELECT COUNT(*) FROM base_audit WHERE action = 'footage.derive'")
                .await;
            assert_eq!(made, 5);
            let doctor = site.staff("doctor", &[Role::Doctor]).await;
            for path in ["media", "poster", "strip", "play"] {
                let (status, _) = doctor.get(&format!("/admin/footage/clp_1/{path}")).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
            }
            for path in [
                "clp_9/media",
                "clp_9/play",
                "clp_1/play?object=drv_none",
                "clp_1/exports/drv_none",
            ] {
                let (status, _) = admin.get(&format!("/admin/footage/{path}")).await;
                assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            }
        },
    );
}

/// The battery went while it recorded: nothing says how the pictures are coded, until a good file of that recorder comes.
#[test]
fn a_damaged_clip_is_rescued_once_a_good_one_of_its_recorder_is_there() {
    story(
        Worker::new(kit::process::binary("media-worker")),
        |site, shop| async move {
            let appliance = Appliance::new(&site);
            let admin = site.staff("admin", &[Role::Admin]).await;
            // What the index and the parameter sets among the pictures would tell is gone.
            let mut cut = film()[..film().len() * 6 / 10].to_vec();
            while let Some(at) = cut
                .windows(5)
                .position(|w| w[0] == 0 && w[1] == 0 && w[2] == 0 && w[4] == 0x67)
            {
                cut[at + 4] = 0;
            }
            let mut damaged = appliance.entry(1, CustodyEntry::FIRST, &cut);
            damaged.condition = "damaged".to_owned();
            keep(&site, &appliance, &damaged, &cut).await;
            round(&site.ctx, &shop, Lane::Any).await;
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            assert_eq!(object(&media, "salvage")["state"], "failed", "{media}");
            assert!(
                media["play"]["text"].as_str().unwrap().contains("同一记录仪的完好文件"),
                "{media}"
            );

            let link = hex::encode(gm::sm3(&canonical(&damaged).unwrap()));
            keep(&site, &appliance, &appliance.entry(2, &link, film()), film()).await;
            round(&site.ctx, &shop, Lane::Any).await;
            let (_, media) = admin.get("/admin/footage/clp_1/media").await;
            assert_eq!(
                (&object(&media, "salvage")["state"], &media["play"]["kind"]),
                (&json!("made"), &json!("salvage")),
                "{media}"
            );
            assert!(
                object(&media, "salvage")["note"]
                    .as_str()
                    .unwrap()
                    .starts_with("已恢复"),
                "{media}"
            );
            assert_eq!(
                (&media["poster"], &object(&media, "strip")["state"]),
                (&json!(true), &json!("made")),
                "{media}"
            );
            let (_, _, rescued) = ask(&admin, "/admin/footage/clp_1/play", None).await;
            assert!(frames(&rescued) > 20);
            let (_, _, original) = ask(&admin, "/admin/footage/clp_1/content", None).await;
            assert_eq!(original, cut);
        },
    );
}

/// Without the worker everything else goes on, and it is said; a worker that hangs is killed, tried three times and told.
#[test]
fn a_missing_or_hanging_worker_is_told_and_the_original_stays_at_hand() {
    story(Worker::new("/nowhere/media-worker"), |site, shop| async move {
        let appliance = Appliance::new(&site);
        let admin = site.staff("admin", &[Role::Admin]).await;
        keep(
            &site,
            &appliance,
            &appliance.entry(1, CustodyEntry::FIRST, film()),
            film(),
        )
        .await;
        round(&site.ctx, &shop, Lane::Any).await;
        let (_, media) = admin.get("/admin/footage/clp_1/media").await;
        assert_eq!(
            (&media["tools"]["ready"], &object(&media, "probe")["state"]),
            (&json!(false), &json!("wanted"))
        );
        assert!(
            media["play"]["text"].as_str().unwrap().contains("media-worker"),
            "{media}"
        );
        let (status, _, original) = ask(&admin, "/admin/footage/clp_1/content", None).await;
        assert_eq!((status, original.as_ref()), (StatusCode::OK, film()));
    });
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("worker");
    let script = "#!/bin/sh\nif [ \"$1\" = --tools ]; then echo '{\"versions\":\"stand-in\",\"missing\":[]}'; else kill -STOP $$; fi\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let worker = Worker {
        // A job; what it runs on is told all the same.
        longest: Duration::from_secs(1),
        ..Worker::new(program)
    };
    story(worker, |site, shop| async move {
        let appliance = Appliance::new(&site);
        site.staff("admin", &[Role::Admin]).await;
        keep(
            &site,
            &appliance,
            &appliance.entry(1, CustodyEntry::FIRST, film()),
            film(),
        )
        .await;
        for state in ["wanted", "wanted", "failed"] {
            round(&site.ctx, &shop, Lane::Any).await;
            let (now,): (String,) = site.look("SELECT state FROM nursing_derived").await;
            assert_eq!(now, state);
            site.clock.advance(Duration::from_secs(60));
        }
        let admin = site.sign_in("admin").await;
        let (_, media) = admin.get("/admin/footage/clp_1/media").await;
        assert!(
            object(&media, "probe")["note"].as_str().unwrap().contains("超时"),
            "{media}"
        );
        // A person may have it tried again.
        let (_, media) = admin.post("/admin/footage/clp_1/media", json!({})).await;
        assert_eq!(object(&media, "probe")["state"], "wanted", "{media}");
    });
}
