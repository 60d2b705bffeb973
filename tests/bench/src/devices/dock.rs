//! The recorder dock: round trip of a command over the emulated line with the real firmware under QEMU, and what the
//! firmware takes of its chip.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::dock::Dock;
use anyhow::{Context, Result, ensure};

use crate::report::Row;
use crate::say;
use crate::timing::{Samples, rate};

/// Of the intended chip, STM32L4R5: a slot, and the memory for data.
const SLOT_KIB: f64 = 252.0;
const RAM_KIB: f64 = 192.0;

/// The images, beside the benchmark's own profile folder.
fn firmware(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where the benchmark lies")?;
    let target = own.parent().and_then(|p| p.parent()).context("the target folder")?;
    let image = target.join("firmware/thumbv7em-none-eabihf/release").join(name);
    ensure!(
        image.is_file(),
        "the firmware {name} is not built: `cargo xtask bench` builds it"
    );
    Ok(image)
}

pub(crate) async fn run(quick: bool) -> Result<Vec<Row>> {
    let mut rows = vec![round_trip(if quick { 50 } else { 5_000 }).await?];
    for name in ["board-stm32l4r5", "board-mps2"] {
        let (flash, ram) = bench_dock::footprint(&firmware(name)?)?;
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        rows.push(
            Row::new(format!("dock flash, {name}"), kib(flash), "KiB").beside("slot of the intended chip", SLOT_KIB),
        );
        let note = "static: data and zeroed memory, without the stack";
        rows.push(
            Row::new(format!("dock RAM, {name}"), kib(ram), "KiB")
                .beside("SRAM1 of the intended chip", RAM_KIB)
                .note(note),
        );
    }
    Ok(rows)
}

async fn round_trip(count: u32) -> Result<Row> {
    say("the dock's firmware under QEMU");
    let folder = tempfile::tempdir()?;
    let tty = folder.path().join("dock.tty");
    let arguments = bench_dock::Arguments {
        firmware: firmware("board-mps2")?,
        tty: tty.clone(),
        flash: None,
        control: kit::ports::free_port(),
    };
    let board = tokio::spawn(bench_dock::run(arguments));
    let (dock, mut driver) = Dock::open();
    let driver = tokio::spawn(async move { driver.run(&tty).await });
    let mut state = dock.state();
    let online = tokio::time::timeout(Duration::from_secs(60), state.wait_for(|s| s.online)).await;
    online
        .context("the board does not answer")?
        .context("the driver ended")?;
    for _ in 0..count / 10 {
        dock.bay(0).await?;
    }
    let (mut times, mut errors) = (Samples::default(), 0);
    let began = Instant::now();
    for n in 0..count {
        let one = Instant::now();
        match dock.bay((n % 10) as u8).await {
            Ok(_) => times.push(one.elapsed()),
            Err(_) => errors += 1,
        }
    }
    let value = rate(times.len(), began.elapsed());
    driver.abort();
    board.abort();
    Ok(Row::new("dock-round-trip", value, "commands/s")
        .times(&times)
        .errors(errors)
        .note("one after the other: driver, pseudo-terminal, emulated UART, Embassy loop and back; on the wire 115,200 baud add about 4 ms"))
}
