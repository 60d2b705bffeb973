//! Genuine files, what accidents make of them, and an independent judge.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use media::{Failure, Job, Made, Worker};
use tempfile::TempDir;

/// Longest that a job of a few seconds of film may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Made once for all tests.
fn genuine() -> &'static BTreeMap<&'static str, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<&'static str, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let raw = "video/x-raw,format=I420,width=320,height=180,framerate=30/1";
        let film = |pattern: &str| format!("videotestsrc num-buffers=150 pattern={pattern} ! {raw} ! timeoverlay");
        let h264 = "x264enc key-int-max=30 bframes=0 tune=zerolatency bitrate=400 ! h264parse";
        let tone = "audiotestsrc num-buffers=215 ! audio/x-raw,format=S16LE,rate=44100,channels=1";
        let aac = format!("{tone} ! audioconvert ! avenc_aac ! aacparse");
        let ball = film("ball");
        let lines = [
            ("good.mp4", format!("{ball} ! {h264} ! m. {aac} ! m. mp4mux name=m")),
            (
                "fragments.mp4",
                format!("{ball} ! {h264} ! m. {aac} ! m. mp4mux fragment-duration=500 name=m"),
            ),
            ("good.ts", format!("{ball} ! {h264} ! m. {aac} ! m. mpegtsmux name=m")),
            ("good.avi", format!("{ball} ! {h264} ! m. {tone} ! m. avimux name=m")),
            (
                "jpeg.avi",
                format!("{ball} ! videoconvert ! jpegenc ! m. {tone} ! m. avimux name=m"),
            ),
            (
                "h265.mp4",
                format!(
                    "videotestsrc num-buffers=90 pattern=ball ! {raw} ! x265enc key-int-max=30 speed-preset=ultrafast \
                     option-string=bframes=0 ! h265parse ! mp4mux name=m"
                ),
            ),
            (
                "black.mp4",
                format!("videotestsrc num-buffers=150 pattern=black ! {raw} ! {h264} ! mp4mux name=m"),
            ),
        ];
        let made = lines.map(|(name, line)| {
            let file = folder.path().join(name);
            let line = format!("-q {line} ! filesink location={}", file.display());
            let status = Command::new("gst-launch-1.0")
                .args(line.split_whitespace())
                .status()
                .unwrap();
            assert!(status.success(), "{name}");
            (name, std::fs::read(file).unwrap())
        });
        let mut made: BTreeMap<_, _> = made.into_iter().collect();
        // Another maker's: stereo, several units beside each other, its name in the first of them.
        let file = folder.path().join("stereo.mp4");
        let line = "-v error -f lavfi -i testsrc2=size=320x180:rate=25:duration=6 -f lavfi -i \
                    sine=frequency=440:sample_rate=48000:duration=6 -c:v libx264 -preset ultrafast -g 25 -bf 0 \
                    -pix_fmt yuv420p -c:a aac -ac 2 -b:a 96k";
        out(
            "ffmpeg",
            &line
                .split_whitespace()
                .chain([file.to_str().unwrap()])
                .collect::<Vec<_>>(),
        );
        made.insert("stereo.mp4", std::fs::read(file).unwrap());
        // Cheap recorders leave the Huffman tables out of each picture, as the standard has them: here they are remarks.
        let mut bare = made["jpeg.avi"].clone();
        for at in 0..bare.len() - 1 {
            if bare[at..at + 2] == [0xff, 0xc4] {
                bare[at + 1] = 0xfe;
            }
        }
        made.insert("bare.avi", bare);
        made
    })
}

/// A folder with files, and a worker.
pub(crate) struct Bench {
    folder: TempDir,
}

/// What was seen of a worker at work.
pub(crate) struct Seen {
    pub(crate) status: String,
    pub(crate) limits: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        genuine()[name].clone()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.write(name, &self.bytes(name))
    }

    /// A stand-in for the worker.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, format!("#!/bin/sh\n{text}\n").as_bytes());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker::new(env!("CARGO_BIN_EXE_media-worker"))
    }

    pub(crate) fn run(
        &self,
        worker: &Worker,
        job: Job,
        file: &Path,
        patience: Duration,
    ) -> Result<(Made, Option<PathBuf>), Failure> {
        let scratch = tempfile::tempdir_in(self.folder.path()).unwrap();
        let name = job.output();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made = runtime.block_on(worker.run((job, file), scratch.path(), patience, |_| {}))?;
        let scratch = scratch.keep();
        Ok((made, name.map(|name| scratch.join(name))))
    }

    pub(crate) fn try_make(&self, job: Job, file: &Path) -> Result<(Made, Option<PathBuf>), Failure> {
        self.run(&self.worker(), job, file, PATIENCE)
    }

    pub(crate) fn make(&self, job: Job, file: &Path) -> (Made, Option<PathBuf>) {
        let told = format!("{job:?} of {}", file.display());
        self.try_make(job, file)
            .unwrap_or_else(|failure| panic!("{told}: {failure}"))
    }

    pub(crate) fn refused(&self, job: Job, file: &Path) -> Failure {
        self.try_make(job, file).unwrap_err()
    }

    /// Looks at the worker while it works on a job; on as many jobs as it takes, for it may be done before anybody looks.
    pub(crate) fn watched(&self, job: &Job, file: &Path) -> Seen {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let scratch = tempfile::tempdir_in(self.folder.path()).unwrap();
            let (worker, job) = (self.worker(), job.clone());
            let seen = std::thread::scope(|threads| {
                let place = scratch.path();
                let working = threads.spawn(move || {
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime
                        .block_on(worker.run((job, file), place, PATIENCE, |_| {}))
                        .unwrap();
                });
                while !working.is_finished() {
                    if let Some(seen) = look(place) {
                        return Some(seen);
                    }
                    std::thread::yield_now();
                }
                None
            });
            if let Some(seen) = seen {
                return seen;
            }
        }
        panic!("no confined worker was seen");
    }
}

