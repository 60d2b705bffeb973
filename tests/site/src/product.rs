//! How the product is configured and started: cloud, signature server, appliance with its enrolment.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::bench::{SMS_ID, SMS_KEY};
use crate::demo;
use crate::ports::{Ports, Service};
use crate::processes::{Processes, Program};
use crate::run::{Layout, Options};

/// Configures and starts everything of the product; an appliance that is not enrolled yet is taken in first.
pub(crate) async fn start(processes: &mut Processes, layout: &Layout, options: &Options, his: &Value) -> Result<()> {
    let ports = options.ports;
    let cloud = write_cloud(layout, options)?;
    let signd = write_signd(layout, options)?;
    let edge = write_edge(layout, options)?;
    (options.progress)("signature server");
    processes.start(daemon(layout, "signd", &signd, &[])).await?;
    take_in(layout, options, &cloud, &edge, his).await?;
    if options.mosquitto {
        (options.progress)("broker: Mosquitto");
        processes.start(mosquitto(layout, &cloud, ports).await?).await?;
    }
    (options.progress)("cloud");
    processes.start(daemon(layout, "cloud", &cloud, &["serve"])).await?;
    (options.progress)("appliance: enrolment and line");
    processes.start(daemon(layout, "edge", &edge, &["run"])).await
}

fn daemon(layout: &Layout, name: &'static str, config: &Path, command: &[&str]) -> Program {
    let mut arguments: Vec<String> = command.iter().map(|c| (*c).to_owned()).collect();
    arguments.extend(["--config".to_owned(), config.display().to_string()]);
    Program {
        name,
        executable: layout.binary(name),
        arguments,
        environment: Vec::new(),
    }
}

fn write_cloud(layout: &Layout, options: &Options) -> Result<std::path::PathBuf> {
    let (ports, dir) = (options.ports, layout.data.join("cloud"));
    std::fs::write(dir.join("sms.key"), SMS_KEY)?;
    let store = match &options.postgres {
        Some(url) => format!("postgres = {url:?}"),
        None => "sqlite = \"cloud.sqlite\"".to_owned(),
    };
    let (embedded, broker) = if options.mosquitto {
        let address = format!("mqtts://localhost:{}", ports.of(Service::Mqtt));
        (
            String::new(),
            format!("\n[broker]\nkind = \"external\"\naddress = {address:?}\n"),
        )
    } else {
        (format!("mqtt = {:?}\n", ports.address(Service::Mqtt)), String::new())
    };
    let text = format!(
        r#"[web]
listen = "{web}"
public_url = "http://localhost:{port}"
apps = {apps:?}
secure_cookies = false

[store]
{store}

[files]
folder = "files"

[vault]
key_file = "vault.key"

[edge]
https = "{https}"
{embedded}names = ["localhost", "127.0.0.1"]
ca = "ca"
tls = "{tls}"
{broker}
[video]
listen = "{media}"
[video.turn]
listen = "{turn}"

[sms]
base_url = "{sms}"
app_id = "1400006666"
signature = "永州示范医院"
secret_id = "{SMS_ID}"
secret_key_file = "sms.key"
[sms.templates]
login_code = "100001"
visit_registered = "100002"
visit_stopped = "100003"
"#,
        tls = options.tls,
        web = ports.address(Service::Web),
        port = ports.of(Service::Web),
        apps = layout.project.join("cloud/web/dist"),
        https = ports.address(Service::EdgeHttps),
        sms = ports.http(Service::Sms),
        media = ports.address(Service::Media),
        turn = ports.address(Service::Turn),
    );
    write(dir.join("cloud.toml"), &text)
}

/// Mosquitto with the papers and the access list that `cloud` writes for it.
async fn mosquitto(layout: &Layout, cloud: &Path, ports: Ports) -> Result<Program> {
    let folder = layout.data.join("broker");
    let (port, out) = (ports.of(Service::Mqtt).to_string(), text(&folder));
    let names = ["--name", "localhost", "--name", "127.0.0.1"];
    let arguments = [
        "broker",
        "papers",
        "--config",
        &text(cloud),
        "--port",
        &port,
        "--out",
        &out,
    ];
    run(layout, "cloud", &[&arguments[..], &names].concat()).await?;
    // Mosquitto gives up root for a user who cannot read our folder.
    let config = folder.join("mosquitto.conf");
    let user = Command::new("id").arg("-un").output().await.context("own name")?;
    let own = format!(
        "user {}\n{}",
        String::from_utf8_lossy(&user.stdout).trim(),
        std::fs::read_to_string(&config)?
    );
    std::fs::write(&config, own)?;
    Ok(Program {
        name: "mosquitto",
        executable: "sh".into(),
        // It says nothing of its own when it listens; those who come too early come again.
        arguments: vec![
            "-c".to_owned(),
            format!(
                "echo ready; PATH=$PATH:/usr/sbin exec mosquitto -c '{}'",
                config.display()
            ),
        ],
        environment: Vec::new(),
    })
}

