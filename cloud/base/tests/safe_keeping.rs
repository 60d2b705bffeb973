//! The audit chain, stored files, personal data at rest, queued text messages.

use std::time::Duration;

use axum::http::StatusCode;
use base::audit::{self, Broken, Whole};
use base::{ApiError, Role};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use ward::Site;

fn on_site<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    ward::on_both(OpenApiRouter::new, &[], story);
}

async fn act(site: &Site, subject: &'static str) {
    site.ctx
        .store
        .write(&site.scope(), move |tx| {
            Box::pin(async move { audit::record(tx, "visit.accept", subject, json!({"科室": "心内"})).await })
        })
        .await
        .unwrap_or_else(|e: store::StoreError| panic!("{e}"));
}

async fn verified(site: &Site) -> Result<Whole, Broken> {
    audit::verify(&site.ctx.store, &site.ctx.vault, &site.tenant).await
}

/// Rows: HZ-037
#[test]
fn the_audit_chain_shows_every_kind_of_tampering() {
    for (tampering, expected) in [
        (
            "UPDATE base_audit SET actor = 'stf_other' WHERE seq = 4",
            Broken::Link(4),
        ),
        ("UPDATE base_audit SET detail = '{}' WHERE seq = 1", Broken::Link(1)),
        ("DELETE FROM base_audit WHERE seq = 3", Broken::Missing(3)),
        (
            "DELETE FROM base_audit WHERE seq = 6",
            Broken::Cut { found: 5, head: 6 },
        ),
        ("UPDATE base_audit_head SET seq = 5", Broken::Cut { found: 6, head: 5 }),
        ("UPDATE base_audit SET at = at + 1 WHERE seq = 6", Broken::Link(6)),
    ] {
        let expected = &expected;
        on_site(|site| async move {
            for subject in ["con_1", "con_2", "con_3", "con_4", "con_5", "con_6"] {
                act(&site, subject).await;
            }
            assert_eq!(verified(&site).await.unwrap().rows, 6);
            assert_eq!(site.tamper(tampering).await, 1);
            assert_eq!(verified(&site).await.as_ref(), Err(expected), "{tampering}");
        });
    }
}

#[test]
fn acts_of_many_people_at_once_make_one_chain() {
    on_site(|site| async move {
        let acts: Vec<_> = (0..60)
            .map(|_| {
                let site = site.clone();
                tokio::spawn(async move { act(&site, "con_1").await })
            })
            .collect();
        for one in acts {
            one.await.unwrap();
        }
        assert_eq!(verified(&site).await.unwrap().rows, 60);
    });
}

const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 4, 0xff, 0xd9];

#[test]
fn a_photo_is_seen_by_its_owner_and_by_whom_it_was_granted_only() {
    on_site(|site| async move {
        let (owner, stranger) = (site.patient("13800000001").await, site.patient("13800000002").await);
        let doctor_id = site.hire("zhang", &[Role::Doctor]).await;
        let doctor = site.sign_in("zhang").await;
        let (status, body) = owner.upload("statement_photo", JPEG).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(
            (body["mime"].as_str(), body["size"].as_u64()),
            (Some("image/jpeg"), Some(10))
        );
        let id = body["id"].as_str().unwrap().to_owned();
        let path = format!("/blobs/{id}");
        assert_eq!(owner.get(&path).await.0, StatusCode::OK);
        assert_eq!(stranger.get(&path).await.0, StatusCode::NOT_FOUND);
        assert_eq!(doctor.get(&path).await.0, StatusCode::NOT_FOUND);

        let blob = records::id::BlobId::parse(&id).unwrap();
        site.ctx
            .store
            .write(&site.scope(), move |tx| {
                let (blob, doctor) = (blob.clone(), doctor_id.clone());
                Box::pin(async move { base::blobs::grant(tx, &blob, doctor.as_str()).await })
            })
            .await
            .unwrap_or_else(|e: store::StoreError| panic!("{e}"));
        assert_eq!(doctor.get(&path).await.0, StatusCode::OK);

        let (status, body) = owner.upload("statement_photo", b"<script>alert(1)</script>").await;
        assert_eq!(
            (status, body["field"].as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, Some("file"))
        );
        let mut large = JPEG.to_vec();
        large.resize(10 * 1024 * 1024 + 1, 0);
        assert_eq!(
            owner.upload("statement_photo", &large).await.0,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    });
}

#[test]
fn a_phone_number_is_nowhere_in_clear_in_the_database() {
    on_site(|site| async move {
        site.patient("13912345678").await;
        let (sealed, index, masked): (Vec<u8>, String, String) = site
            .look("SELECT phone_sealed, phone_index, phone_masked FROM base_account")
            .await;
        assert!(!String::from_utf8_lossy(&sealed).contains("13912345678"));
        assert!(!index.contains("12345678"));
        assert_eq!(masked, "139****5678");
        let (account,): (records::id::AccountId,) = site.look("SELECT id FROM base_account").await;
        let ctx = site.ctx.clone();
        let phone = site
            .ctx
            .store
            .read(&site.scope(), move |tx| {
                let (ctx, account) = (ctx.clone(), account.clone());
                Box::pin(async move { base::identity::phone_of(&ctx, tx, &account).await })
            })
            .await;
        assert_eq!(phone, Ok(Some("13912345678".to_owned())));
    });
}

#[test]
fn a_queued_message_is_sent_once_after_its_unit_is_committed() {
    on_site(|site| async move {
        for keep in [true, false] {
            let ctx = site.ctx.clone();
            let _ = site
                .ctx
                .store
                .write(&site.scope(), move |tx| {
                    let ctx = ctx.clone();
                    Box::pin(async move {
                        base::sms::enqueue(tx, &ctx, "13800000009", "visit_paid", &["李医生".to_owned()]).await?;
                        if keep { Ok(()) } else { Err(ApiError::not_found()) }
                    })
                })
                .await;
        }
        for _ in 0..3 {
            base::sms::tick(&site.ctx, &site.tenant).await.unwrap();
            site.clock.advance(Duration::from_secs(600));
        }
        let sent = site.sms.all();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (sent[0].template.as_str(), sent[0].params.as_slice()),
            ("visit_paid", &["李医生".to_owned()][..])
        );
    });
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    on_site(|site| async move {
        let admin = site.staff("wang", &[Role::Admin]).await;
        let (status, body) = admin.put("/admin/settings", json!({"care.nothing": {}})).await;
        assert_eq!(
            (status, &body["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &Value::from("care.nothing"))
        );
    });
}
