//! The daemon as its operator meets it: started, asked, stopped, started again; with either database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a story that cannot go on has failed"
)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use base::identity::totp;
use kit::ports::free_ports;
use kit::process::Process;
use records::{Clock, SystemClock};
use serde_json::{Value, json};

const CLOUD: &str = env!("CARGO_BIN_EXE_cloud");
const PATIENCE: Duration = Duration::from_secs(180);

struct House {
    folder: tempfile::TempDir,
    web: u16,
}

impl House {
    fn new(database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [web, https, mqtt] = free_ports();
        let config = format!(
            "[web]\nlisten = \"127.0.0.1:{web}\"\npublic_url = \"http://127.0.0.1:{web}/\"\napps = \"apps\"\nsecure_cookies = false\n\
             [store]\n{database}\n[files]\nfolder = \"files\"\n[vault]\nkey_file = \"master.key\"\n\
             [edge]\nhttps = \"127.0.0.1:{https}\"\nmqtt = \"127.0.0.1:{mqtt}\"\nnames = [\"localhost\"]\nca = \"ca\"\n"
        );
        std::fs::write(folder.path().join("cloud.toml"), config).unwrap();
        let assets = folder.path().join("apps/patient/assets");
        std::fs::create_dir_all(&assets).unwrap();
        std::fs::write(
            folder.path().join("apps/patient/index.html"),
            "<!doctype html><title>患者端</title>",
        )
        .unwrap();
        std::fs::write(assets.join("app-1a2b.js"), "export {}").unwrap();
        let hospital = r#"{"hospital": {"code": "people1", "name": "市第一人民医院"}, "staff": [
            {"login": "Zhang", "password": "Correct-horse-9", "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
             "name": "张医生", "roles": ["doctor"], "title": "主任医师", "department_code": "0101", "department_name": "心内科", "his_code": "D1"},
            {"login": "wang", "password": "Correct-horse-9", "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "name": "王科长", "roles": ["admin"]}]}"#;
        std::fs::write(folder.path().join("hospital.json"), hospital).unwrap();
        Self { folder, web }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds to the configuration.
    fn configure(&self, more: &str) {
        let path = self.path().join("cloud.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{more}")).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let config = self.path().join("cloud.toml");
        Command::new(CLOUD)
            .args(args)
            .arg("--config")
            .arg(config)
            .current_dir(self.path())
            .output()
            .unwrap()
    }

    fn serve(&self) -> Process {
        let mut command = Command::new(CLOUD);
        command.args(["serve", "--config"]).arg(self.path().join("cloud.toml"));
        Process::spawn(command).ready(PATIENCE)
    }

    /// Posts JSON (or gets, without a body) with a token; answers status and JSON.
    fn ask(&self, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, url) = (
                reqwest::Client::new(),
                format!("http://127.0.0.1:{}/api/v1{path}", self.web),
            );
            let request = match &body {
                Some(body) => client.post(url).json(body),
                None => client.get(url),
            };
            let answer = request.bearer_auth(token).send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
        })
    }

    fn put(&self, path: &str, token: &str, body: Value) -> (u16, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let url = format!("http://127.0.0.1:{}/api/v1{path}", self.web);
            let request = reqwest::Client::new().put(url).bearer_auth(token).json(&body);
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
        })
    }

    fn sign_in(&self, login: &str) -> String {
        let password = json!({"hospital": "people1", "login": login, "password": "Correct-horse-9"});
        let (_, ticket) = self.ask("/auth/staff/login", "", Some(password));
        let secret = totp::secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let code = totp::code_at(&secret, SystemClock.now()).unwrap();
        let given = json!({"ticket": ticket["ticket"], "code": code});
        let (status, signed_in) = self.ask("/auth/staff/second-factor", "", Some(given));
        assert_eq!(status, 200, "{signed_in}");
        signed_in["token"].as_str().unwrap().to_owned()
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap();
            let answer = client
                .get(format!("http://127.0.0.1:{}{path}", self.web))
                .send()
                .await
                .unwrap();
            let cache = answer
                .headers()
                .get("cache-control")
                .map_or("", |v| v.to_str().unwrap())
                .to_owned();
            (answer.status().as_u16(), cache, answer.text().await.unwrap())
        })
    }
}

