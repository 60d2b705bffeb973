//! How long a voice message really is: what the sender says is only a claim.

use base::{ApiError, Ctx, Session, blobs};
use records::id::BlobId;

use super::{Draft, Kind, LONGEST_VOICE_S};
use crate::CareError;

/// Most bytes of a second of compressed sound that browsers record (384 kbit/s), and of what stands around it.
const A_SECOND: u64 = 48_000;
const AROUND: u64 = 64 * 1024;

fn chunk_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// Seconds of a WAV file by its header (RIFF/WAVE, chunks `fmt ` and `data`), rounded up. The slower of the two rates
/// that the header names counts, and a length of the data beyond the file ends with the file.
fn wav_seconds(bytes: &[u8]) -> Option<u64> {
    let mut at = 12_usize;
    let mut rate = None;
    loop {
        let kind = bytes.get(at..at.checked_add(4)?)?;
        let size = usize::try_from(chunk_u32(bytes, at + 4)?).ok()?;
        let body = at + 8;
        if kind == b"fmt " {
            let frame = bytes.get(body + 12..body + 14)?;
            let frame = u32::from(u16::from_le_bytes(frame.try_into().ok()?));
            let by_frames = u64::from(chunk_u32(bytes, body + 4)?) * u64::from(frame);
            rate = Some(by_frames.min(u64::from(chunk_u32(bytes, body + 8)?)));
        }
        if kind == b"data" {
            let left = bytes.len().saturating_sub(body);
            let data = if size == 0 { left } else { size.min(left) };
            return Some(u64::try_from(data).ok()?.div_ceil(rate.filter(|rate| *rate > 0)?));
        }
        // Chunks begin at even places.
        at = body.checked_add(size)?.checked_add(size % 2)?;
    }
}

fn too_long() -> ApiError {
    ApiError::field("duration_s", "语音应在1到60秒之间")
}

/// The draft with the length of its voice message as the file has it: of a WAV computed; other files are compressed and
/// only held against the size that so many seconds can have.
pub(super) async fn measured(ctx: &Ctx, who: &Session, mut draft: Draft) -> Result<Draft, ApiError> {
    let Some(id) = draft.blob_id.as_deref().filter(|_| draft.kind == Kind::Voice) else {
        return Ok(draft);
    };
    let missing = || ApiError::field("blob_id", "文件不存在，请重新上传");
    let id = BlobId::parse(id).ok_or_else(missing)?;
    let found = ctx
        .store
        .read(&who.scope(), move |tx| {
            let id = id.clone();
            Box::pin(async move { Ok::<_, CareError>(blobs::get(tx, &id).await?) })
        })
        .await?;
    let blob = found.filter(|b| b.owner == who.subject()).ok_or_else(missing)?;
    if blob.mime == "audio/wav" {
        let bytes = ctx.blobs.read(&who.tenant, &blob).await.map_err(ApiError::internal)?;
        let seconds = wav_seconds(&bytes).ok_or_else(|| ApiError::field("blob_id", "语音文件已损坏，请重新录制"))?;
        let seconds = u32::try_from(seconds).map_err(|_| too_long())?;
        if !(1..=LONGEST_VOICE_S).contains(&seconds) {
            return Err(too_long());
        }
        draft.duration_s = Some(seconds);
    } else if blob.size > u64::from(draft.duration_s.unwrap_or(0)) * A_SECOND + AROUND {
        return Err(ApiError::field("duration_s", "语音文件与时长不符，请重新录制"));
    }
    Ok(draft)
}

/// A WAV file of silence.
#[cfg(test)]
pub(super) fn wav(rate: u32, seconds: u32) -> Vec<u8> {
    let data = rate * seconds;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(b"\x01\0\x08\0data");
    file.extend(data.to_le_bytes());
    file.resize(file.len() + data as usize, 0x80);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_is_as_long_as_its_data() {
        assert_eq!(wav_seconds(&wav(8000, 10)), Some(10));
        let mut odd = wav(8000, 3);
        odd.truncate(odd.len() - 1);
        assert_eq!(wav_seconds(&odd), Some(3), "rounded up");
        let mut endless = wav(8000, 7);
        endless[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(wav_seconds(&endless), Some(7), "as streams are written");
        let mut fast = wav(8000, 50);
        fast[28..32].copy_from_slice(&800_000_u32.to_le_bytes());
        assert_eq!(
            wav_seconds(&fast),
            Some(50),
            "a rate of bytes that is not the rate of sound"
        );
        let mut still = wav(8000, 1);
        still[24..28].copy_from_slice(&[0; 4]);
        assert_eq!(wav_seconds(&still), None);
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic() {
        use proptest::prelude::*;
        proptest!(|(cut in 0_usize..80, at in 12_usize..60, byte: u8)| {
            let mut file = wav(16, 2);
            if let Some(b) = file.get_mut(at) { *b = byte; }
            file.truncate(cut);
            let _ = wav_seconds(&file);
        });
    }
}
