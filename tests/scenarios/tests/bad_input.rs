//! Broken, oversized and lying requests at the API: each gets a clear refusal and changes nothing.
#![expect(
    clippy::indexing_slicing,
    reason = "a story fails where it stands; JSON answers null"
)]

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use scenarios::client::Person;
use scenarios::counter::House;
use scenarios::journey;
use serde_json::{Value, json};
use site::Options;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn broken_input_gets_a_clear_refusal_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(folder.path(), Options::free_ports().unwrap())
        .await
        .unwrap();
    let house = Arc::new(house);
    let writes = writes(&house).await.unwrap();
    let told = vec![
        ("bodies", bodies_that_are_no_json(&house, &writes).await),
        ("sizes", bodies_beyond_the_limit(&house, &writes).await),
        ("queries", queries_nobody_types(&house).await),
        ("files", paths_that_leave_the_apps(&house).await),
        ("uploads", uploads_that_lie(&house).await),
        ("nonsense", bookings_with_nonsense(&house).await),
        ("unseen", texts_with_characters_nobody_sees(&house).await),
        ("kept", answers_that_nobody_keeps(&house).await),
        ("verify", guessed_codes(&house).await),
        ("flat", memory_stays_flat(&house, &writes).await),
    ];
    let house = Arc::into_inner(house).unwrap();
    house.close(told).await.unwrap();
}

/// Acts that take no body: whatever is sent with them is not looked at.
const BODILESS: [&str; 4] = [
    "auth/logout",
    "admin/audit/checkpoints",
    "admin/audit/verify",
    "admin/printers/find",
];

/// A write of the API, with the person who may call it.
type Write = (Method, String, Person);

/// Every write of the API document.
async fn writes(house: &House) -> Result<Vec<Write>> {
    let document = house.cast.patient.get("openapi.json").await?;
    let nurse = journey::sign_in_staff(&house.at, "nurse").await?;
    let medical_affairs = journey::sign_in_staff(&house.at, "medical").await?;
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for (path, item) in paths {
        let path = path.trim_start_matches("/api/v1/").to_owned();
        let filled: Vec<_> = path
            .split('/')
            .map(|p| if p.starts_with('{') { "abc" } else { p })
            .collect();
        let person = match filled.first() {
            Some(&"admin") => &house.cast.admin,
            Some(&"doctor") => &house.cast.doctor,
            Some(&"pharmacist") => &house.cast.pharmacist,
            Some(&"nurse") => &nurse,
            Some(&"record-reviews") => &medical_affairs,
            _ => &house.cast.patient,
        };
        for method in item.as_object().into_iter().flatten().map(|(m, _)| m.to_uppercase()) {
            let harmless = method == "GET" || BODILESS.contains(&path.as_str()) || path.starts_with("callbacks/");
            if !harmless {
                all.push((method.parse()?, filled.join("/"), person.clone()));
            }
        }
    }
    ensure!(all.len() > 40, "only {} writes in the API document", all.len());
    Ok(all)
}