fn succeeded(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn install_tls() {
    // reqwest asks for the process's provider even over plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn a_day_with(database: &str) {
    install_tls();
    let house = House::new(database);
    let tenant = succeeded(&house.run(&["tenant", "import", "hospital.json"]));
    assert!(tenant.starts_with("hos_"), "{tenant}");
    assert_eq!(
        succeeded(&house.run(&["tenant", "import", "hospital.json"])),
        tenant,
        "an import may be repeated"
    );

    let mut cloud = house.serve();
    let (status, _, body) = house.get("/api/v1/hospitals");
    assert_eq!(status, 200);
    assert_eq!(body, r#"[{"code":"people1","name":"市第一人民医院"}]"#);
    let (status, _, body) = house.get("/api/v1/no-such-thing");
    let refusal: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, refusal["code"].as_str()), (404, Some("not_found")));
    let (_, _, document) = house.get("/api/v1/openapi.json");
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(document["paths"]["/api/v1/auth/staff/login"]["post"].is_object());

    assert_eq!(house.get("/patient/").1, "no-cache");
    let (status, cache, page) = house.get("/patient/visits/con_1");
    assert_eq!(
        (status, cache.as_str(), page.contains("患者端")),
        (200, "no-cache", true),
        "any path of an app is its page"
    );
    assert_eq!(
        house.get("/patient/assets/app-1a2b.js").1,
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        house.get("/patient/assets/app-0000.js").0,
        404,
        "an asset of an older build is not a page"
    );
    assert_eq!(house.get("/").0, 307);

    assert!(succeeded(&house.run(&["audit", "verify"])).contains("rows hold"));
    let ended = cloud.stop(PATIENCE).expect("it stops when asked");
    assert!(ended.success(), "{ended}");

    // Whatever was there is there again after a power cut.
    let mut cloud = house.serve();
    cloud.kill();
    let _cloud = house.serve();
    assert!(house.get("/api/v1/hospitals").2.contains("people1"));
}

#[test]
fn a_day_with_the_embedded_database() {
    a_day_with("sqlite = \"data/cloud.db\"");
}

#[test]
fn a_day_with_postgresql() {
    a_day_with(&format!("postgres = \"{}\"", kit::postgres::database()));
}

#[test]
fn a_tampered_audit_chain_fails_the_operators_command() {
    let url = kit::postgres::database();
    let house = House::new(&format!("postgres = \"{url}\""));
    succeeded(&house.run(&["tenant", "import", "hospital.json"]));
    succeeded(&house.run(&["audit", "verify"]));
    kit::postgres::psql(&url, "UPDATE base_audit SET subject = 'stf_other' WHERE seq = 1");
    let out = house.run(&["audit", "verify"]);
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stdout).contains("people1: BROKEN: row 1"));
}

#[test]
fn an_unknown_key_in_the_configuration_is_refused_by_name() {
    let house = House::new("sqlite = \"data/cloud.db\"\nfancy = true");
    let out = house.run(&["migrate"]);
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("fancy"));

    let house = House::new("");
    let out = house.run(&["migrate"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("either `sqlite` or `postgres`"));
}

#[test]
fn a_hospital_file_with_a_weak_password_changes_nothing() {
    let house = House::new("sqlite = \"data/cloud.db\"");
    let path = house.path().join("hospital.json");
    let weak = std::fs::read_to_string(&path)
        .unwrap()
        .replace("Correct-horse-9", "password");
    std::fs::write(&path, weak).unwrap();
    assert!(!house.run(&["tenant", "import", "hospital.json"]).status.success());
    assert_eq!(
        succeeded(&house.run(&["audit", "verify"])),
        "",
        "no hospital was taken in"
    );
}