/// The worker whose working folder this is, once its file is being written.
fn look(scratch: &Path) -> Option<Seen> {
    if !scratch.join("made.mp4").exists() {
        return None;
    }
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let process = entry.path();
        if std::fs::read_link(process.join("cwd")).ok()? != scratch {
            return None;
        }
        Some(Seen {
            status: std::fs::read_to_string(process.join("status")).ok()?,
            limits: std::fs::read_to_string(process.join("limits")).ok()?,
        })
    })
}

pub(crate) fn out(program: &str, arguments: &[&str]) -> Vec<u8> {
    let run = Command::new(program).args(arguments).output().unwrap();
    assert!(
        run.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    run.stdout
}

/// The coded pictures, in order: digests of their slices without what containers put before and between them.
pub(crate) fn coded(file: &Path) -> Vec<u64> {
    let file = file.to_str().unwrap();
    let codec = out(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
            file,
        ],
    );
    let h265 = String::from_utf8(codec).unwrap().starts_with("hevc");
    let form = if h265 { "hevc" } else { "h264" };
    let stream = out(
        "ffmpeg",
        &[
            "-v", "fatal", "-i", file, "-map", "0:v:0", "-c", "copy", "-f", form, "-",
        ],
    );
    let begins: Vec<usize> = stream
        .windows(3)
        .enumerate()
        .filter(|(_, w)| *w == [0, 0, 1])
        .map(|(i, _)| i + 3)
        .collect();
    let ends = begins.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    let mut pictures: Vec<DefaultHasher> = Vec::new();
    for (begin, end) in begins.iter().zip(ends) {
        // A longer start code is one with a zero before it.
        let unit = &stream[*begin..end];
        let unit = &unit[..unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1)];
        let (slice, first) = if h265 {
            (unit[0] >> 1 & 0x3f < 32, unit[2] & 0x80 != 0)
        } else {
            ((1..=5).contains(&(unit[0] & 0x1f)), unit[1] & 0x80 != 0)
        };
        if slice && first {
            pictures.push(DefaultHasher::new());
        }
        if let Some(picture) = pictures.last_mut().filter(|_| slice) {
            picture.write(unit);
        }
    }
    pictures.iter().map(Hasher::finish).collect()
}

/// A picture at a time, in shades of grey, of this size.
pub(crate) fn decoded(file: &Path, at: f64, size: &str) -> Vec<u8> {
    let (at, scale) = (at.to_string(), format!("scale={size}"));
    let mut arguments = vec![
        "-v",
        "error",
        "-i",
        file.to_str().unwrap(),
        "-frames:v",
        "1",
        "-vf",
        &scale,
    ];
    arguments.extend(["-pix_fmt", "gray", "-f", "rawvideo", "-"]);
    // A still picture has no time to go to.
    if file.extension().is_some_and(|e| e == "mp4") {
        arguments.splice(2..2, ["-ss", &at]);
    }
    out("ffmpeg", &arguments)
}

/// What a battery swap makes of a file: its name, the file, and how many pictures lay whole in what is left.
pub(crate) fn mended(bench: &Bench, good: &Path) -> Vec<(&'static str, PathBuf, usize)> {
    let bytes = std::fs::read(good).unwrap();
    let cut = bytes.len() * 6 / 10;
    let text = out(
        "ffprobe",
        &[
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "packet=pos,size",
            "-of",
            "csv=p=0",
            good.to_str().unwrap(),
        ],
    );
    let text = String::from_utf8(text).unwrap();
    let name = good.file_name().unwrap().to_str().unwrap();
    // A packet of a transport stream lies in pieces between others: it is whole where the next one begins.
    let begins: Vec<(usize, usize)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',').filter_map(|f| f.parse().ok());
            let (size, at) = (fields.next()?, fields.next()?);
            Some((at, size))
        })
        .collect();
    let whole = if name.ends_with("ts") {
        begins.iter().skip(1).filter(|(at, _)| *at <= cut).count()
    } else {
        begins.iter().filter(|(at, size)| at + size <= cut).count()
    };
    let part = &bytes[..cut];
    let zeros = [part, &vec![0; 300_000]].concat();
    let mut garbage = part.to_vec();
    let (middle, mut noise) = (cut / 2, 0x2545_f491_4f6c_dd1du64);
    for byte in &mut garbage[middle..middle + 1500] {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        *byte = noise as u8;
    }
    [("cut", part.to_vec()), ("zeros", zeros), ("garbage", garbage)]
        .into_iter()
        .map(|(kind, bytes)| (kind, bench.write(&format!("{kind}-{name}"), &bytes), whole))
        .collect()
}
