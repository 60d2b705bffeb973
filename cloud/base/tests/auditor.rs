//! What the auditor does: searches, exports, signs checkpoints, has the chain verified.

use std::time::Duration;

use axum::http::StatusCode;
use base::audit::{self, Broken};
use base::{ApiError, Role};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use ward::{Browser, Site};

fn on_site<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    ward::on_both(OpenApiRouter::new, &[], story);
}

async fn act(site: &Site, action: &'static str, subject: &'static str, detail: Value) {
    site.ctx
        .store
        .write(&site.scope(), move |tx| {
            let detail = detail.clone();
            Box::pin(async move { audit::record(tx, action, subject, detail).await })
        })
        .await
        .unwrap_or_else(|e: store::StoreError| panic!("{e}"));
}

async fn auditor(site: &Site) -> Browser {
    site.hire("shen", &[Role::Auditor]).await;
    site.sign_in("shen").await
}

async fn found(auditor: &Browser, query: &str) -> (u64, Vec<String>) {
    let (status, page) = auditor.get(&format!("/admin/audit?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{query}: {page}");
    let items = page
        .get("items")
        .and_then(Value::as_array)
        .unwrap_or_else(|| panic!("a list"));
    let subject = |row: &Value| row.get("subject").and_then(Value::as_str).map(str::to_owned);
    let total = page
        .get("total")
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("a number"));
    (total, items.iter().filter_map(subject).collect())
}

#[test]
fn rows_are_found_by_every_condition_and_by_all_together() {
    on_site(|site| async move {
        site.clock.advance(Duration::from_secs(2 * 86_400));
        for (action, subject) in [
            ("visit.accept", "con_1"),
            ("visit.finish", "con_1"),
            ("visits", "con_2"),
        ] {
            act(&site, action, subject, json!({ "科室": "心内_科" })).await;
        }
        site.clock.advance(Duration::from_secs(86_400));
        act(&site, "payment.refund", "pay_1", json!({ "reason": "100% 退" })).await;
        site.clock.advance(Duration::from_secs(86_400));
        let auditor = auditor(&site).await;

        let one = |subject: &str| (1, vec![subject.to_owned()]);
        assert_eq!(found(&auditor, "subject=con_1").await.0, 2);
        assert_eq!(found(&auditor, "action=visit.accept").await, one("con_1"));
        assert_eq!(
            found(&auditor, "action=visit").await.0,
            2,
            "the group, and no action that only begins so"
        );
        assert_eq!(found(&auditor, "actor=system&action=payment").await, one("pay_1"));
        assert_eq!(found(&auditor, "q=finish").await, one("con_1"));
        assert_eq!(
            found(&auditor, "q=%E5%BF%83%E5%86%85_").await.0,
            3,
            "心内_, within the particulars"
        );
        assert_eq!(
            found(&auditor, "q=100%25").await,
            one("pay_1"),
            "a sign of LIKE stands for itself"
        );
        assert_eq!(found(&auditor, "q=1_0%25").await.0, 0);
        assert_eq!(found(&auditor, "from=2026-11-27&to=2026-11-27").await, one("pay_1"));
        assert_eq!(found(&auditor, "from=2026-11-26&to=2026-11-26").await.0, 3);
        assert_eq!(
            found(&auditor, "from=2026-11-26&subject=con_1&q=accept&to=2026-11-28").await,
            one("con_1")
        );
        assert_eq!(
            found(&auditor, "from=2026-11-26&to=2026-11-27&size=2&page=2").await,
            (4, vec!["con_1".into(), "con_1".into()])
        );
        // Who: by login name as well as by id.
        assert_eq!(found(&auditor, "actor=shen").await.0, 0);
        verified(&auditor).await;
        assert_eq!(found(&auditor, "actor=shen&action=audit.verify").await.0, 1);

        for wrong in ["from=yesterday", "from=2026-11-27&to=2026-11-26"] {
            let (status, body) = auditor.get(&format!("/admin/audit?{wrong}")).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {body}");
        }
    });
}

async fn text(browser: &Browser, path: &str) -> String {
    let token = format!(
        "Bearer {}",
        browser.token.as_deref().unwrap_or_else(|| panic!("signed in"))
    );
    let request = axum::http::Request::get(path).header("authorization", token);
    let request = request
        .body(axum::body::Body::empty())
        .unwrap_or_else(|e| panic!("{e}"));
    let reply = browser.send(request).await;
    assert_eq!(reply.status(), StatusCode::OK);
    let bytes = axum::body::to_bytes(reply.into_body(), usize::MAX)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_export_holds_what_was_found_and_is_itself_noted() {
    on_site(|site| async move {
        let auditor = auditor(&site).await;
        act(&site, "visit.accept", "con_1", json!({})).await;
        act(&site, "visit.accept", "con_2", json!({})).await;
        let csv = text(&auditor, "/admin/audit.csv?subject=con_2").await;
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 2, "{csv}");
        assert!(lines[0].contains("\"动作\"") && lines[1].contains("\"con_2\""), "{csv}");
        assert_eq!(found(&auditor, "action=audit.export").await.0, 1);
        let patient = site.patient("13800000001").await;
        for path in ["/admin/audit", "/admin/audit.csv", "/admin/audit/checkpoints"] {
            assert_eq!(patient.get(path).await.0, StatusCode::FORBIDDEN, "{path}");
        }
    });
}