/// An entry of a kind this build does not know was kept aside; after an upgrade it is applied from the admin's page.
#[test]
fn a_parked_entry_is_shown_applied_again_or_settled_with_a_note() {
    install_tls();
    let url = kit::postgres::database();
    let house = House::new(&format!("postgres = \"{url}\""));
    let tenant = succeeded(&house.run(&["tenant", "import", "hospital.json"]));
    for (seq, kind, body) in [
        (1, "appliance.health", "{\"at\": \"2026-11-21T08:00:00Z\"}"),
        (2, "tea.kettle", "{}"),
    ] {
        let row = format!(
            "INSERT INTO store_parked(tenant_id, peer, lane, epoch, seq, kind, entity, at, body, reason, parked_at) VALUES \
             ('{tenant}', 'edg_1', 3, 7, {seq}, '{kind}', '', 1, '{body}', 'unknown kind', 2)"
        );
        kit::postgres::psql(&url, &row);
    }
    let health = r#"'{"at": "2026-11-21T08:00:00Z", "version": "1.2", "buffer_depth": 0, "tpm": "ok", "signd": "ok", "printers": [], "his": [], "commands_open": 0, "disk_free_bytes": 1, "certificate_not_after": null}'"#;
    kit::postgres::psql(&url, &format!("UPDATE store_parked SET body = {health} WHERE seq = 1"));
    let _cloud = house.serve();
    let (doctor, admin) = (house.sign_in("zhang"), house.sign_in("wang"));
    assert_eq!(house.ask("/admin/parked", &doctor, None).0, 403);
    let (_, all) = house.ask("/admin/parked", &admin, None);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");

    let name = |seq: u64| json!({"peer": "edg_1", "lane": 3, "epoch": 7, "seq": seq});
    assert_eq!(house.ask("/admin/parked/replay", &admin, Some(name(1))).0, 204);
    assert_eq!(house.ask("/admin/parked/replay", &admin, Some(name(1))).0, 404, "once");
    assert_eq!(kit::postgres::psql(&url, "SELECT edge_id FROM app_appliance"), "edg_1");
    let (status, still) = house.ask("/admin/parked/replay", &admin, Some(name(2)));
    assert_eq!((status, still["code"].as_str()), (409, Some("still_parked")));

    let mut settled = name(2);
    settled["note"] = json!("");
    assert_eq!(
        house.ask("/admin/parked/settle", &admin, Some(settled.clone())).1["field"],
        "note"
    );
    settled["note"] = json!("电话核实，无需处理");
    assert_eq!(house.ask("/admin/parked/settle", &admin, Some(settled)).0, 204);
    assert_eq!(house.ask("/admin/parked", &admin, None).1, json!([]));
    assert!(succeeded(&house.run(&["audit", "verify"])).contains("rows hold"));
}

/// Calls go on directly where UDP does; the operator reads in the log why others cannot join.
#[test]
fn a_relay_whose_port_is_taken_does_not_keep_the_cloud_from_starting() {
    install_tls();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let house = House::new("sqlite = \"data/cloud.db\"");
    house.configure(&format!("[video.turn]\nlisten = \"127.0.0.1:{port}\"\n"));
    succeeded(&house.run(&["tenant", "import", "hospital.json"]));
    let cloud = house.serve();
    assert_eq!(house.get("/api/v1/hospitals").0, 200);
    let said = cloud.stderr.wait_for(PATIENCE, |line| line.contains("[video.turn]"));
    assert!(said.is_some(), "{:?}", cloud.stderr.all());
}

#[test]
fn a_broker_of_others_is_given_papers_that_only_it_can_use() {
    let house = House::new("sqlite = \"data/cloud.db\"");
    let command = ["broker", "papers", "--name", "broker.example", "--out", "papers"];
    succeeded(&house.run(&command));
    let read = |name: &str| std::fs::read_to_string(house.path().join("papers").join(name)).unwrap();
    assert!(read("access").contains("pattern write yq/v1/%u/up/+"));
    let config = read("mosquitto.conf");
    for line in [
        "listener 8883",
        "require_certificate true",
        "use_identity_as_username true",
        "allow_anonymous false",
    ] {
        assert!(config.contains(line), "{line}");
    }
    let key = std::fs::metadata(house.path().join("papers/broker.key")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777,
        0o600
    );
    let (ours, theirs) = (
        std::fs::read_to_string(house.path().join("ca/root.pem")).unwrap(),
        read("ca.pem"),
    );
    let plain = |pem: &str| pem.replace(['\r', '\n'], "");
    assert_eq!(plain(&ours), plain(&theirs), "appliances trust this root and no other");
}

