//! Jobs over a device file and over a serial port: pseudo-terminals with a script for a printer behind them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use printer::wire::{self, Address, Job, Patience};
use printer::{Language, Media, Outcome, Raster, Sheet, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_serial::{SerialPort, SerialStream};

/// A TSPL printer that swallows pictures and answers questions; what came is kept.
fn printer(status: u8) -> (SerialStream, String, Arc<Mutex<Vec<u8>>>) {
    let (mut head, slave) = SerialStream::pair().unwrap();
    let (path, kept) = (slave.name().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let took = Arc::clone(&kept);
    tokio::spawn(async move {
        let (mut at, mut buffer) = (0, [0u8; 1024]);
        while let Ok(n) = head.read(&mut buffer).await {
            let heard = {
                let mut took = took.lock().unwrap();
                took.extend_from_slice(&buffer[..n]);
                took.clone()
            };
            let answer: Vec<u8> = if heard.ends_with(b"\x1b!?") {
                vec![status]
            } else if heard.ends_with(b"\r\n") {
                let rest = String::from_utf8_lossy(&heard[at..]).into_owned();
                match rest.rsplit_once("OUT \"") {
                    Some((_, tag)) => format!("{}\r\n", tag.trim().trim_matches('"')).into_bytes(),
                    None => Vec::new(),
                }
            } else {
                Vec::new()
            };
            if !answer.is_empty() {
                at = heard.len();
                head.write_all(&answer).await.unwrap();
            }
        }
    });
    (slave, path, kept)
}

fn job() -> Job {
    let mut page = Raster::new(864, 600);
    page.fill(0, 0, 864, 2);
    Job {
        language: Language::Tspl,
        parts: Language::Tspl.encode(&[page], &Sheet::roll(Media::Mm108, 203)),
        tag: "YQ1C1".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_through_a_device_file_and_through_a_serial_port() {
    let patience = Patience {
        answer: Duration::from_secs(10),
        ..Patience::default()
    };
    for serial in [false, true] {
        let (_slave, path, kept) = printer(0);
        let address: Address = if serial {
            format!("serial:{path}?baud=115200").parse().unwrap()
        } else {
            format!("usb:{path}").parse().unwrap()
        };
        assert_eq!(
            wire::status(&address, Language::Tspl, patience).await,
            Some(Status::Ready)
        );
        let outcome = wire::print(&address, job(), patience, async || true).await;
        assert_eq!(outcome, Outcome::Printed, "{address}");
        let kept = kept.lock().unwrap().clone();
        let sent: Vec<u8> = job().parts.concat();
        assert!(
            kept.windows(sent.len()).any(|w| w == sent),
            "every byte of the job came through {address}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_or_out_of_paper_gets_nothing() {
    let patience = Patience::default();
    let nowhere: Address = "usb:/dev/usb/lp-none".parse().unwrap();
    assert_eq!(
        wire::print(&nowhere, job(), patience, async || true).await,
        Outcome::Unreachable
    );
    let (_slave, path, kept) = printer(0x04);
    let address: Address = format!("usb:{path}").parse().unwrap();
    let outcome = wire::print(&address, job(), patience, async || panic!("it was begun")).await;
    assert_eq!(outcome, Outcome::NotPrinted(Status::PaperOut));
    assert!(!kept.lock().unwrap().windows(6).any(|w| w == b"BITMAP"));
    let (_slave, path, kept) = printer(0);
    let address: Address = format!("usb:{path}").parse().unwrap();
    assert_eq!(
        wire::print(&address, job(), patience, async || false).await,
        Outcome::Withheld
    );
    assert!(!kept.lock().unwrap().windows(6).any(|w| w == b"BITMAP"));
}