async fn verified(auditor: &Browser) -> Value {
    let (status, body) = auditor.post("/admin/audit/verify", json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

#[test]
fn one_altered_row_is_found_and_named() {
    on_site(|site| async move {
        let auditor = auditor(&site).await;
        for subject in ["con_1", "con_2", "con_3"] {
            act(&site, "visit.accept", subject, json!({})).await;
        }
        let whole = verified(&auditor).await;
        assert_eq!(whole["whole"], true, "{whole}");
        assert_eq!(
            site.tamper("UPDATE base_audit SET actor = 'stf_other' WHERE subject = 'con_2'")
                .await,
            1
        );
        let (altered,): (i64,) = site.look("SELECT seq FROM base_audit WHERE subject = 'con_2'").await;
        let broken = verified(&auditor).await;
        assert_eq!(
            (&broken["whole"], &broken["broken_at"]),
            (&json!(false), &json!(altered))
        );
        assert!(
            broken["message"].as_str().unwrap().contains(&format!("第{altered}条")),
            "{broken}"
        );
    });
}

/// Whoever may write to the database computes all links anew, as well as the head.
async fn rewrite(site: &Site) {
    use sm3::{Digest, Sm3};
    site.tamper("UPDATE base_audit SET actor = 'stf_other' WHERE subject = 'con_2'")
        .await;
    site.ctx
        .store
        .write(&site.scope(), |tx| {
            Box::pin(async move {
                let rows: Vec<(i64, i64, String, String, String, String)> = tx
                    .all(
                        "SELECT seq, at, actor, action, subject, detail FROM base_audit ORDER BY seq",
                        &[],
                    )
                    .await?;
                let mut hash = "0".repeat(64);
                for (seq, at, actor, action, subject, detail) in rows {
                    let mut link = Sm3::new();
                    link.update(format!("{hash}\n{seq}\n{at}\n"));
                    for part in [actor, action, subject, detail] {
                        link.update(format!("{}:{part}\n", part.len()));
                    }
                    hash = hex::encode(link.finalize());
                    tx.exec("UPDATE base_audit SET hash = $2 WHERE seq = $1", &[&seq, &hash])
                        .await?;
                }
                tx.exec("UPDATE base_audit_head SET hash = $1", &[&hash]).await
            })
        })
        .await
        .unwrap_or_else(|e: store::StoreError| panic!("{e}"));
}

#[test]
fn a_chain_computed_anew_contradicts_its_checkpoint() {
    on_site(|site| async move {
        let auditor = auditor(&site).await;
        for subject in ["con_1", "con_2", "con_3"] {
            act(&site, "visit.accept", subject, json!({})).await;
        }
        rewrite(&site).await;
        assert_eq!(verified(&auditor).await["whole"], true, "links alone do not stop this");

        let (status, signed) = auditor.post("/admin/audit/checkpoints", json!({})).await;
        assert_eq!(status, StatusCode::OK, "{signed}");
        let at = signed["items"][0]["seq"].as_u64().unwrap();
        assert_eq!(verified(&auditor).await["checkpoints"], 1);
        site.tamper("UPDATE base_audit SET subject = 'con_2' WHERE subject = 'con_3'")
            .await;
        rewrite(&site).await;
        let verify = async || audit::verify(&site.ctx.store, &site.ctx.vault, &site.tenant).await;
        assert_eq!(verify().await, Err(Broken::Rewritten(at)));
        site.tamper("UPDATE base_audit_checkpoint SET hash = (SELECT hash FROM base_audit a WHERE a.seq = base_audit_checkpoint.seq)")
            .await;
        assert_eq!(verify().await, Err(Broken::Forged(at)));
        site.tamper("DELETE FROM base_audit_checkpoint").await;
        assert_eq!(verify().await, Err(Broken::NoCheckpoint(at)));
    });
}

#[test]
fn a_day_has_one_checkpoint_and_one_that_vouches_for_nothing_new_is_not_made() {
    on_site(|site| async move {
        let tick = async || {
            audit::tick(&site.ctx, &site.tenant)
                .await
                .unwrap_or_else(|e: ApiError| panic!("{e}"));
            let (count,): (i64,) = site.look("SELECT COUNT(*) FROM base_audit_checkpoint").await;
            count
        };
        assert_eq!(tick().await, 0, "nothing to sign for");
        act(&site, "visit.accept", "con_1", json!({})).await;
        assert_eq!((tick().await, tick().await), (1, 1));
        act(&site, "visit.accept", "con_2", json!({})).await;
        assert_eq!(tick().await, 1, "not before the day is over");
        site.clock.advance(Duration::from_secs(86_400));
        assert_eq!(tick().await, 2);
        site.clock.advance(Duration::from_secs(3 * 86_400));
        assert_eq!(tick().await, 2, "nothing has happened since");
        audit::verify(&site.ctx.store, &site.ctx.vault, &site.tenant)
            .await
            .unwrap();
    });
}
