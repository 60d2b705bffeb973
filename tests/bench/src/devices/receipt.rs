//! A receipt: laid out, encoded, sent to a printer that prints at once, and confirmed by it; beside `python-escpos` making
//! and sending the same one. Then the paper's own time, which everything else has to stay below.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kit::process::{Process, binary};
use printer::wire::{self, Patience};
use printer::{Font, Language, Media, Outcome, Sheet, Slip, Template};
use records::paper::PaperKind;
use serde_json::{Value, json};

use crate::report::Row;
use crate::say;
use crate::timing::Samples;

const FONT: &str = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc";

fn slip() -> Result<Slip> {
    Ok(Slip::read(&serde_json::to_value(PaperKind::PickupSlip.sample())?, 1)?)
}

fn template() -> Result<Template> {
    let kind = PaperKind::PickupSlip;
    let labels: Vec<&str> = kind.labels().iter().map(|(l, _)| *l).collect();
    Ok(Template::parse(
        &serde_json::from_str(kind.template())?,
        &labels,
        kind.required(),
    )?)
}

struct Bench {
    _process: Process,
    port: u16,
}

fn printer(language: Language, sheet: &Sheet) -> Result<Bench> {
    let [port, control] = kit::ports::free_ports::<2>();
    let word = serde_json::to_value(language)?;
    let (port_word, control, dots, dpi) = (
        port.to_string(),
        control.to_string(),
        sheet.width.to_string(),
        sheet.dpi.to_string(),
    );
    let args = [
        "printer",
        "--port",
        &port_word,
        "--control",
        &control,
        "--dots",
        &dots,
        "--dpi",
        &dpi,
        "--language",
        word.as_str().unwrap_or("escpos"),
        "--rows-per-s",
        "0",
    ];
    let process = Process::start(binary("hil"), &args).ready(Duration::from_secs(30));
    Ok(Bench {
        _process: process,
        port,
    })
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 5 } else { 300 };
    let (slip, template) = (slip()?, template()?);
    let mut rows = Vec::new();
    for (name, language, media, dpi) in [
        ("receipt-203", Language::Escpos, Media::Mm80, 203),
        ("receipt-203-tspl-108mm", Language::Tspl, Media::Mm108, 203),
        ("receipt-300-tspl-108mm", Language::Tspl, Media::Mm108, 300),
        ("receipt-300-zpl-108mm", Language::Zpl, Media::Mm108, 300),
    ] {
        say(name);
        let sheet = Sheet::roll(media, dpi);
        let bench = printer(language, &sheet)?;
        let address = format!("127.0.0.1:{}", bench.port).parse()?;
        let (mut whole, mut made, mut bytes, mut high) = (Samples::default(), Samples::default(), 0, 0);
        for n in 0..rounds + 3 {
            let began = Instant::now();
            // As the appliance does it: the font is read for each slip and let go.
            let font = Font::load(FONT.as_ref(), 2)?;
            let pages = template.render(&slip, &font, &sheet);
            let parts = language.encode(&pages, &sheet);
            let laid_out = began.elapsed();
            (bytes, high) = (
                parts.iter().map(Vec::len).sum(),
                pages.iter().map(printer::Raster::height).sum(),
            );
            let job = wire::Job {
                language,
                parts,
                tag: format!("B{n}"),
            };
            let outcome = wire::print(&address, job, Patience::default(), async || true).await;
            ensure!(outcome == Outcome::Printed, "{outcome:?}");
            if n >= 3 {
                made.push(laid_out);
                whole.push(began.elapsed());
            }
        }
        let length = f64::from(high) * 25.4 / f64::from(dpi);
        let paper = length / 150.0 * 1_000.0;
        let p99 = whole.percentile(0.99).context("no samples")?;
        let note = format!(
            "laid out and encoded in {:.1} ms (p99 {:.1}), {bytes} bytes, {high} rows: {paper:.0} ms of paper at 150 mm/s",
            made.percentile(0.5).unwrap_or(0.0),
            made.percentile(0.99).unwrap_or(0.0)
        );
        let row = Row::new(name, p99, "ms p99").times(&whole);
        let row = if name == "receipt-203" {
            match python(&slip, &sheet, bench.port, rounds).await? {
                Some(peer) => row
                    .beside(
                        "python-escpos 3, Chinese drawn by Pillow",
                        peer.percentile(0.99).context("no samples")?,
                    )
                    .peer_times(&peer),
                None => row,
            }
        } else {
            row.beside("the paper's own time at 150 mm/s", paper)
        };
        rows.push(row.note(note));
        // The slowest of a hundred slips still has to be faster than the paper.
        let speed = length / p99 * 1_000.0;
        rows.push(
            Row::new(format!("{name}, paper we can feed"), speed, "mm/s")
                .beside("the fastest printer of the tender", 150.0)
                .samples(whole.len())
                .note("length of the slip by the p99 of laying it out, sending it and having it confirmed"),
        );
    }
    Ok(rows)
}

/// The peer's times for the whole receipt. `None` where it is not installed (`YIQIAO_PYTHON` names an interpreter that has
/// it).
async fn python(slip: &Slip, sheet: &Sheet, port: u16, rounds: usize) -> Result<Option<Samples>> {
    let items: Vec<Value> = slip
        .items
        .iter()
        .map(|i| json!([i.name, format!("{}  {}", i.quantity, i.amount), i.note]))
        .collect();
    let asked = json!({"width": sheet.width, "header": slip.header, "title": slip.title, "fields": slip.fields, "items": items,
        "total": slip.total, "qr": slip.qr, "footer": slip.footer});
    let interpreter = std::env::var("YIQIAO_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let out = tokio::process::Command::new(interpreter)
        .args([
            "-c",
            include_str!("receipt.py"),
            &asked.to_string(),
            "127.0.0.1",
            &port.to_string(),
            &rounds.to_string(),
            FONT,
        ])
        .output()
        .await;
    let Ok(out) = out else { return Ok(None) };
    // The peer warns on its standard output, too; the answer is the last line.
    let said = String::from_utf8_lossy(&out.stdout);
    let answer: Value = serde_json::from_str(said.lines().last().unwrap_or_default())
        .with_context(|| format!("python-escpos: {said} {}", String::from_utf8_lossy(&out.stderr)))?;
    let Some(times) = answer.get("times").and_then(Value::as_array) else {
        say("python-escpos is not installed");
        return Ok(None);
    };
    let mut samples = Samples::default();
    for time in times.iter().filter_map(|t| t.get(1)).filter_map(Value::as_f64) {
        samples.push(Duration::from_secs_f64(time));
    }
    Ok(Some(samples))
}
