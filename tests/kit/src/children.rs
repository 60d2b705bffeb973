//! Children that do not outlive us, however we end: the kernel kills them (prctl(2), `PR_SET_PDEATHSIG`). `setpriv` of
//! util-linux asks it to, so that nothing here is unsafe.
//!
//! The kernel means the *thread* that started a child, and threads of tests and runtimes come and go: all are started by one
//! thread that stays.
//!
//! Nor do they hold what is ours: a library in C opens its connections so that any child inherits them. A connection to a
//! software TPM, which serves one at a time, would then stay open for as long as some other test's daemon runs.

use std::ffi::OsStr;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Work = Box<dyn FnOnce() + Send>;

static STAYING: OnceLock<Sender<Work>> = OnceLock::new();

/// Words before a program that bind its life to that of the thread which starts it, and leave it no descriptor of ours but
/// the standard streams.
pub const BOUND: [&str; 8] = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "--",
    "bash",
    "-c",
    r#"for fd in /proc/$$/fd/*; do fd=${fd##*/}; ((fd > 2)) && eval "exec $fd>&-"; done; exec "$@""#,
    "bound",
];

/// Does `work`, which starts a child, on the thread that lives as long as this process.
///
/// # Panics
/// When the work does.
pub fn on_the_staying_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let staying = STAYING.get_or_init(|| {
        let (to, from) = channel::<Work>();
        std::thread::Builder::new()
            .name("parent of children".to_owned())
            .spawn(move || from.into_iter().for_each(|work| work()))
            .expect("a thread starts");
        to
    });
    let (to, from) = channel();
    let work: Work = Box::new(move || {
        let _ = to.send(work());
    });
    staying.send(work).expect("the staying thread stays");
    from.recv().expect("the child's start did not panic")
}

/// The same command, bound: program, arguments, environment and folder; standard streams are still to be set.
pub fn bound(command: &Command) -> Command {
    let [program, words @ ..] = BOUND;
    let mut bound = Command::new(program);
    bound.args(words).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Starts a command that was [`bound`].
///
/// # Errors
/// When `setpriv` cannot be started; a program that cannot is told of on its standard error.
pub fn start(mut bound: Command) -> std::io::Result<Child> {
    on_the_staying_thread(move || bound.spawn())
}

/// A bound program without arguments yet.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    bound(&Command::new(name))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_has_no_descriptor_of_its_parent_but_the_standard_streams() {
        // A parent that holds a file which its children inherit.
        let held = |words: &[&str]| {
            let mut parent = Command::new("bash");
            parent.args(["-c", r#"exec 9</dev/null; "$@""#, "parent"]).args(words);
            parent.args(["sh", "-c", "[ -e /proc/$$/fd/9 ] && echo held"]);
            String::from_utf8(parent.output().expect("bash").stdout).expect("text")
        };
        assert_eq!((held(&[]).trim(), held(&BOUND).trim()), ("held", ""));
    }

    /// A test process that starts a child and is killed: the child is gone, too.
    #[test]
    fn a_child_of_a_killed_parent_is_killed() {
        const INNER: &str = "YIQIAO_KIT_PARENT";
        if std::env::var_os(INNER).is_some() {
            // Started by a thread that ends at once: the child does not mind that.
            let started = std::thread::spawn(|| {
                let mut command = program("sleep");
                command.arg("600").stdout(Stdio::null());
                start(command).expect("sleep starts")
            });
            let mut child = started.join().expect("the thread ends");
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(
                child.try_wait().expect("asked").is_none(),
                "the child ended with its thread"
            );
            println!("child {}", child.id());
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        let mut parent = Command::new(std::env::current_exe().expect("own path"));
        parent.args([
            "--exact",
            "--nocapture",
            "children::tests::a_child_of_a_killed_parent_is_killed",
        ]);
        parent.env(INNER, "1");
        let mut parent = bound(&parent);
        parent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut parent = start(parent).expect("the test starts");
        let (mut said, mut byte) = (String::new(), [0u8]);
        let mut out = parent.stdout.take().expect("piped");
        let child: u32 = loop {
            assert_eq!(out.read(&mut byte).expect("read"), 1, "the parent ended: {said}");
            said.push(char::from(byte[0]));
            let told = said
                .rsplit("child ")
                .next()
                .filter(|_| said.contains("child ") && byte[0] == b'\n');
            if let Some(number) = told.and_then(|t| t.trim().parse().ok()) {
                break number;
            }
        };
        let alive = || std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        assert!(alive());
        parent.kill().expect("killed");
        parent.wait().expect("gone");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while alive() {
            assert!(std::time::Instant::now() < until, "the child lives on");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
