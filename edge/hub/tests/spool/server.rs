//! Through a print server: Debian's cupsd with a configuration of its own, on the loopback address, without root's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hub::{Language, PrinterConfig, SlipFont, State};
use kit::process::Process;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::printer::{Printer, scan};
use crate::window::Window;

struct Server {
    _process: Process,
    port: u16,
}

/// A server with the queue `slips`, which hands what it gets to this shell script.
async fn server(dir: &Path, delivery: &str) -> Server {
    let port = kit::ports::free_port();
    for folder in ["root", "state", "cache", "spool", "tmp", "log", "bin/backend", "out"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    // The server gives itself and its backends to an unprivileged user when it was started by root.
    for (folder, mode) in [("..", 0o755), ("", 0o755), ("out", 0o777)] {
        fs::set_permissions(dir.join(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("/usr/lib/cups/daemon", dir.join("bin/daemon")).unwrap();
    let backend = dir.join("bin/backend/wire");
    let script =
        format!("#!/bin/bash\n[ $# -eq 0 ] && {{ echo 'network wire \"Unknown\" \"wire\"'; exit 0; }}\n{delivery}\n");
    fs::write(&backend, script).unwrap();
    fs::set_permissions(&backend, fs::Permissions::from_mode(0o755)).unwrap();
    let at = dir.display();
    let everyone = "<Location />\nOrder deny,allow\n</Location>\n<Policy default>\n<Limit All>\nOrder deny,allow\n</Limit>\n</Policy>\n";
    let own = format!("Listen 127.0.0.1:{port}\nWebInterface No\nBrowsing Off\nDefaultAuthType None\n{everyone}");
    fs::write(dir.join("cupsd.conf"), own).unwrap();
    let files = format!(
        "ServerRoot {at}/root\nStateDir {at}/state\nCacheDir {at}/cache\nRequestRoot {at}/spool\nTempDir {at}/tmp\nServerBin {at}/bin\n\
         DataDir /usr/share/cups\nAccessLog {at}/log/access\nErrorLog {at}/log/error\nPageLog {at}/log/page\nPrintcap\n"
    );
    fs::write(dir.join("files.conf"), files).unwrap();
    let queue = "<Printer slips>\nInfo slips\nDeviceURI wire://here\nState Idle\nAccepting Yes\nShared No\nErrorPolicy abort-job\n</Printer>\n";
    fs::write(dir.join("root/printers.conf"), queue).unwrap();
    let (conf, files) = (dir.join("cupsd.conf"), dir.join("files.conf"));
    let args = ["-f", "-c", conf.to_str().unwrap(), "-s", files.to_str().unwrap()];
    let process = Process::start("/usr/sbin/cupsd", &args);
    let end = Instant::now() + Duration::from_secs(60);
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(Instant::now() < end, "cupsd does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Server {
        _process: process,
        port,
    }
}

impl Server {
    fn config(&self, language: Language, printer: &Printer) -> PrinterConfig {
        PrinterConfig {
            address: format!("ipp://127.0.0.1:{}/printers/slips", self.port),
            language,
            answer_s: 30,
            ..printer.config("dispensing_window")
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_print_server_hands_the_printers_own_language_on_and_says_when_it_did() {
    let (dir, printer) = (
        tempfile::tempdir().unwrap(),
        Printer::speaking(Language::Tspl, 864, 203).on(),
    );
    let delivery = format!("cat \"${{6:--}}\" > /dev/tcp/127.0.0.1/{}", printer.port);
    let server = server(&dir.path().join("cups"), &delivery).await;
    let config = server.config(Language::Tspl, &printer);
    let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
    window.print("8F3K2210").await;
    window.until("8F3K2210", State::Printed).await;
    assert_eq!(printer.scanned(dir.path()).await, ["QR-Code:YQ-8F3K2210"]);
    assert_eq!(printer.slips().await, 1);
    window.until_health(0, "ready").await;
    window.close().await;
}

/// Answers one question of IPP: idle to who asks for its state, a breakdown to who brings a job.
async fn break_down(stream: TcpStream, jobs: &AtomicU32) -> std::io::Result<()> {
    let mut line = BufReader::new(stream);
    let (mut length, mut text) = (0, String::new());
    while line.read_line(&mut text).await? > 2 {
        if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.clear();
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).await?;
    let answer = if body[2..4] == [0, 2] {
        jobs.fetch_add(1, Ordering::SeqCst);
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    } else {
        let attribute = |tag: u8, name: &str, value: &[u8]| {
            let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
            [
                &[tag],
                &length(name.len())[..],
                name.as_bytes(),
                &length(value.len()),
                value,
            ]
            .concat()
        };
        let said = [
            &[2, 0, 0, 0][..],
            &body[4..8],
            &[1],
            &attribute(0x47, "attributes-charset", b"utf-8"),
            &attribute(0x48, "attributes-natural-language", b"en"),
            &[4],
            &attribute(0x23, "printer-state", &3u32.to_be_bytes()),
            &[3],
        ]
        .concat();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            said.len()
        );
        [head.into_bytes(), said].concat()
    };
    line.into_inner().write_all(&answer).await
}

/// It may have printed before it broke down: a person looks, and it is not given the job again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_print_server_that_breaks_down_over_a_job_is_not_given_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let printer = Printer::speaking(Language::Escpos, 576, 203);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let jobs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&jobs);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = break_down(stream, &counted).await;
        }
    });
    let config = PrinterConfig {
        address: format!("ipp://{address}/printers/slips"),
        language: Language::Png,
        ..printer.config("dispensing_window")
    };
    let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
    window.print("a").await;
    window.until("a", State::Unknown).await;
    window.until_health(0, "ready").await;
    assert_eq!(jobs.load(Ordering::SeqCst), 1);
    window.close().await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_print_server_gets_a_picture_and_one_that_gives_up_leaves_a_question() {
    let (dir, printer) = (
        tempfile::tempdir().unwrap(),
        Printer::speaking(Language::Escpos, 576, 203),
    );
    let out = dir.path().join("cups/out");
    let delivery = format!(
        "[ -e {0}/broken ] && exit 1\ncat \"${{6:--}}\" > {0}/slip.png",
        out.display()
    );
    let server = server(&dir.path().join("cups"), &delivery).await;
    let config = server.config(Language::Png, &printer);
    let window = Window::before(dir.path(), vec![config], SlipFont::default()).await;
    window.print("8F3K2210").await;
    window.until("8F3K2210", State::Printed).await;
    assert_eq!(scan(&out.join("slip.png")), ["QR-Code:YQ-8F3K2210"]);
    fs::write(out.join("broken"), "").unwrap();
    window.print("b").await;
    window.until("b", State::Unknown).await;
    drop(server);
    window.print("c").await;
    window.until_health(0, "offline").await;
    assert_eq!(window.state("c").await.0, State::Waiting);
    window.close().await;
}
