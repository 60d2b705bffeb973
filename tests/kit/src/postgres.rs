//! A private PostgreSQL server in a temporary folder, one per test process, a fresh database per call.
//!
//! `YIQIAO_TEST_POSTGRES` (a URL whose user may create databases) is used instead when set. A test that needs
//! PostgreSQL never passes without one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::ports::free_port;

static SERVER: OnceLock<String> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);
static FOLDER: Mutex<Option<tempfile::TempDir>> = Mutex::new(None);

/// The URL of a new, empty database.
pub fn database() -> String {
    let server = SERVER.get_or_init(|| match std::env::var("YIQIAO_TEST_POSTGRES") {
        Ok(url) if !url.is_empty() => url,
        _ => start(),
    });
    let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    psql(server, &format!("CREATE DATABASE {name}"));
    with_database(server, &name)
}

/// Runs statements with psql, outside of anything under test.
pub fn psql(url: &str, sql: &str) -> String {
    let out = Command::new(bin().join("psql"))
        .args([url, "-v", "ON_ERROR_STOP=1", "-Atqc", sql])
        .output()
        .expect("psql runs");
    assert!(
        out.status.success(),
        "psql: {sql}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(b, q)| (b, Some(q)));
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    let query = query.map_or_else(String::new, |q| format!("?{q}"));
    format!("{}/{name}{query}", &base[..end])
}

/// The newest installed server's programs.
fn bin() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|dir| dir.flatten().map(|e| e.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found
        .pop()
        .expect("PostgreSQL is not installed (package postgresql) and YIQIAO_TEST_POSTGRES is not set")
}

/// PostgreSQL refuses to run as root.
fn as_server_user(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn start() -> String {
    let folder = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir()
        .expect("a temporary folder");
    let data = folder.path().join("data");
    run(Command::new("chmod").arg("777").arg(folder.path()));
    run(as_server_user(&bin().join("initdb"))
        .args(["-A", "trust", "-U", "yiqiao", "-E", "UTF8", "--no-sync", "-D"])
        .arg(&data));
    let port = free_port();
    // The watcher ends the server when this process is gone, however it went. Nobody tidies the template behind a test's back:
    // no database is made of one that somebody else uses.
    let script = format!(
        "'{postgres}' -D '{data}' -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 \
         -c autovacuum=off -c shared_buffers=64MB > '{log}' 2>&1 & server=$!; \
         while kill -0 $server 2>/dev/null && [ -d /proc/{owner} ]; do sleep 0.2; done; \
         kill -INT $server 2>/dev/null; wait $server; rm -rf '{data}'",
        postgres = bin().join("postgres").display(),
        data = data.display(),
        log = folder.path().join("log").display(),
        owner = std::process::id(),
    );
    let mut shell = as_server_user(Path::new("/bin/sh"));
    shell.args(["-c", &script]);
    shell
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    drop(shell.spawn().expect("the server starts"));

    let url = format!("postgres://yiqiao@127.0.0.1:{port}/postgres");
    let until = Instant::now() + Duration::from_secs(180);
    loop {
        let up = Command::new(bin().join("psql"))
            .args([&url, "-Atqc", "SELECT 1"])
            .output();
        if up.is_ok_and(|o| o.status.success()) {
            break;
        }
        if Instant::now() > until {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            panic!("PostgreSQL does not start:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Held for the life of the process; the watcher empties it afterwards.
    *FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    url
}

fn run(command: &mut Command) {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}
