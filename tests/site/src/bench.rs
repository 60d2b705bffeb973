//! How the bench peers are started.

use std::path::Path;

use crate::demo;
use crate::ports::{Ports, Service};
use crate::processes::Program;
use crate::run::Layout;

/// Account of the SMS gateway.
pub(crate) const SMS_ID: &str = "AKIDbench";
/// Its secret.
pub(crate) const SMS_KEY: &str = "bench-secret-key";

fn peer(layout: &Layout, name: &'static str, arguments: &[String]) -> Program {
    Program {
        name,
        executable: layout.binary("hil"),
        arguments: arguments.to_vec(),
        environment: Vec::new(),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// The software TPM of the appliance.
pub(crate) fn tpm(layout: &Layout, ports: Ports) -> Program {
    let ports = format!(
        "--port {} --control {}",
        ports.of(Service::Tpm),
        ports.of(Service::TpmControl)
    );
    peer(
        layout,
        "tpm",
        &[
            words("tpm --state"),
            vec![path(&layout.data.join("tpm"))],
            words(&ports),
        ]
        .concat(),
    )
}

/// The hospital's information system.
pub(crate) fn his(layout: &Layout, ports: Ports, lock_minutes: u32) -> Program {
    let options = format!(
        "--soap {} --mllp {} --control {} --lock-minutes {lock_minutes} --callback-soap {}/services/platform",
        ports.of(Service::HisSoap),
        ports.of(Service::HisMllp),
        ports.of(Service::HisControl),
        ports.http(Service::CallbackSoap),
    );
    peer(
        layout,
        "his",
        &[
            words("his --db"),
            vec![path(&layout.data.join("bench/his.sqlite"))],
            words(&options),
        ]
        .concat(),
    )
}

/// The payment channel.
pub(crate) fn pay(layout: &Layout, ports: Ports) -> Program {
    let options = format!(
        "--api {} --control {} --public-base {}",
        ports.of(Service::Pay),
        ports.of(Service::PayControl),
        ports.http(Service::Pay)
    );
    let files = vec![
        "--keys".to_owned(),
        path(&layout.merchant_keys()),
        "--db".to_owned(),
        path(&layout.data.join("bench/pay.sqlite")),
    ];
    peer(layout, "pay", &[words("pay"), files, words(&options)].concat())
}

/// The SMS gateway and the demo phone. Writes the authenticator's secrets first.
pub(crate) fn sms(layout: &Layout, ports: Ports) -> std::io::Result<Program> {
    let totp = layout.data.join("bench/totp.json");
    std::fs::write(&totp, demo::totp_secrets().to_string())?;
    let options = format!(
        "--api {} --control {} --secret-id {SMS_ID} --secret-key {SMS_KEY} --totp",
        ports.of(Service::Sms),
        ports.of(Service::SmsControl)
    );
    Ok(peer(
        layout,
        "sms",
        &[words("sms"), words(&options), vec![path(&totp)]].concat(),
    ))
}

/// The receipt printer of the dispensing window.
pub(crate) fn printer(layout: &Layout, ports: Ports) -> Program {
    let options = format!(
        "printer --port {} --control {}",
        ports.of(Service::Printer),
        ports.of(Service::PrinterControl)
    );
    peer(layout, "printer", &words(&options))
}

/// The self-service terminal's printer: four inches, 300 dpi.
pub(crate) fn kiosk_printer(layout: &Layout, ports: Ports) -> Program {
    let options = format!(
        "printer --port {} --control {} --dots 1280 --dpi 300 --rows-per-s 1772 --language tspl",
        ports.of(Service::KioskPrinter),
        ports.of(Service::KioskPrinterControl)
    );
    peer(layout, "kiosk-printer", &words(&options))
}

/// Its card reader and scanner.
pub(crate) fn reader(layout: &Layout, ports: Ports) -> Program {
    let files = [
        "reader".to_owned(),
        "--card".to_owned(),
        path(&layout.data.join("edge/idcard.tty")),
        "--scanner".to_owned(),
        path(&layout.data.join("edge/scanner.tty")),
    ];
    let control = words(&format!("--control {}", ports.of(Service::ReaderControl)));
    peer(layout, "reader", &[files.to_vec(), control].concat())
}

/// A signature server of others.
pub(crate) fn outside(layout: &Layout, ports: Ports) -> Program {
    let options = format!(
        "--serve {} --control {}",
        ports.of(Service::Outside),
        ports.of(Service::OutsideControl)
    );
    let folder = vec![path(&layout.outside())];
    peer(
        layout,
        "outside",
        &[words("svs --dir"), folder, words(&options)].concat(),
    )
}

/// The line between appliance and cloud.
pub(crate) fn line(layout: &Layout, ports: Ports) -> Program {
    let options = format!(
        "proxy --control 127.0.0.1:{} --pair mqtt={}={} --pair https={}={}",
        ports.of(Service::LineControl),
        ports.of(Service::LineMqtt),
        ports.address(Service::Mqtt),
        ports.of(Service::LineHttps),
        ports.address(Service::EdgeHttps),
    );
    peer(layout, "line", &words(&options))
}

/// The recorder dock under QEMU.
pub(crate) fn dock(layout: &Layout, ports: Ports) -> Program {
    let files = [
        "--firmware".to_owned(),
        path(&layout.firmware()),
        "--tty".to_owned(),
        path(&layout.dock_tty()),
    ];
    peer(
        layout,
        "dock",
        &[
            words("dock"),
            files.to_vec(),
            words(&format!("--control {}", ports.of(Service::DockControl))),
        ]
        .concat(),
    )
}