#[test]
fn a_line_needs_a_broker_of_ours_or_of_others() {
    let house = House::new("sqlite = \"data/cloud.db\"");
    let path = house.path().join("cloud.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let without: String = text
        .lines()
        .filter(|l| !l.starts_with("mqtt"))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&path, &without).unwrap();
    let out = house.run(&["effective"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("[edge] needs `mqtt`"));
    house.configure("[broker]\nkind = \"external\"\naddress = \"mqtts://broker.example:8883\"\n");
    let effective = succeeded(&house.run(&["effective"]));
    assert!(effective.contains("mqtts://broker.example:8883"), "{effective}");

    // Brokers of others do not speak SM.
    let text = std::fs::read_to_string(&path).unwrap();
    for (tls, wanted) in [
        ("sm", "needs the embedded broker: brokers of others do not speak SM"),
        ("classic-first", "needs the embedded broker"),
        ("gm", "must be one of sm, sm-first, classic-first, classic"),
    ] {
        let with = text.replace("ca = \"ca\"", &format!("ca = \"ca\"\ntls = \"{tls}\""));
        std::fs::write(&path, with).unwrap();
        let out = house.run(&["effective"]);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && said.contains(wanted), "{said}");
    }
}

/// The administrator changes how receipts look: what is wrong is refused with its place, two people do not overwrite each
/// other, and the preview is a picture a scanner can read.
#[test]
fn print_templates_are_changed_previewed_and_brought_back() {
    install_tls();
    let house = House::new("sqlite = \"data/cloud.db\"");
    succeeded(&house.run(&["tenant", "import", "hospital.json"]));
    let _cloud = house.serve();
    let admin = house.sign_in("wang");
    let doctor = house.sign_in("Zhang");
    assert_eq!(house.ask("/admin/print/templates", &doctor, None).0, 403);
    let (_, all) = house.ask("/admin/print/templates", &admin, None);
    let kinds: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "receipt",
            "pickup_slip",
            "queue_ticket",
            "label",
            "wristband",
            "e_invoice",
            "report",
            "prescription"
        ]
    );
    assert_eq!(
        (all[1]["version"].as_u64(), all[1]["own"].as_bool()),
        (Some(0), Some(false))
    );
    let change = |version: u64, template: Option<Value>| {
        house.put(
            "/admin/print/templates/pickup_slip",
            &admin,
            json!({"version": version, "template": template}),
        )
    };
    let own = json!({"elements": [
        {"type": "text", "text": "{抬头}", "size_pt": 14, "align": "centre"},
        {"type": "fields", "only": ["患者", "取药码"], "size_pt": 10},
        {"type": "barcode", "content": "{码}", "height_mm": 12, "caption": true},
    ]});
    let mut wrong = own.clone();
    wrong["elements"][1]["only"][0] = json!("身高");
    let (status, refused) = change(0, Some(wrong));
    assert_eq!(
        (status, refused["field"].as_str()),
        (422, Some("elements[1].only")),
        "{refused}"
    );
    let (status, saved) = change(0, Some(own.clone()));
    assert_eq!(
        (status, saved["version"].as_u64(), saved["own"].as_bool()),
        (200, Some(1), Some(true)),
        "{saved}"
    );
    assert_eq!(change(0, Some(own.clone())).0, 409, "somebody was faster");
    let paper = json!({"template": own, "width": 576, "dpi": 203, "reprint": true});
    let (status, preview) = house.ask("/admin/print/templates/pickup_slip/preview", &admin, Some(paper));
    assert_eq!(status, 200, "{preview}");
    let file = house.path().join("preview.png");
    let png = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        preview["pages"][0].as_str().unwrap(),
    );
    std::fs::write(&file, png.unwrap()).unwrap();
    let read = Command::new("zbarimg").arg("-q").arg(&file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "CODE-128:8F3K2210");
    let label = json!({"template": saved["template"], "width": 9, "dpi": 203});
    let (status, refused) = house.ask("/admin/print/templates/pickup_slip/preview", &admin, Some(label));
    assert_eq!((status, refused["field"].as_str()), (422, Some("width")));
    let (_, back) = change(1, None);
    assert_eq!(
        (back["version"].as_u64(), back["own"].as_bool()),
        (Some(2), Some(false))
    );
    assert_eq!(house.ask("/admin/printers", &admin, None).0, 503, "no appliance");
}
