//! Shapes of jobs and answers between the server and `media-worker`, JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the worker is to do, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The file; opened for reading only.
    pub input: PathBuf,
    /// What to do with it.
    pub job: Job,
    /// Address space in bytes.
    pub memory: u64,
    /// Seconds of processor time.
    pub cpu_s: u64,
    /// Largest file written, in bytes.
    pub output: u64,
    /// Milliseconds until the first picture must be there.
    pub settle_ms: u64,
    /// Threads of an encoder.
    pub threads: u32,
}

/// A job. Those that make a file write it as [`Job::output`] into the working folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Job {
    /// What is in it.
    Probe,
    /// One picture near the beginning, JPEG, 640 wide.
    Poster,
    /// Key frames as tiles of one JPEG.
    Strip {
        /// At most so many.
        tiles: u32,
    },
    /// H.264 as it is, audio as AAC, in fragmented MP4.
    Remux,
    /// What can be rescued of a damaged file, pictures as they are, in fragmented MP4.
    Salvage {
        /// Good files of the same recorder: they say how it codes pictures and sound. Somebody may have set it otherwise
        /// meanwhile: the one that explains most of the file counts.
        references: Vec<PathBuf>,
    },
    /// 640x360 at 15 a second.
    Proxy,
    /// With the watermark burnt in.
    Export(Export),
}

/// What an export shows, and of which part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Hospital and nurse, plain text.
    pub text: String,
    /// Corrected begin of the recording: microseconds since 1970, UTC.
    pub began_us: i64,
    /// Seconds that the shown time is ahead of UTC.
    pub utc_offset_s: i32,
    /// Begin of the part, milliseconds from the recording's begin.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: Option<u64>,
    /// File with the letters.
    pub font: PathBuf,
}

impl Job {
    /// Name of the file it makes.
    pub const fn output(&self) -> Option<&'static str> {
        match self {
            Self::Probe => None,
            Self::Poster | Self::Strip { .. } => Some("made.jpg"),
            Self::Remux | Self::Salvage { .. } | Self::Proxy | Self::Export(_) => Some("made.mp4"),
        }
    }

    /// Type of that file.
    pub const fn mime(&self) -> &'static str {
        match self {
            Self::Probe => "application/json",
            Self::Poster | Self::Strip { .. } => "image/jpeg",
            Self::Remux | Self::Salvage { .. } | Self::Proxy | Self::Export(_) => "video/mp4",
        }
    }
}

/// A line from the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Percent done.
    Progress(u8),
    /// The end: it is made.
    Made(Made),
    /// The end: it could not be made.
    Failed {
        /// Why.
        reason: Reason,
        /// For operators.
        detail: String,
    },
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Made {
    /// Of [`Job::Probe`].
    Facts(Facts),
    /// Of [`Job::Poster`].
    Poster {
        /// Its time in the recording, milliseconds.
        at_ms: u64,
    },
    /// Of [`Job::Strip`].
    Strip(Strip),
    /// Of [`Job::Remux`], [`Job::Proxy`] and [`Job::Export`].
    Film {
        /// Pictures in it.
        frames: u64,
        /// Its length in milliseconds.
        duration_ms: u64,
    },
    /// Of [`Job::Salvage`].
    Rescued(Rescued),
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `mp4`, `ts`, `avi`, `wav`, `jpeg`, `other`.
    pub container: String,
    /// `complete`, `truncated`, `damaged`, `unknown`.
    pub condition: String,
    /// Length in milliseconds, counted from the container itself.
    pub duration_ms: Option<u64>,
    /// Begin by the recorder's clock, seconds since 1970.
    pub created_at: Option<i64>,
    /// Its pictures.
    pub video: Option<Video>,
    /// Its sound.
    pub audio: Option<Audio>,
}

impl Facts {
    /// Whether a browser plays the file as it is.
    pub fn plays(&self) -> bool {
        let sound = self.audio.as_ref().is_none_or(|a| a.codec == "aac");
        self.whole() && self.container == "mp4" && sound && self.is("h264")
    }

    /// Whether the file ended as its recorder wanted.
    pub fn whole(&self) -> bool {
        self.condition == "complete"
    }

    /// Whether its pictures are coded so.
    pub fn is(&self, codec: &str) -> bool {
        self.video.as_ref().is_some_and(|v| v.codec == codec)
    }
}

/// How pictures are coded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// `h264`, `h265`, `mjpeg`, or the type as GStreamer names it.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures in 1000 seconds, where it is told.
    pub rate_milli: Option<u64>,
}

/// How sound is coded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// `aac`, `mp3`, `pcm`, `alaw`, `mulaw`, or the type as GStreamer names it.
    pub codec: String,
    /// Channels.
    pub channels: u32,
    /// Samples a second.
    pub rate: u32,
}

/// Key frames on one picture: tile `i` lies in column `i % columns`, row `i / columns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strip {
    /// Tiles in a row.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Pixels of a tile.
    pub width: u32,
    /// Pixels of a tile.
    pub height: u32,
    /// Time of each tile in the recording, milliseconds.
    pub times_ms: Vec<u64>,
}

/// What was rescued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescued {
    /// Pictures.
    pub frames: u64,
    /// Length in milliseconds.
    pub duration_ms: u64,
    /// Whether there is sound.
    pub sound: bool,
    /// How its pictures are coded.
    pub codec: String,
    /// Bytes that hold something (what lies before a tail of zeros).
    pub bytes: u64,
    /// Bytes among them that could not be used.
    pub unused: u64,
}

/// Why something could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not a file that is understood, or nothing in it that can be shown.
    Unreadable,
    /// No browser plays these pictures as they are.
    NeedsProxy,
    /// The first picture did not come in time: the server is busy, or the file is such that it never comes.
    Late,
    /// Nothing is left in it.
    NothingLeft,
    /// No good file of the same recorder says how the pictures are coded.
    NoReference,
    /// The part lies outside the recording.
    OutsideRecording,
    /// Letters for the watermark are missing.
    NoLetters,
    /// Software is missing on the server.
    Tools,
    /// The server's own disk or limits.
    Machine,
}

impl Reason {
    /// For people, and what to do.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unreadable => "文件内容无法识别，请下载原始文件查看",
            Self::NeedsProxy => "浏览器不能直接播放这种编码，请生成预览",
            Self::Late => "未能在规定时间内取得画面；服务器可能繁忙，请稍后重试，原始文件已完整保留",
            Self::NothingLeft => "文件中没有可恢复的画面，原始文件已完整保留",
            Self::NoReference => "缺少同一记录仪的完好文件作参照，待有完好文件后自动重试，原始文件已完整保留",
            Self::OutsideRecording => "所选时段不在录像之内，请重新选择",
            Self::NoLetters => "服务器缺少中文字体，无法叠加水印，请联系运维人员安装",
            Self::Tools => "服务器缺少视音频处理组件，请联系运维人员安装",
            Self::Machine => "服务器资源不足，未能处理，请稍后重试",
        }
    }
}
