//! The time server that most machines use. It runs with `-x` and never touches this machine's clock.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use timesource::{Policy, Source, State};

use crate::{Machine, Running, is_trusted, policy, row};

struct Chrony {
    process: Child,
    folder: TempDir,
    ntp: u16,
    exchange: u16,
    ca_pem: String,
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

impl Chrony {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [ntp, exchange] = kit::ports::free_ports();
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &root).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("key.pem"), key.serialize_pem()).unwrap();
        fs::write(at("leaf.pem"), leaf.pem()).unwrap();
        let configuration = format!(
            "port {ntp}\nbindaddress 127.0.0.1\nbindaddress ::1\ncmdport 0\nbindcmdaddress /\nlocal stratum 3\nallow\n\
             pidfile {pid}\nntsport {exchange}\nntsprocesses 0\nntsserverkey {key}\nntsservercert {leaf}\n",
            pid = at("pid").display(),
            key = at("key.pem").display(),
            leaf = at("leaf.pem").display(),
        );
        fs::write(at("chrony.conf"), configuration).unwrap();
        let process = Self::run(&folder);
        Self {
            process,
            folder,
            ntp,
            exchange,
            ca_pem: root.pem(),
        }
    }

    fn run(folder: &TempDir) -> Child {
        let mut command = Command::new("/usr/sbin/chronyd");
        command
            .args(["-x", "-d", "-U", "-f"])
            .arg(folder.path().join("chrony.conf"));
        // As root it would otherwise change to a user that may not read the folder.
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.args(["-u", "root"]);
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().expect("chronyd, of Debian's package chrony")
    }

    /// Ends it and starts another, which knows nothing of the cookies of the first.
    fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let _gone = fs::remove_file(self.folder.path().join("pid"));
        self.process = Self::run(&self.folder);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Asks until it is up, at most a minute.
async fn trusted(running: &Running, chrony: &Chrony) -> timesource::Status {
    for _ in 0..600 {
        let status = running.polled().await;
        if is_trusted(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}\n{}", running.keeper.status(), chrony.log());
}

#[tokio::test]
async fn chronyd_tells_the_time_over_both_protocols_of_the_internet() {
    let chrony = Chrony::start();
    for host in ["127.0.0.1", "::1", "localhost"] {
        let source = Source {
            host: host.to_owned(),
            port: Some(chrony.ntp),
            nts: false,
        };
        let running = Running::start(policy(vec![source]), &Machine::ahead(-3_000_000));
        let status = trusted(&running, &chrony).await;
        let State::Trusted(known) = status.state else {
            panic!("{status:?}")
        };
        assert_eq!(known.stratum, 3);
        assert!(known.offset_us.abs_diff(3_000_000) <= known.error_us, "{known:?}");
        let row = row(&status);
        assert!(
            row.error_us.unwrap() <= row.delay_us.unwrap() / 2 + 2_000_000,
            "{row:?}"
        );
    }
}

#[tokio::test]
async fn chronyd_protects_its_answers_and_keys_are_agreed_anew_after_its_restart() {
    let mut chrony = Chrony::start();
    let source = Source {
        host: "localhost".to_owned(),
        port: Some(chrony.exchange),
        nts: true,
    };
    let policy = Policy {
        nts_ca_pem: Some(chrony.ca_pem.clone()),
        ..policy(vec![source])
    };
    let running = Running::start(policy, &Machine::ahead(0));
    trusted(&running, &chrony).await;
    for _ in 0..6 {
        let status = running.polled().await;
        assert!(is_trusted(&status), "{status:?}\n{}", chrony.log());
    }
    chrony.restart();
    let status = trusted(&running, &chrony).await;
    assert!(row(&status).nts);
    assert_eq!(row(&status).stratum, Some(3));
}