async fn bodies_that_are_no_json(house: &House, writes: &[Write]) -> Result<()> {
    let visits = house.cast.admin.get("admin/visits").await?["total"].clone();
    let audit = house.cast.admin.get("admin/audit?size=1").await?["total"].clone();
    let nested = [b"{\"a\":".repeat(20_000), b"1".to_vec(), b"}".repeat(20_000)].concat();
    let gbk = b"{\"reason\":\"\xb2\xbb\xcf\xeb\xbf\xb4\xc1\xcb\"}".to_vec();
    let broken: [(&str, Vec<u8>); 9] = [
        ("cut", b"{\"reason\":".to_vec()),
        ("empty", Vec::new()),
        ("null", b"null".to_vec()),
        ("list", b"[1,2]".to_vec()),
        ("another charset", gbk),
        ("invalid UTF-8", b"{\"reason\":\"\xff\xfe\"}".to_vec()),
        ("half a surrogate", b"{\"reason\":\"\\ud800\"}".to_vec()),
        ("nested", nested),
        (
            "NUL",
            br#"{"hospital":"shifan\u0000","phone":"\u0000","reason":"a\u0000b"}"#.to_vec(),
        ),
    ];
    for (method, path, person) in writes {
        for (what, bytes) in &broken {
            let answer = person.raw(method.clone(), path, &[JSON], bytes.clone()).await?;
            answer
                .refused(&[400, 404, 415, 422])
                .map_err(|e| e.context(format!("{method} {path} with {what}")))?;
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        let answer = person.raw(method.clone(), path, &[form], b"reason=x".to_vec()).await?;
        answer
            .refused(&[400, 404, 415, 422])
            .map_err(|e| e.context(format!("{method} {path} as a form")))?;
        let answer = person.raw("PATCH".parse()?, path, &[JSON], b"{}".to_vec()).await?;
        answer.refused(&[405]).map_err(|e| e.context(format!("PATCH {path}")))?;
    }
    ensure!(
        house.cast.admin.get("admin/visits").await?["total"] == visits,
        "visits came up"
    );
    let now = house.cast.admin.get("admin/audit?size=1").await?["total"].clone();
    ensure!(now == audit, "acts were noted: {audit} before, {now} after");
    Ok(())
}

async fn bodies_beyond_the_limit(house: &House, writes: &[Write]) -> Result<()> {
    let large = [b"{\"reason\":\"".to_vec(), vec![b'a'; 6 << 20], b"\"}".to_vec()].concat();
    for (method, path, person) in writes {
        let answer = person.raw(method.clone(), path, &[JSON], large.clone()).await;
        let answer = answer.map_err(|e| e.context(format!("{method} {path} hung up on the sender")))?;
        answer
            .refused(&[400, 404, 413, 415, 422])
            .map_err(|e| e.context(format!("{method} {path}")))?;
    }
    let answer = house.cast.patient.raw(Method::POST, "visits", &[JSON], large).await?;
    ensure!(answer.refused(&[413])?.code() == "too_large", "{}", answer.body);
    Ok(())
}

async fn queries_nobody_types(house: &House) -> Result<()> {
    let long = "a".repeat(20_000);
    let demo = &house.at.demo;
    let (from, to) = (&demo.first_day, &demo.last_day);
    let refused = [
        "admin/visits?page=-1".to_owned(),
        "admin/visits?page=99999999999999999999".to_owned(),
        "admin/visits?page=1&page=2".to_owned(),
        "admin/visits?state=nope".to_owned(),
        format!("admin/visits?state={long}"),
        "admin/visits?from=2026-99-99".to_owned(),
        "admin/visits?q=%00".to_owned(),
        "admin/payments?from=0000-00-00".to_owned(),
        "admin/visits/%00".to_owned(),
        "admin/visits/%ff%fe".to_owned(),
        format!("admin/visits/{long}"),
    ];
    for path in refused {
        let answer = house.cast.admin.raw(Method::GET, &path, &[], Vec::new()).await?;
        let shown: String = path.chars().take(60).collect();
        answer.refused(&[400, 404, 422]).map_err(|e| e.context(shown))?;
    }
    for path in [
        format!("slots?department_code=K01&from={to}&to={from}"),
        "slots?department_code=K01&from=x&to=y".to_owned(),
        format!("slots?department_code=%00&from={from}&to={to}"),
        "slots?from=2026-11-21".to_owned(),
    ] {
        let answer = house.cast.patient.raw(Method::GET, &path, &[], Vec::new()).await?;
        answer.refused(&[400, 422]).map_err(|e| e.context(path))?;
    }
    for path in [
        "admin/visits?page=4294967295&size=4294967295",
        "admin/visits?q=%25",
        "admin/visits?q='%20OR%201=1--",
    ] {
        let answer = house.cast.admin.get(path).await?;
        ensure!(answer["items"] == json!([]), "{path} found {answer}");
    }
    // Markup and separators of the hospital's wires find nothing, they do not become part of the message.
    for code in ["%3C/requestXml%3E%3Cx%3E", "K01%7CK02%0DMSH", "%26%23x41%3B"] {
        let path = format!("slots?department_code={code}&from={from}&to={to}");
        ensure!(house.cast.patient.get(&path).await? == json!([]), "{code} found slots");
    }
    Ok(())
}

async fn paths_that_leave_the_apps(house: &House) -> Result<()> {
    let root = house.at.web.trim_start_matches("http://").to_owned();
    for path in [
        "/patient/../../../../../../etc/passwd".to_owned(),
        "/patient/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd".to_owned(),
        "/patient/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/patient/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd".to_owned(),
        "/doctor/....//....//etc/passwd".to_owned(),
        "/verify/..%2f..%2fcloud.toml".to_owned(),
        "/patient/index.html%00.png".to_owned(),
        "/patient//etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "/api/v1/blobs/..%2f..%2f..%2fvault.key".to_owned(),
        format!("/patient/{}", "a".repeat(9_000)),
    ] {
        let (status, body) = plain_get(&root, &path).await?;
        let shown: String = path.chars().take(60).collect();
        ensure!(status < 500, "{shown}: {status}");
        for secret in ["root:", "[web]", "key_file"] {
            ensure!(!body.contains(secret), "{shown} shows a file of the machine");
        }
    }
    Ok(())
}

/// One GET without any tidying of the path.
async fn plain_get(address: &str, path: &str) -> Result<(u16, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Ok((status, text))
}

fn form(purpose: &str, mime: &str, file: &[u8]) -> Vec<u8> {
    let head = format!(
        "--cut\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../a.png\"\r\nContent-Type: {mime}\r\n\r\n"
    );
    [head.as_bytes(), file, b"\r\n--cut--\r\n"].concat()
}

async fn uploads_that_lie(house: &House) -> Result<()> {
    let patient = &house.cast.patient;
    let multipart = ("content-type", "multipart/form-data; boundary=cut");
    let good = site::signature_png();
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xdb\0\x43\0".to_vec();
    let larger = [good.clone(), vec![0; 10 << 20]].concat();
    let largest = [good.clone(), vec![0; 20 << 20]].concat();
    let lies: Vec<(&str, &str, Vec<u8>, &[u16])> = vec![
        (
            "a program",
            "image/png",
            [b"MZ".to_vec(), vec![0; 999]].concat(),
            &[422],
        ),
        (
            "a page",
            "image/png",
            b"<html><script>alert(1)</script>".to_vec(),
            &[422],
        ),
        (
            "a drawing with a script",
            "image/svg+xml",
            b"<svg onload=\"alert(1)\"/>".to_vec(),
            &[422],
        ),
        ("nothing", "image/png", Vec::new(), &[422]),
        ("half a PNG", "image/png", good[..good.len() / 2].to_vec(), &[422]),
        ("a PNG's name only", "image/png", good[..8].to_vec(), &[422]),
        ("a JPEG without its end", "image/jpeg", jpeg, &[422]),
        ("more than a picture may have", "image/png", larger, &[413]),
        ("more than an upload may have", "image/png", largest, &[413]),
    ];
    for (what, mime, bytes, statuses) in lies {
        let answer = patient
            .raw(Method::POST, "uploads", &[multipart], form("statement", mime, &bytes))
            .await;
        let answer = answer.map_err(|e| e.context(what))?;
        answer.refused(statuses).map_err(|e| e.context(what))?;
    }
    let answer = patient
        .raw(
            Method::POST,
            "uploads",
            &[multipart],
            form("../../x", "image/png", &good),
        )
        .await?;
    answer.refused(&[422])?;
    for (kind, body) in [
        ("application/json", b"{}".to_vec()),
        ("multipart/form-data", form("a", "b", b"c")),
    ] {
        let answer = patient
            .raw(Method::POST, "uploads", &[("content-type", kind)], body)
            .await?;
        answer.refused(&[400, 415, 422]).map_err(|e| e.context(kind))?;
    }
    let cut = form("statement", "image/png", &good)[..200].to_vec();
    patient
        .raw(Method::POST, "uploads", &[multipart], cut)
        .await?
        .refused(&[400])?;
    let stranger = Person::new(&house.at.web)?;
    let answer = stranger
        .raw(
            Method::POST,
            "uploads",
            &[multipart],
            form("statement", "image/png", &good),
        )
        .await?;
    answer.refused(&[401])?;
    // A wrong label is no lie worth a refusal: what the bytes are is what is kept.
    let answer = patient
        .raw(
            Method::POST,
            "uploads",
            &[multipart],
            form("statement", "text/html", &good),
        )
        .await?;
    ensure!(
        answer.status.is_success() && answer.body["mime"] == "image/png",
        "{}",
        answer.body
    );
    Ok(())
}

async fn bookings_with_nonsense(house: &House) -> Result<()> {
    let patient = house.patient(0).await?;
    let good = house.booking(&patient, &house.time(0).await?, "nonsense").await?;
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    for (pointer, value) in [
        ("/key", json!("")),
        ("/key", json!("k".repeat(5_000))),
        ("/patient_id", json!("pat_x")),
        ("/patient_id", json!("' OR 1=1--")),
        ("/purpose", json!("first_visit")),
        ("/department_code", json!("K99")),
        ("/doctor_code", json!("D9999")),
        ("/slot/work_id", json!("W000")),
        ("/slot/date", json!("2026-13-45")),
        ("/slot/date", json!("1999-01-01")),
        ("/slot/begin", json!("25:99")),
        ("/statement/complaint", json!("")),
        ("/statement/complaint", json!("汉".repeat(50_000))),
        ("/photo_ids", json!(["blb_01m7ymtxafsptfrsq2zf222fe0"])),
        ("/photo_ids", json!(vec!["blb_01m7ymtxafsptfrsq2zf222fe0"; 1000])),
    ] {
        let mut body = changed(pointer, value);
        if pointer != "/key" {
            body["key"] = json!(format!("nonsense-{pointer}-{}", rand_tail(&body)));
        }
        let answer = house.ask(&house.cast.patient, "POST", "visits", body).await?;
        if answer.status.is_success() {
            // The hospital is asked, and it says no.
            let visit = answer.body["id"].as_str().context("a visit")?;
            let settled = house.reaches(visit, &["declined", "awaiting_payment"]).await?;
            ensure!(settled["state"] == "declined", "{pointer}: {settled}");
        } else {
            answer.refused(&[404, 409, 422]).map_err(|e| e.context(pointer))?;
        }
    }
    for number in ["431103196407301045", "43110319640730104", "x", "431103209907301044"] {
        let body = json!({ "name": "魏若兰", "id_number": number, "phone": "13800000000", "relation": "parent" });
        let answer = house.ask(&house.cast.patient, "POST", "patients", body).await?;
        answer.refused(&[422]).map_err(|e| e.context(number))?;
    }
    Ok(())
}

/// Marks that turn letters around and controls no XML carries are left out of what people write; the rest stays as it is.
async fn texts_with_characters_nobody_sees(house: &House) -> Result<()> {
    let patient = house.patient(0).await?;
    let mut body = house.booking(&patient, &house.time(1).await?, "unseen").await?;
    body["statement"]["complaint"] = json!("血压\u{b}平稳\u{1f}，\u{202e}续方\n𠮷 😀 <b>&|^~");
    body["statement"]["allergies"] = json!("\u{2066}青霉素\u{2069}");
    let visit = house.cast.patient.post("visits", body).await?;
    ensure!(
        visit["statement"]["complaint"] == json!("血压平稳，续方\n𠮷 😀 <b>&|^~"),
        "{}",
        visit["statement"]
    );
    ensure!(
        visit["statement"]["allergies"] == json!("青霉素"),
        "{}",
        visit["statement"]
    );
    let id = visit["id"].as_str().context("a visit")?;
    house.reaches(id, &["awaiting_payment"]).await?;
    let cancel = json!({ "reason": "填错了" });
    house.cast.patient.post(&format!("visits/{id}/cancel"), cancel).await?;
    Ok(())
}

/// No browser and no proxy keeps what we answer about somebody, and none guesses another type for it.
async fn answers_that_nobody_keeps(house: &House) -> Result<()> {
    let token = house.cast.patient.token().unwrap_or_default().to_owned();
    for path in ["patients", "visits", "auth/me", "visits/con_x", "nothing/here"] {
        let address = format!("{}/api/v1/{path}", house.at.web);
        let answer = reqwest::Client::new().get(address).bearer_auth(&token).send().await?;
        let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
        ensure!(
            header("cache-control") == Some("no-store"),
            "{path}: {:?}",
            answer.headers()
        );
        ensure!(header("x-content-type-options") == Some("nosniff"), "{path}");
    }
    Ok(())
}

/// Short and different for different bodies.
fn rand_tail(body: &Value) -> usize {
    body.to_string()
        .bytes()
        .fold(7, |sum: usize, b| sum.wrapping_mul(31).wrapping_add(usize::from(b)))
        % 100_000
}

async fn guessed_codes(house: &House) -> Result<()> {
    let stranger = Person::new(&house.at.web)?;
    for number in 0..200 {
        let answer = stranger
            .raw(Method::GET, &format!("verify/{number:016}"), &[], Vec::new())
            .await?;
        answer.refused(&[404, 429])?;
    }
    let pdf = ("content-type", "application/pdf");
    let answer = stranger
        .raw(Method::POST, "verify/nosuchcode/document", &[pdf], vec![7; 100_000])
        .await?;
    answer.refused(&[404, 429])?;
    Ok(())
}

/// After all of this the server holds no more than before a second round of it.
async fn memory_stays_flat(house: &House, writes: &[Write]) -> Result<()> {
    let held = async || {
        let memory = house.site.lock().await.processes().memory();
        memory
            .into_iter()
            .find(|(name, _)| *name == "cloud")
            .map_or(0, |(_, kib)| kib)
    };
    bodies_beyond_the_limit(house, writes).await?;
    let before = held().await;
    for _ in 0..3 {
        bodies_beyond_the_limit(house, writes).await?;
    }
    let after = held().await;
    ensure!(after < before + (60 << 10), "{before} KiB before, {after} after");
    Ok(())
}
