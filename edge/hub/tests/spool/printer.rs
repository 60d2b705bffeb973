//! A bench printer: it decodes what it gets by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hub::{Language, PrinterConfig};
use kit::process::{Process, binary};
use serde_json::Value;

pub(crate) struct Printer {
    process: Option<Process>,
    pub(crate) port: u16,
    control: u16,
    http: reqwest::Client,
    language: Language,
    width: u32,
    dpi: u32,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self::speaking(Language::Escpos, 576, 203)
    }

    pub(crate) fn speaking(language: Language, width: u32, dpi: u32) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let [port, control] = kit::ports::free_ports::<2>();
        Self {
            process: None,
            port,
            control,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            language,
            width,
            dpi,
        }
    }

    pub(crate) fn on(mut self) -> Self {
        self.switch_on();
        self
    }

    pub(crate) fn off(&mut self) {
        self.process = None;
    }

    pub(crate) fn switch_on(&mut self) {
        self.switch_on_with(&[]);
    }

    pub(crate) fn switch_on_without_paper(&mut self) {
        self.switch_on_with(&["--no-paper"]);
    }

    fn switch_on_with(&mut self, more: &[&str]) {
        let (port, control) = (self.port.to_string(), self.control.to_string());
        let (dots, dpi) = (self.width.to_string(), self.dpi.to_string());
        let language = serde_json::to_value(self.language).unwrap();
        let args = [
            "printer",
            "--port",
            &port,
            "--control",
            &control,
            "--dots",
            &dots,
            "--dpi",
            &dpi,
            "--language",
            language.as_str().unwrap(),
            "--rows-per-s",
            "4000",
        ];
        let args = [&args, more].concat();
        self.process = Some(Process::start(binary("hil"), &args).ready(Duration::from_secs(60)));
    }

    /// How the appliance's file would name it.
    pub(crate) fn config(&self, id: &str) -> PrinterConfig {
        PrinterConfig {
            id: id.into(),
            name: format!("{id} 打印机"),
            address: format!("127.0.0.1:{}", self.port),
            language: self.language,
            width: self.width,
            dpi: self.dpi,
            label_mm: None,
            gap_mm: 0,
            cutter: true,
            answer_s: 10,
            busy_s: 60,
            stand_in: None,
            stand_in_after_s: 0,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_slice(&self.bytes(path).await).unwrap()
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        self.http.get(url).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) {
        let url = format!("http://127.0.0.1:{}/control/{path}", self.control);
        let answer = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Slips that came out.
    pub(crate) async fn slips(&self) -> usize {
        self.get("jobs").await.as_array().unwrap().len()
    }

    /// What a scanner reads on the last slip, e.g. `QR-Code:8F3K`.
    pub(crate) async fn scanned(&self, folder: &Path) -> Vec<String> {
        scan(&self.picture(folder).await)
    }

    /// The last slip as a picture file.
    pub(crate) async fn picture(&self, folder: &Path) -> PathBuf {
        let end = Instant::now() + Duration::from_secs(60);
        let id = loop {
            let jobs = self.get("jobs").await;
            if let Some(last) = jobs.as_array().unwrap().last() {
                break last["id"].as_u64().unwrap();
            }
            assert!(Instant::now() < end, "no slip came out");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let file = folder.join(format!("slip-{}-{id}.png", self.port));
        std::fs::write(&file, self.bytes(&format!("jobs/{id}.png")).await).unwrap();
        if let Ok(kept) = std::env::var("YIQIAO_SLIPS") {
            let name = format!(
                "{}-{}-{}.png",
                serde_json::to_value(self.language).unwrap().as_str().unwrap(),
                self.width,
                self.port
            );
            std::fs::copy(&file, Path::new(&kept).join(name)).unwrap();
        }
        file
    }
}

/// zbar's reading of a picture: of the two symbols of our papers, for others are also seen in lines of text.
pub(crate) fn scan(picture: &Path) -> Vec<String> {
    let symbols = ["-Sdisable", "-Scode128.enable", "-Sqrcode.enable"];
    let out = Command::new("zbarimg")
        .arg("-q")
        .args(symbols)
        .arg(picture)
        .output()
        .unwrap();
    let mut found: Vec<String> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

/// Width, height and dots (`true` is black) of a 1-bit picture.
pub(crate) fn dots(picture: &Path) -> (usize, usize, Vec<bool>) {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(picture).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut bytes).unwrap();
    let (width, height) = (frame.width as usize, frame.height as usize);
    let dots = (0..width * height)
        .map(|at| bytes[at / width * frame.line_size + at % width / 8] & (0x80 >> (at % width % 8)) == 0)
        .collect();
    (width, height, dots)
}