fn write_signd(layout: &Layout, options: &Options) -> Result<std::path::PathBuf> {
    let (ports, dir) = (options.ports, layout.data.join("signd"));
    let outside = if options.outside {
        outside(layout, ports)
    } else {
        String::new()
    };
    let text = format!(
        r#"state_dir = {dir:?}
socket = {socket:?}
tpm = "swtpm:host=127.0.0.1,port={tpm}"

[service]
listen = "{service}"
tls = "classic-first"

[manage]
listen = "{manage}"
web = {web:?}
{outside}"#,
        socket = dir.join("signd.sock"),
        tpm = ports.of(Service::Tpm),
        service = ports.address(Service::Sign),
        manage = ports.address(Service::SignManage),
        web = layout.project.join("cloud/web/dist/signd"),
    );
    write(dir.join("signd.toml"), &text)
}

/// The outside server in the settings of `signd`, with a contract as hospitals have them.
fn outside(layout: &Layout, ports: Ports) -> String {
    let file = |name: &str| layout.outside().join(name);
    format!(
        r#"
[[outside]]
name = "province"
url = "https://{address}/svs"
roots = {roots:?}
tls_roots = {tls:?}
client_certificate = {certificate:?}
client_key = {key:?}
[outside.contract]
begins = "2026-01-01"
signers = 200
signatures = 40000
"#,
        address = ports.address(Service::Outside),
        roots = file("ca.pem"),
        tls = file("tls-ca.pem"),
        certificate = file("client.pem"),
        key = file("client.key"),
    )
}

fn write_edge(layout: &Layout, options: &Options) -> Result<std::path::PathBuf> {
    let (ports, tls) = (options.ports, options.tls);
    let dir = layout.data.join("edge");
    let text = format!(
        r#"state_dir = {dir:?}
serial = "YQ26110001"
tpm = "swtpm:host=127.0.0.1,port={tpm}"
signd_socket = {signd:?}

[cloud]
broker = "mqtts://localhost:{mqtt}"
fleet = "https://localhost:{https}"
root = {root:?}
tls = "{tls}"

[his]
profile = {profile:?}
[his.addresses]
his = "{his}/services/InternetHospital"
engine = "{engine}"

[callbacks]
soap = "{soap}"
mllp = "{mllp}"

[console]
listen = "{console}"

[slip_font]
path = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"
index = 2

[[printers]]
id = "dispensing_window"
name = "门诊药房发药窗口"
address = "{printer}"
width = 864

[[printers]]
id = "kiosk"
name = "门诊大厅自助机"
address = "{kiosk_printer}"
language = "tspl"
width = 1280
dpi = 300

[kiosk]
listen = "{kiosk}"
hospital = "永州示范医院"
printer = "kiosk"
card_reader = {card:?}
scanner = {scanner:?}
patient_app = "http://localhost:{web}/patient"

[dock]
port = {dock:?}

[docking.plan]
keep_free_bytes = 0
[[docking.sources]]
kind = "folder"
path = {recorders:?}
settle_s = 0
"#,
        recorders = layout.data.join("bench/recorders"),
        card = dir.join("idcard.tty"),
        scanner = dir.join("scanner.tty"),
        kiosk = ports.address(Service::Kiosk),
        kiosk_printer = ports.address(Service::KioskPrinter),
        web = ports.of(Service::Web),
        dock = layout.dock_tty(),
        tpm = ports.of(Service::Tpm),
        signd = layout.data.join("signd/signd.sock"),
        mqtt = ports.of(Service::LineMqtt),
        https = ports.of(Service::LineHttps),
        root = layout.data.join(if tls.has_sm() {
            "cloud/ca/roots.pem"
        } else {
            "cloud/ca/root.pem"
        }),
        profile = layout.project.join("edge/his/profiles/bench.toml"),
        his = ports.http(Service::HisSoap),
        engine = ports.address(Service::HisMllp),
        soap = ports.address(Service::CallbackSoap),
        mllp = ports.address(Service::CallbackMllp),
        console = ports.address(Service::Console),
        printer = ports.address(Service::Printer),
    );
    write(dir.join("edge.toml"), &text)
}

/// Writes a configuration, unless it stands there already as it should.
fn write(path: std::path::PathBuf, text: &str) -> Result<std::path::PathBuf> {
    if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(path)
}

/// Factory record of the appliance → cloud, hospital → cloud with the appliance's claim code; once.
async fn take_in(layout: &Layout, options: &Options, cloud: &Path, edge: &Path, his: &Value) -> Result<()> {
    let done = layout.data.join("cloud/taken-in");
    if done.exists() {
        return Ok(());
    }
    (options.progress)("taking the appliance and the hospital in");
    let record = layout.data.join("edge/factory.json");
    let label = run(
        layout,
        "edge",
        &["factory-record", "--config", &text(edge), "--out", &text(&record)],
    )
    .await?;
    let label: Value = serde_json::from_str(&label).with_context(|| format!("the appliance's label: {label}"))?;
    let code = label["claim_code"].as_str().context("claim code on the label")?;
    run(layout, "cloud", &["migrate", "--config", &text(cloud)]).await?;
    run(
        layout,
        "cloud",
        &["appliance", "import", "--config", &text(cloud), &text(&record)],
    )
    .await?;
    let file = layout.data.join("cloud/hospital.json");
    let hospital = demo::onboarding(his, &layout.merchant_keys(), options.ports, code)?;
    std::fs::write(&file, serde_json::to_vec_pretty(&hospital)?)?;
    run(
        layout,
        "cloud",
        &["tenant", "import", "--config", &text(cloud), &text(&file)],
    )
    .await?;
    std::fs::write(done, "")?;
    Ok(())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn run(layout: &Layout, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(layout.binary(program))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {} failed:\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
