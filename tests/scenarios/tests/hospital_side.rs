//! The appliance's doors: the hospital's callbacks, the console, and the appliances' doors of the cloud. Nonsense is
//! answered, kept for the operator, and changes nothing; the house goes on.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use scenarios::client::{Answer, Person};
use scenarios::counter::House;
use serde_json::{Value, json};
use site::Options;
use site::ports::Service;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_at_the_hospital_side_is_answered_kept_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::free_ports().unwrap();
    let ports = options.ports;
    let house = House::open(folder.path(), options).await.unwrap();
    let told = vec![
        ("soap", soap_nonsense(&house, &ports.http(Service::CallbackSoap)).await),
        ("hl7", hl7_nonsense(&house, &ports.address(Service::CallbackMllp)).await),
        (
            "strangers",
            notices_about_strangers(&house, &ports.http(Service::CallbackSoap)).await,
        ),
        ("doors", doors_for_appliances_only(&house, ports).await),
        ("console", the_console_shows_no_secrets(&house).await),
        ("alive", the_house_goes_on(&house).await),
        (
            "picture",
            a_picture_of_an_examination_comes_up_and_stays_nowhere(&house).await,
        ),
    ];
    house.close(told).await.unwrap();
}

fn envelope(method: &str, argument: &str, inner: &str) -> String {
    let escaped = inner.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><{method} xmlns=\"http://tempuri.org/\"><{argument}>{escaped}</{argument}></{method}></soap:Body></soap:Envelope>"
    )
}

fn notice(number: &str, date: &str, doctor: &str, orders: &str) -> String {
    format!(
        "<request><params><appId>HIS</appId><noticeId>{number}</noticeId><deptCode>K01</deptCode><deptName>心血管内科</deptName><doctorCode>{doctor}</doctorCode><doctorName>张</doctorName><workId>W209901011D0001</workId><scheduleDate>{date}</scheduleDate><timeFlag>1</timeFlag><begin>{date} 08:00:00</begin><end>{date} 12:00:00</end><reason>会诊</reason><type>1</type><orderList>{orders}</orderList><hisOrdList></hisOrdList></params></request>"
    )
}

/// What the hospital sends is answered at once, on a busy machine a little later.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whoever says nothing for so long has nothing to say.
const SILENT: Duration = Duration::from_millis(700);

/// Rows of a table of the appliance.
fn count(house: &House, table: &str) -> Result<i64> {
    let path = house.at.data.join("edge/edge.sqlite");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(path, flags)?;
    Ok(db.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?)
}

async fn soap(address: &str, charset: &str, bytes: Vec<u8>) -> Result<Answer> {
    let person = Person::new(address)?;
    let kind = format!("text/xml; charset={charset}");
    let path = format!("{address}/services/platform");
    person
        .raw("POST".parse()?, &path, &[("content-type", &kind)], bytes)
        .await
}

async fn soap_nonsense(house: &House, address: &str) -> Result<()> {
    let good = envelope("stopReg", "requestXml", &notice("T1", "2099-01-01", "D0001", ""));
    let with = |inner: &str| envelope("stopReg", "requestXml", inner).into_bytes();
    let mut nul = good.clone().into_bytes();
    nul.insert(200, 0);
    let bomb = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
        good.split_once("?>")
            .context("declaration")?
            .1
            .replace("&lt;request", "&b;&lt;request")
    );
    let file = bomb
        .replace("\"aaaaaaaaaa\"", "SYSTEM \"file:///etc/passwd\"")
        .replace("&b;", "&a;");
    let nonsense: Vec<(&str, &str, Vec<u8>)> = vec![
        ("garbage", "utf-8", b"hello".to_vec()),
        ("nothing", "utf-8", Vec::new()),
        ("cut", "utf-8", good.as_bytes()[..300].to_vec()),
        ("NUL", "utf-8", nul),
        (
            "UTF-16",
            "utf-16",
            good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "another method",
            "utf-8",
            envelope("dropAll", "requestXml", "x").into_bytes(),
        ),
        ("another argument", "utf-8", envelope("stopReg", "x", "x").into_bytes()),
        ("cut argument", "utf-8", with("<request><params>")),
        ("empty request", "utf-8", with("<request/>")),
        ("no such day", "utf-8", with(&notice("T2", "2026-13-45", "D0001", ""))),
        ("no doctor", "utf-8", with(&notice("T3", "2099-01-01", "", ""))),
        ("entities", "utf-8", bomb.into_bytes()),
        ("a file of ours", "utf-8", file.into_bytes()),
        ("nested", "utf-8", "<a>".repeat(200_000).into_bytes()),
        (
            "nested and closed",
            "utf-8",
            [vec!["<a>"; 70_000], vec!["</a>"; 70_000]]
                .concat()
                .concat()
                .into_bytes(),
        ),
        (
            "nested argument",
            "utf-8",
            with(&[vec!["<a>"; 20_000], vec!["</a>"; 20_000]].concat().concat()),
        ),
        ("two megabytes", "utf-8", with(&"x".repeat(2 << 20))),
    ];
    let (kept, taken) = (count(house, "his_rejected")?, count(house, "his_notice")?);
    let total = nonsense.len();
    for (what, charset, bytes) in nonsense {
        let answer = soap(address, charset, bytes).await.map_err(|e| e.context(what))?;
        let text = String::from_utf8_lossy(&answer.bytes);
        let fault = answer.status == 500 && text.contains("<soap:Fault>");
        let refused = answer.status == 200 && text.contains("resultCode&gt;-1&lt;");
        ensure!(
            (fault || refused) && !text.is_ascii(),
            "{what}: {} {text}",
            answer.status
        );
        for inside in ["root:", "panicked", ".rs:"] {
            ensure!(!text.contains(inside), "{what} tells of our insides: {text}");
        }
    }
    let now = count(house, "his_rejected")? - kept;
    ensure!(
        now == i64::try_from(total)?,
        "{now} of {total} were kept for the operator"
    );
    ensure!(count(house, "his_notice")? == taken, "nonsense became a notice");
    Ok(())
}

