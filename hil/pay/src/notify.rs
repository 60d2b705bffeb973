//! Notifications: signed, encrypted, retried, and spoiled on command.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::params;
use serde_json::{Value, json};

use crate::channel::Channel;

const TICK: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(5);
const STALE_S: i64 = 600;

struct Notice {
    id: String,
    mchid: String,
    event: String,
    url: String,
    plain: String,
    tries: usize,
    created_at: String,
}

/// Sends due notifications for as long as the process lives.
pub(crate) async fn deliver(channel: Arc<Channel>) -> io::Result<()> {
    loop {
        tokio::time::sleep(TICK).await;
        if let Err(error) = channel.ripen_refunds() {
            tracing::error!("{error}");
        }
        let due = match due(&channel) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!("{error}");
                continue;
            }
        };
        for notice in due {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move { attempt(&channel, notice).await });
        }
    }
}

fn due(channel: &Channel) -> rusqlite::Result<Vec<Notice>> {
    let db = channel.db();
    let mut statement = db.prepare_cached(
        "UPDATE notice SET state = 'sending' WHERE state = 'due' AND due_ms <= ?1
         RETURNING id, mchid, event_type, url, plain, tries, created_at",
    )?;
    let rows = statement.query_map([channel.millis()], |r| {
        Ok(Notice {
            id: r.get(0)?,
            mchid: r.get(1)?,
            event: r.get(2)?,
            url: r.get(3)?,
            plain: r.get(4)?,
            tries: usize::try_from(r.get::<_, i64>(5)?).unwrap_or(0),
            created_at: r.get(6)?,
        })
    })?;
    rows.collect()
}

async fn attempt(channel: &Channel, notice: Notice) {
    let op = if notice.event.starts_with("REFUND") {
        "notify.refund"
    } else {
        "notify.transaction"
    };
    let fired = channel
        .faults
        .next_of(op, &channel.clock, |kind| kind.starts_with("notify_"));
    let kind = fired.as_ref().map_or("", |f| f.kind.as_str());
    let number = |name: &str, default: u64| fired.as_ref().map_or(default, |f| f.number(name, default));
    match kind {
        "notify_drop" => return settle(channel, &notice, "lost", "not sent", None),
        "notify_late" => {
            let wait = number("ms", 10_000);
            return settle(channel, &notice, "due", "late", Some(wait));
        }
        "notify_reorder" => {
            wait_for_another(channel, &notice, number("ms", 30_000)).await;
        }
        _ => {}
    }
    let answer = send(channel, &notice, kind).await;
    if kind == "notify_twice" {
        let _second = send(channel, &notice, "").await;
    }
    let said = match &answer {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    // A spoiled notification is followed by a proper one, as the real channel would retry.
    let spoiled = matches!(
        kind,
        "notify_forged" | "notify_tampered" | "notify_probe" | "notify_old"
    );
    if matches!(answer, Ok(200 | 204)) && !spoiled {
        return settle(channel, &notice, "accepted", &said, None);
    }
    match channel.retry_ms.get(notice.tries) {
        Some(wait) => settle(channel, &notice, "due", &said, Some(*wait)),
        None => settle(channel, &notice, "given_up", &said, None),
    }
}

/// Holds a notification until one made later was accepted, or the time is up.
async fn wait_for_another(channel: &Channel, notice: &Notice, ms: u64) {
    for _ in 0..ms / 100 {
        let later: i64 = channel
            .db()
            .query_row(
                "SELECT count(*) FROM notice WHERE state = 'accepted' AND rowid > (SELECT rowid FROM notice WHERE id = ?1)",
                [&notice.id],
                |r| r.get(0),
            )
            .unwrap_or(0);
        if later > 0 {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

fn settle(channel: &Channel, notice: &Notice, state: &str, said: &str, wait_ms: Option<u64>) {
    let wait = i64::try_from(wait_ms.unwrap_or(0)).unwrap_or(0);
    tracing::info!(notice.event = %notice.event, notice.state = state, notice.answer = said, "notification");
    let done = channel.db().execute(
        "UPDATE notice SET state = ?2, tries = tries + 1, due_ms = ?3, answers = answers || ?4 || ';' WHERE id = ?1",
        params![notice.id, state, channel.millis() + wait, said],
    );
    if let Err(error) = done {
        tracing::error!("{error}");
    }
}

async fn send(channel: &Channel, notice: &Notice, kind: &str) -> io::Result<u16> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let merchant = channel
        .keys
        .merchant(&notice.mchid)
        .ok_or_else(|| bad("unknown merchant"))?;
    let (original, summary) = if notice.event.starts_with("REFUND") {
        ("refund", "退款状态变更")
    } else {
        ("transaction", "支付成功")
    };
    let (mut ciphertext, nonce) = channel
        .keys
        .seal(merchant, &notice.plain, original)
        .ok_or_else(|| bad("cannot encrypt"))?;
    if kind == "notify_tampered" {
        let first = if ciphertext.starts_with('A') { "B" } else { "A" };
        ciphertext.replace_range(..1, first);
    }
    let body = json!({
        "id": notice.id, "create_time": notice.created_at, "resource_type": "encrypt-resource",
        "event_type": notice.event, "summary": summary,
        "resource": {"original_type": original, "algorithm": "AEAD_AES_256_GCM", "ciphertext": ciphertext,
            "associated_data": original, "nonce": nonce},
    })
    .to_string();
    let age = if kind == "notify_old" { STALE_S } else { 0 };
    let timestamp = (channel.clock.unix() - age).to_string();
    let sign_nonce = channel.keys.hex(16);
    let mut signature = channel
        .keys
        .sign(&format!("{timestamp}\n{sign_nonce}\n{body}\n"), kind == "notify_forged");
    if kind == "notify_probe" {
        signature = format!("WECHATPAY/SIGNTEST/{signature}");
    }
    let headers = [
        ("Content-Type", "application/json"),
        ("User-Agent", "Mozilla/4.0"),
        ("Wechatpay-Timestamp", timestamp.as_str()),
        ("Wechatpay-Nonce", &sign_nonce),
        ("Wechatpay-Signature", &signature),
        ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
        ("Wechatpay-Serial", &channel.keys.platform_id),
    ];
    let (status, _) = tokio::time::timeout(PATIENCE, rig::post(&notice.url, &headers, body.as_bytes()))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in 5 s"))??;
    Ok(status)
}

/// Sends a success notification for an order nobody paid, signed by a stranger.
pub(crate) async fn forge(channel: &Channel, mchid: &str, url: &str, plain: &Value) -> io::Result<u16> {
    let notice = Notice {
        id: channel.keys.hex(16),
        mchid: mchid.into(),
        event: "TRANSACTION.SUCCESS".into(),
        url: url.into(),
        plain: plain.to_string(),
        tries: 0,
        created_at: channel.moment(),
    };
    send(channel, &notice, "notify_forged").await
}
