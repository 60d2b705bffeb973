//! The consulting room, on both databases.

use base::blobs;
use serde_json::json;

use super::voice::wav;
use crate::testing::on_each;

/// A picture of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\0\0\0\x0aIDAT\x78\x9c\x63\xf8\x0f\0\x01\x01\x01\0\xb1\x38\xf6\x14\0\0\0\0IEND\xae\x42\x60\x82";
const VOICE: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0";

#[test]
fn patient_and_doctor_write_pictures_and_voice_in_one_numbered_order() {
    on_each(|day| async move {
        let visit = day.in_progress().await;
        let room = format!("/visits/{visit}/messages");
        let text = json!({ "client_id": "c1", "kind": "text", "text": " 头晕三天 " });
        let sent = day.post(&day.patient, &room, text.clone()).await.ok();
        assert_eq!((&sent["from"], &sent["text"]), (&json!("patient"), &json!("头晕三天")));
        let again = day.post(&day.patient, &room, text).await.ok();
        assert_eq!(again["seq"], sent["seq"], "a repeat adds nothing");
        let photo = blobs::put(&day.ctx, &day.patient.scope(), "message", PNG)
            .await
            .unwrap();
        let photo = json!({ "client_id": "c2", "kind": "image", "blob_id": photo.id.as_str() });
        day.post(&day.patient, &room, photo).await.ok();
        let voice = blobs::put(&day.ctx, &day.doctor.scope(), "message", VOICE)
            .await
            .unwrap();
        let voice = json!({ "client_id": "c1", "kind": "voice", "blob_id": voice.id.as_str(), "duration_s": 7 });
        day.post(&day.doctor, &room, voice).await.ok();
        let said = day.get(&day.doctor, &room).await.ok();
        let kinds: Vec<_> = said
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["system", "system", "text", "image", "voice"]);
        let numbers: Vec<_> = said
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        let newer = day.get(&day.patient, &format!("{room}?after=4")).await.ok();
        assert_eq!(
            (newer.as_array().unwrap().len(), &newer[0]["duration_s"]),
            (1, &json!(7))
        );
    });
}

#[test]
fn a_file_in_the_room_can_be_read_by_the_other_side_only() {
    on_each(|day| async move {
        let visit = day.in_progress().await;
        let photo = blobs::put(&day.ctx, &day.patient.scope(), "message", PNG)
            .await
            .unwrap();
        let body = json!({ "client_id": "c1", "kind": "image", "blob_id": photo.id.as_str() });
        day.post(&day.patient, &format!("/visits/{visit}/messages"), body)
            .await
            .ok();
        for (who, may) in [(&day.doctor, true), (&day.stranger, false)] {
            let (session, id) = (who.clone(), photo.id.clone());
            let found = day
                .write(move |tx| {
                    let (session, id) = (session.clone(), id.clone());
                    Box::pin(async move { Ok(blobs::readable(tx, &session, &id).await?.is_some()) })
                })
                .await;
            assert_eq!(found, may);
        }
    });
}

#[test]
fn a_bad_message_is_refused_with_words() {
    on_each(|day| async move {
        let visit = day.in_progress().await;
        let room = format!("/visits/{visit}/messages");
        let foreign = blobs::put(&day.ctx, &day.stranger.scope(), "message", PNG)
            .await
            .unwrap();
        let photo = blobs::put(&day.ctx, &day.patient.scope(), "message", PNG)
            .await
            .unwrap();
        let cases = [
            (json!({ "client_id": "c", "kind": "text", "text": "  " }), "text"),
            (
                json!({ "client_id": "c", "kind": "text", "text": "长".repeat(2001) }),
                "text",
            ),
            (
                json!({ "client_id": "'; --", "kind": "text", "text": "好" }),
                "client_id",
            ),
            (json!({ "client_id": "c", "kind": "image" }), "blob_id"),
            (
                json!({ "client_id": "c", "kind": "image", "blob_id": foreign.id.as_str() }),
                "blob_id",
            ),
            (
                json!({ "client_id": "c", "kind": "voice", "blob_id": photo.id.as_str(), "duration_s": 5 }),
                "blob_id",
            ),
            (
                json!({ "client_id": "c", "kind": "voice", "blob_id": photo.id.as_str(), "duration_s": 61 }),
                "duration_s",
            ),
        ];
        for (body, field) in cases {
            let answer = day.post(&day.patient, &room, body).await;
            assert_eq!((answer.status.as_u16(), &answer.body["field"]), (422, &json!(field)));
        }
        let said = day.get(&day.patient, &room).await.ok();
        assert_eq!(said.as_array().unwrap().len(), 2, "only the system spoke");
    });
}

#[test]
fn the_room_is_open_only_while_the_visit_goes_on() {
    on_each(|day| async move {
        let visit = day.checked_in().await;
        let room = format!("/visits/{visit}/messages");
        let text = json!({ "client_id": "c1", "kind": "text", "text": "在吗" });
        let early = day.post(&day.patient, &room, text.clone()).await.refused();
        assert_eq!(early, (409, "visit_state".to_owned()));
        day.post(&day.doctor, &format!("/doctor/visits/{visit}/accept"), json!({}))
            .await
            .ok();
        day.post(&day.patient, &room, text.clone()).await.ok();
        day.ended_by_doctor(&visit).await;
        let late = json!({ "client_id": "c2", "kind": "text", "text": "还有问题" });
        assert_eq!(day.post(&day.patient, &room, late).await.refused().0, 409);
        assert_eq!(day.get(&day.stranger, &room).await.refused().0, 404);
        assert_eq!(day.get(&day.admin, &room).await.refused().0, 404);
    });
}

#[test]
fn a_voice_message_is_as_long_as_its_file_not_as_its_sender_says() {
    on_each(|day| async move {
        let visit = day.in_progress().await;
        let room = format!("/visits/{visit}/messages");
        let store = async |bytes: Vec<u8>| {
            let blob = blobs::put(&day.ctx, &day.patient.scope(), "message", &bytes)
                .await
                .unwrap();
            blob.id.as_str().to_owned()
        };
        let voice = |client: &str, blob: &str, seconds: u32| json!({ "client_id": client, "kind": "voice", "blob_id": blob, "duration_s": seconds });
        let long = store(wav(100, 700)).await;
        let refused = day.post(&day.patient, &room, voice("v1", &long, 10)).await;
        assert_eq!(
            (
                refused.status.as_u16(),
                &refused.body["field"],
                &refused.body["message"]
            ),
            (422, &json!("duration_s"), &json!("语音应在1到60秒之间"))
        );
        let short = store(wav(8000, 12)).await;
        let sent = day.post(&day.patient, &room, voice("v2", &short, 3)).await.ok();
        assert_eq!(sent["duration_s"], 12);
        let mut heavy = VOICE.to_vec();
        heavy.resize(1 << 20, 0);
        let heavy = store(heavy).await;
        let refused = day.post(&day.patient, &room, voice("v3", &heavy, 10)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["field"]),
            (422, &json!("duration_s"))
        );
        day.post(&day.patient, &room, voice("v4", &heavy, 60)).await.ok();
        let broken = store(b"RIFF\x04\0\0\0WAVE".to_vec()).await;
        let refused = day.post(&day.patient, &room, voice("v5", &broken, 10)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["field"]),
            (422, &json!("blob_id"))
        );
    });
}
