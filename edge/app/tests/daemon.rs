//! The daemon as a process, with a TPM, a hospital's system and a printer, while the cloud is away: the hospital is
//! served all the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kit::process::{Process, binary};
use kit::swtpm::SoftTpm;

const ROOT: &str = include_str!("root.pem");

struct Appliance {
    dir: tempfile::TempDir,
    config: PathBuf,
    console: u16,
    soap: u16,
    http: reqwest::Client,
}

impl Appliance {
    /// An appliance that was taken in earlier; nobody listens where its cloud should be.
    fn new(tpm: &str, his: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let [console, soap, mllp, cloud, fleet, printer] = kit::ports::free_ports::<6>();
        let state = dir.path().join("state");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(dir.path().join("root.pem"), ROOT).unwrap();
        std::fs::write(
            state.join("identity.json"),
            r#"{"edge":"edg_0001","hospital":"hos_binhe"}"#,
        )
        .unwrap();
        let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../his/profiles/bench.toml");
        let text = format!(
            r#"
state_dir = {state:?}
serial = "YQ26110001"
tpm = "{tpm}"
signd_socket = "/nonexistent/signd.sock"
[cloud]
broker = "mqtts://127.0.0.1:{cloud}"
fleet = "https://127.0.0.1:{fleet}"
root = {root:?}
[his]
profile = {profile:?}
[his.addresses]
his = "{his}"
[callbacks]
soap = "127.0.0.1:{soap}"
mllp = "127.0.0.1:{mllp}"
[console]
listen = "127.0.0.1:{console}"
[dock]
port = {board:?}
[[printers]]
id = "dispensing_window"
name = "发药窗口"
address = "127.0.0.1:{printer}"
"#,
            root = dir.path().join("root.pem"),
            board = dir.path().join("no-board"),
        );
        let config = dir.path().join("edge.toml");
        std::fs::write(&config, text).unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            dir,
            config,
            console,
            soap,
            http,
        }
    }

    fn run(&self) -> Process {
        let edge = env!("CARGO_BIN_EXE_edge");
        Process::start(edge, &["run", "--config", self.config.to_str().unwrap()]).ready(Duration::from_secs(60))
    }

    async fn page(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.console);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn page_with(&self, path: &str, words: &str) -> String {
        self.page_with_all(path, &[words]).await
    }

    /// Waits for a page that says all this; what it says comes from tasks of their own.
    async fn page_with_all(&self, path: &str, words: &[&str]) -> String {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let page = self.page(path).await;
            if words.iter().all(|words| page.contains(words)) {
                return page;
            }
            assert!(Instant::now() < end, "{words:?} are not on {path}: {page}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stop_clinic(&self, notice: &str) -> String {
        let inner = format!(
            "<request><params><noticeId>{notice}</noticeId><deptCode>K01</deptCode><doctorCode>D0001</doctorCode><scheduleDate>2026-11-23</scheduleDate></params></request>"
        );
        let inner = inner.replace('<', "&lt;");
        let body = format!(
            "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><stopReg xmlns='http://tempuri.org/'><requestXml>{inner}</requestXml></stopReg></s:Body></s:Envelope>"
        );
        let url = format!("http://127.0.0.1:{}/services/platform", self.soap);
        self.http
            .post(url)
            .header("content-type", "text/xml")
            .body(body)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hospital_is_served_while_the_cloud_is_away_and_after_a_kill() {
    let memory = tempfile::tempdir().unwrap();
    let tpm = SoftTpm::start(memory.path());
    let [soap, mllp, control] = kit::ports::free_ports::<3>().map(|p| p.to_string());
    let db = memory.path().join("his.sqlite");
    let _his = Process::start(
        binary("hil"),
        &[
            "his",
            "--db",
            db.to_str().unwrap(),
            "--soap",
            &soap,
            "--mllp",
            &mllp,
            "--control",
            &control,
        ],
    )
    .ready(Duration::from_secs(60));
    let appliance = Appliance::new(
        &tpm.tcti(),
        &format!("http://127.0.0.1:{soap}/services/InternetHospital"),
    );
    let mut edge = appliance.run();
    let words = ["入网服务暂时无法连接", "已断开", "签名服务未运行", "未联机"];
    appliance.page_with_all("/", &words).await;
    assert!(appliance.stop_clinic("T1").await.contains("resultCode&gt;0"));
    assert!(appliance.stop_clinic("").await.contains("resultCode&gt;-1"));
    assert!(appliance.page("/rejected").await.contains("notice_id"));
    edge.kill();
    let mut edge = appliance.run();
    assert!(
        appliance.stop_clinic("T1").await.contains("resultCode&gt;1"),
        "what was acknowledged survived the kill"
    );
    // Two entries at least wait for the cloud: the notice and the appliance's health.
    let page = appliance.page_with("/", "待上送条数").await;
    let depth = page
        .split("待上送条数</th><td>")
        .nth(1)
        .and_then(|t| t.split('<').next())
        .and_then(|t| t.parse::<u64>().ok());
    assert!(depth.is_some(), "{page}");
    let status = edge.stop(Duration::from_secs(60)).expect("it stops when told to");
    assert!(status.success());
    drop(appliance.dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tpm_it_says_so_and_still_serves() {
    let appliance = Appliance::new(
        "swtpm:host=127.0.0.1,port=1",
        "http://127.0.0.1:1/services/InternetHospital",
    );
    let mut edge = appliance.run();
    let page = appliance.page_with("/", "安全芯片").await;
    assert!(!page.contains("安全芯片（TPM）</th><td><b class=ok>"), "{page}");
    assert!(appliance.stop_clinic("T1").await.contains("resultCode&gt;0"));
    assert!(edge.stop(Duration::from_secs(60)).is_some_and(|s| s.success()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_answers_only_under_its_own_name_and_to_its_own_forms() {
    let appliance = Appliance::new(
        "swtpm:host=127.0.0.1,port=1",
        "http://127.0.0.1:1/services/InternetHospital",
    );
    let _edge = appliance.run();
    let url = format!("http://127.0.0.1:{}/", appliance.console);
    let foreign = appliance
        .http
        .get(&url)
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status(), 403);
    appliance.page_with("/commands", "院内指令").await;
    let act = format!("http://127.0.0.1:{}/printing/act", appliance.console);
    let whole = |token: &str| format!("token={token}&key=a&act=reprint");
    let post = async |form: String| {
        let answer = appliance
            .http
            .post(&act)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap();
        answer.text().await.unwrap()
    };
    assert!(post(whole("0")).await.contains("页面已过期"));
    // What nobody types is refused in words as well.
    assert!(post("token=0".to_owned()).await.contains("提交的内容不完整"));
    appliance.page_with("/commands?q=a&q=b", "查询条件有误").await;
    appliance.page_with("/nothing", "没有这个页面").await;
}

/// The page of dock and recorders while the board is away: it says so; a firmware package is taken from its own form only, kept
/// until the board is back, and can be taken back.
#[tokio::test(flavor = "multi_thread")]
async fn a_firmware_package_is_kept_until_the_board_is_there_and_only_from_the_pages_own_form() {
    let appliance = Appliance::new(
        "swtpm:host=127.0.0.1,port=1",
        "http://127.0.0.1:1/services/InternetHospital",
    );
    let _edge = appliance.run();
    let words = ["升级固件", "采集坞串口无法打开", "已用 0%"];
    let page = appliance.page_with_all("/docking", &words).await;
    let field = |page: &str, name: &str| {
        let value = page.split(&format!("name={name} value=")).nth(1).unwrap();
        let value = value.split('>').next().unwrap();
        value.trim_matches('"').to_owned()
    };
    let token = field(&page, "token");
    let package = dock::Package {
        manifest: dock::Manifest {
            board: dock::Board::Mps2,
            version: dock::FirmwareVersion::parse("1.2.3").unwrap(),
            length: 5,
            sha256: [0; 32],
        },
        signature: dock::Signature::from_bytes(&[7; 64]),
        image: vec![1; 5],
    };
    let send = async |token: &str, bytes: Vec<u8>| {
        let form = reqwest::multipart::Form::new()
            .text("token", token.to_owned())
            .part("package", reqwest::multipart::Part::bytes(bytes));
        let url = format!("http://127.0.0.1:{}/docking/firmware", appliance.console);
        let answer = appliance.http.post(url).multipart(form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, said) = send("0", package.write()).await;
    assert!(status == 409 && said.contains("页面已过期"), "{said}");
    let (status, said) = send(&token, b"PK".to_vec()).await;
    assert!(status == 409 && said.contains("不是采集坞固件包"), "{said}");
    assert!(!appliance.page("/docking").await.contains("1.2.3"));
    assert_eq!(send(&token, package.write()).await.0, 303);
    let page = appliance.page_with("/docking", "等待升级").await;
    let key = field(&page, "key");
    let act = format!("http://127.0.0.1:{}/docking/act", appliance.console);
    let cancel = appliance
        .http
        .post(act)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}&key={key}&act=cancel"));
    assert_eq!(cancel.send().await.unwrap().status(), 303);
    assert!(appliance.page("/docking").await.contains("已取消"));
}

#[test]
fn sm_on_the_line_needs_the_clouds_sm_root() {
    let appliance = Appliance::new("swtpm:host=127.0.0.1,port=1", "http://127.0.0.1:1/");
    let text = std::fs::read_to_string(&appliance.config).unwrap();
    for (tls, wanted) in [
        ("sm", "needs the cloud's SM root among the root certificates"),
        ("sm-first", "needs the cloud's SM root among the root certificates"),
        ("gm", "must be one of sm, sm-first, classic-first, classic"),
    ] {
        let with = text.replace("[his]\n", &format!("tls = \"{tls}\"\n[his]\n"));
        std::fs::write(&appliance.config, with).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_edge"))
            .args(["run", "--config", appliance.config.to_str().unwrap()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(wanted), "{tls}: {said}");
    }
}

#[test]
fn the_factory_takes_record_and_label_from_a_new_machine_twice_the_same() {
    let memory = tempfile::tempdir().unwrap();
    let tpm = SoftTpm::start(memory.path());
    let appliance = Appliance::new(&tpm.tcti(), "http://127.0.0.1:1/");
    let out = appliance.dir.path().join("factory.json");
    let run = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_edge"))
            .args([
                "factory-record",
                "--config",
                appliance.config.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let label = run();
    assert_eq!(label["record"]["serial"], "YQ26110001");
    assert!(label["claim_code"].as_str().unwrap().len() >= 20);
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(record, label["record"]);
    assert_eq!(run(), label);
}