/// Sends bytes as they are and reads what comes back: a whole frame, or what there is when the other side hangs up or is
/// silent for so long.
async fn say(address: &str, bytes: &[u8], silent: Duration) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let sent = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(Ok(n)) = tokio::time::timeout(silent, stream.read(&mut buffer)).await {
        if n == 0 {
            break;
        }
        heard.extend_from_slice(&buffer[..n]);
        if heard.ends_with(b"\x1c\r") {
            break;
        }
    }
    // Who sends without end is cut off; that is an answer too.
    let _ = sent;
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

async fn hl7_nonsense(house: &House, address: &str) -> Result<()> {
    let head =
        |id: &str| format!("MSH|^~\\&|HIS|H01|PLAT|P|20261121170000||SIU^S15|{id}|P|2.5|||||CHN|UNICODE UTF-8\r");
    let framed = |content: &[u8]| [b"\x0b", content, b"\x1c\r"].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("garbage", b"hello".to_vec(), "MSA|AR"),
        ("nothing", Vec::new(), "MSA|AR"),
        ("separators only", b"MSH|||||||||||||\r".to_vec(), "MSA|AR"),
        ("no content", head("A1").into_bytes(), "MSA|AE|A1"),
        (
            "another event",
            head("A2").replace("SIU^S15", "ADT^A01").into_bytes(),
            "MSA|AR|A2",
        ),
        (
            "another version",
            head("A3").replace("|2.5|", "|9.9|").into_bytes(),
            "MSA|AR|A3",
        ),
        ("no number", head("").into_bytes(), "MSA|AR|"),
        (
            "bytes of no charset",
            [head("A4").as_bytes(), b"SCH|1|\xff\xfe\xfd\r"].concat(),
            "MSA|A",
        ),
        (
            "many fields",
            [head("A5"), format!("SCH{}\r", "|".repeat(50_000))]
                .concat()
                .into_bytes(),
            "MSA|A",
        ),
        (
            "many segments",
            [head("A6"), "ZZZ|1\r".repeat(30_000)].concat().into_bytes(),
            "MSA|A",
        ),
    ];
    let (kept, taken) = (count(house, "his_rejected")?, count(house, "his_notice")?);
    let total = cases.len();
    for (what, content, wanted) in cases {
        let answer = say(address, &framed(&content), PATIENCE).await?;
        ensure!(answer.contains(wanted) && answer.contains("ERR|"), "{what}: {answer:?}");
    }
    say(address, &[b"\x0b".to_vec(), vec![b'x'; 4 << 20]].concat(), PATIENCE).await?;
    say(address, b"no frame at all\r\n", SILENT).await?;
    // Who is cut off is answered by nothing: it is kept a moment later.
    let started = Instant::now();
    loop {
        let now = count(house, "his_rejected")? - kept;
        if now > i64::try_from(total)? {
            break;
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "{now} of {} were kept for the operator",
            total + 1
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(count(house, "his_notice")? == taken, "nonsense became a notice");
    Ok(())
}

/// A notice that names visits which are not ours, or not of that shift, moves nobody's visit or money.
async fn notices_about_strangers(house: &House, address: &str) -> Result<()> {
    let patient = house.patient(0).await?;
    let (visit, payment) = house.paid_visit(&patient, &house.time(0).await?, "stranger").await?;
    let orders: Vec<_> = (0..2_000).map(|n| format!("con_{n}")).collect();
    for inner in [
        notice("N1", "2099-01-01", "D0001", "con_nobody,';drop table care_visit--"),
        notice("N2", "2099-01-01", "D0001", &orders.join(",")),
        notice("N3", "2099-01-01", "D9999", &visit.to_uppercase()),
    ] {
        let answer = soap(address, "utf-8", envelope("stopReg", "requestXml", &inner).into_bytes()).await?;
        let text = String::from_utf8_lossy(&answer.bytes);
        ensure!(text.contains("resultCode&gt;0&lt;"), "{text}");
        let again = soap(address, "utf-8", envelope("stopReg", "requestXml", &inner).into_bytes()).await?;
        let text = String::from_utf8_lossy(&again.bytes);
        ensure!(text.contains("resultCode&gt;1&lt;"), "{text}");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    house.reaches(&visit, &["waiting"]).await?;
    ensure!(house.payment(&payment).await?["state"] == "done", "the money moved");
    let parked = house.cast.admin.get("admin/parked").await?;
    let none = parked
        .as_array()
        .or_else(|| parked["items"].as_array())
        .is_some_and(Vec::is_empty);
    ensure!(none, "parked: {parked}");
    Ok(())
}

async fn doors_for_appliances_only(house: &House, ports: site::ports::Ports) -> Result<()> {
    for service in [Service::Mqtt, Service::EdgeHttps] {
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            vec![0xff; 100_000],
            b"\x10\x10\0\x04MQTT\x05\x02\0\x3c\0\0\x03abc".to_vec(),
        ] {
            let heard = say(&ports.address(service), &bytes, SILENT).await?;
            ensure!(
                !heard.contains("MQTT") && !heard.contains("200 OK"),
                "{service:?} answered {heard:?}"
            );
        }
    }
    // Without a device certificate the appliances' door enrols nobody and takes no file.
    let bold = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .timeout(Duration::from_secs(5))
        .build()?;
    let root = format!("https://localhost:{}", ports.of(Service::EdgeHttps));
    for path in [
        "",
        "/",
        "/blobs",
        "/blobs/x",
        "/v1/enrol",
        "/enrol",
        "/enrolment",
        "/../../etc/passwd",
    ] {
        for body in ["", "{}", "{\"serial\":\"YQ26110001\"}"] {
            let answer = bold
                .post(format!("{root}{path}"))
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await;
            if let Ok(answer) = answer {
                ensure!(answer.status().is_client_error(), "{path} {body}: {}", answer.status());
            }
        }
    }
    let appliances = house.cast.admin.get("admin/appliances").await?;
    ensure!(appliances.as_array().map(Vec::len) == Some(1), "{appliances}");
    Ok(())
}

async fn the_console_shows_no_secrets(house: &House) -> Result<()> {
    let stranger = Person::new(&house.at.console)?;
    for path in [
        "/",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/nothing",
        "/..%2fedge.toml",
    ] {
        let answer = stranger
            .raw("GET".parse()?, &format!("{}{path}", house.at.console), &[], Vec::new())
            .await?;
        let text = String::from_utf8_lossy(&answer.bytes);
        ensure!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        for secret in [
            "root:x:",
            "PRIVATE KEY",
            "claim_code",
            &house.at.demo.patient_id_number,
            &house.at.demo.patient_phone,
        ] {
            ensure!(!text.contains(secret), "{path} shows {secret}");
        }
    }
    Ok(())
}

async fn the_house_goes_on(house: &House) -> Result<()> {
    let mut site = house.site.lock().await;
    ensure!(
        site.processes().fallen().is_none(),
        "{:?} ended by itself",
        site.processes().fallen()
    );
    drop(site);
    house.patient(1).await?;
    let times: Vec<Value> = house.times().await?;
    ensure!(!times.is_empty(), "no times");
    let online = |seen: &Value| seen[0]["link"] == json!("online");
    let admin = &house.cast.admin;
    admin.wait("admin/appliances", "the line", online).await.map(drop)
}

/// HIS → appliance → blob → cloud → doctor; only the hospital keeps it.
async fn a_picture_of_an_examination_comes_up_and_stays_nowhere(house: &House) -> Result<()> {
    let doctor = &house.cast.doctor;
    let patient = house.patient(0).await?;
    let (visit, _) = house.paid_visit(&patient, &house.time(1).await?, "picture").await?;
    let exams = format!("doctor/visits/{visit}/history/exams");
    let listed = doctor.get(&format!("{exams}?years=20")).await?;
    let has = |with: bool| {
        listed
            .as_array()
            .into_iter()
            .flatten()
            .find(move |e| e["has_picture"] == with)
    };
    let report = has(true).context("an examination with a picture")?["report_number"].as_str();
    let report = report.context("report number")?;
    for look in ["first", "second"] {
        let picture = doctor.download(&format!("{exams}/{report}/picture")).await?;
        ensure!(
            picture.starts_with(b"\x89PNG"),
            "the {look} look brought {} bytes",
            picture.len()
        );
    }
    let strange = house
        .ask(doctor, "GET", &format!("{exams}/JC-0/picture"), Value::Null)
        .await?;
    strange.refused(&[404])?;
    for folder in ["edge/pictures", "cloud/files/appliances"] {
        let left: Vec<_> = walk(&house.at.data.join(folder));
        ensure!(left.is_empty(), "{folder} keeps {left:?}");
    }
    Ok(())
}

/// Files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}
