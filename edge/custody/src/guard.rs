//! Deadlines around a device: its calls run on threads of their own, so that a library that hangs takes no caller with it.
//!
//! A call waits for a free thread (then [`Fault::Busy`]: it did not happen) and, once begun, for its answer (then
//! [`Fault::Silent`]: it may have happened). After one silence nothing is sent to the device until [`Guarded::reset`] opens it
//! anew on new threads. A thread that hangs inside foreign code cannot be ended; it is left behind, and their number is bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::{
    Cipher, CipherKey, Device, DeviceInfo, Direction, Fault, KeyAlgorithm, KeyInfo, KeyRef, Mode, Pin, PublicKey,
    Scheme, Unwrap,
};

/// How long a device may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// An everyday call. Longer than the wait for a session inside the device (3 s).
    pub call: Duration,
    /// Opening the device, and making a key: RSA in a small token takes a minute.
    pub slow: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(5),
            slow: Duration::from_secs(120),
        }
    }
}

/// Threads that may hang in a library before only a restart of the process helps.
const MOST_STUCK: usize = 32;

/// How long the end waits for threads that still work.
const WIND_DOWN: Duration = Duration::from_secs(2);

type Make = Box<dyn Fn() -> Result<Box<dyn Device>, Fault> + Send + Sync>;
type Job = Box<dyn FnOnce(&dyn Device) + Send>;

/// A device behind deadlines. Cheap to share by reference; all calls may come from many threads.
pub struct Guarded {
    make: Arc<Make>,
    pin: Arc<Pin>,
    workers: usize,
    deadlines: Deadlines,
    line: Mutex<Arc<Line>>,
    stuck: Arc<AtomicUsize>,
}

/// The jobs of one opening of the device.
#[derive(Default)]
struct Line {
    jobs: Mutex<VecDeque<Job>>,
    posted: Condvar,
    /// Threads at work, to wait for at the end.
    workers: Mutex<usize>,
    ended: Condvar,
    silent: AtomicBool,
    closed: AtomicBool,
}

enum Stage<T> {
    Waiting,
    Running,
    Done(Result<T, Fault>),
    Abandoned,
}

/// Where a caller and a worker meet.
struct Meeting<T> {
    stage: Mutex<Stage<T>>,
    moved: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Meeting<T> {
    fn new() -> Self {
        Self {
            stage: Mutex::new(Stage::Waiting),
            moved: Condvar::new(),
        }
    }

    /// Moves on, unless the caller went away.
    fn enter(&self, next: Stage<T>) -> bool {
        let mut stage = lock(&self.stage);
        let here = !matches!(*stage, Stage::Abandoned);
        if here {
            *stage = next;
        }
        drop(stage);
        self.moved.notify_all();
        here
    }

    /// Waits until the stage is past `Waiting` (or past `Running`).
    fn wait(&self, patience: Duration, past: fn(&Stage<T>) -> bool) -> MutexGuard<'_, Stage<T>> {
        let until = Instant::now() + patience;
        let mut stage = lock(&self.stage);
        while !past(&stage) {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            stage = self
                .moved
                .wait_timeout(stage, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        stage
    }
}

impl Line {
    fn post(&self, job: Job) {
        lock(&self.jobs).push_back(job);
        self.posted.notify_one();
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        loop {
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            if let Some(job) = jobs.pop_front() {
                return Some(job);
            }
            jobs = self.posted.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread of the device.
    fn serve(&self, device: Arc<dyn Device>) {
        while let Some(job) = self.next() {
            job(device.as_ref());
        }
        // The last one closes the device.
        drop(device);
        *lock(&self.workers) -= 1;
        self.ended.notify_all();
    }

    /// Waits until the threads have left the library: a process that ends while they are in it crashes in some.
    fn wind_down(&self) {
        let until = Instant::now() + WIND_DOWN;
        let mut workers = lock(&self.workers);
        while *workers > 0 {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return;
            };
            workers = self
                .ended
                .wait_timeout(workers, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Workers end when they are free. What still waits is answered by its own deadline.
    fn close(&self) {
        self.silent.store(true, Ordering::Release);
        self.closed.store(true, Ordering::Release);
        // Under the lock, so that nobody misses it between looking and waiting.
        drop(lock(&self.jobs));
        self.posted.notify_all();
    }
}

impl Guarded {
    /// Not opened yet.
    pub(crate) fn new(make: Make, pin: Arc<Pin>, workers: usize, deadlines: Deadlines) -> Self {
        let guarded = Self {
            make: Arc::new(make),
            pin,
            workers: workers.clamp(1, 64),
            deadlines,
            line: Mutex::default(),
            stuck: Arc::default(),
        };
        lock(&guarded.line).close();
        guarded
    }

    /// Opens the device anew, with new threads: after it was silent, replaced or repaired.
    pub fn reset(&self) -> Result<(), Fault> {
        if self.stuck.load(Ordering::Acquire) >= MOST_STUCK {
            return Err(Fault::Gone(
                "too many threads hang in the library; restart the service".into(),
            ));
        }
        lock(&self.line).close();
        let meeting = Arc::new(Meeting::new());
        let (make, theirs, stuck) = (Arc::clone(&self.make), Arc::clone(&meeting), Arc::clone(&self.stuck));
        let open = move || {
            theirs.enter(Stage::Running);
            if !theirs.enter(Stage::Done(make().map(Arc::<dyn Device>::from))) {
                stuck.fetch_sub(1, Ordering::AcqRel);
            }
        };
        thread("device-open", open)?;
        let device = self.collect(&meeting, self.deadlines.slow)?;
        let line = Arc::new(Line::default());
        for _ in 0..self.workers {
            let (line, device) = (Arc::clone(&line), Arc::clone(&device));
            *lock(&line.workers) += 1;
            thread("device", move || line.serve(device))?;
        }
        *lock(&self.line) = line;
        Ok(())
    }

    /// Whether the device stopped answering and waits for [`Guarded::reset`].
    #[must_use]
    pub fn is_silent(&self) -> bool {
        lock(&self.line).silent.load(Ordering::Acquire)
    }

    /// Waits for a call that began, or gives it up.
    fn collect<T>(&self, meeting: &Meeting<T>, patience: Duration) -> Result<T, Fault> {
        let mut stage = meeting.wait(patience, |stage| matches!(stage, Stage::Done(_)));
        match std::mem::replace(&mut *stage, Stage::Abandoned) {
            Stage::Done(outcome) => outcome,
            _ => {
                self.stuck.fetch_add(1, Ordering::AcqRel);
                let after_ms = patience.as_millis() as u64;
                Err(Fault::Silent { after_ms })
            }
        }
    }

    /// Runs one call on a thread of the device.
    fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&dyn Device) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let line = Arc::clone(&lock(&self.line));
        if line.silent.load(Ordering::Acquire) {
            return Err(Fault::Withheld);
        }
        let meeting = Arc::new(Meeting::new());
        let (theirs, at, stuck) = (Arc::clone(&meeting), Arc::downgrade(&line), Arc::clone(&self.stuck));
        line.post(Box::new(move |device| {
            let silent = at.upgrade().is_none_or(|line| line.silent.load(Ordering::Acquire));
            if silent {
                theirs.enter(Stage::Done(Err(Fault::Withheld)));
            } else if theirs.enter(Stage::Running) && !theirs.enter(Stage::Done(work(device))) {
                stuck.fetch_sub(1, Ordering::AcqRel);
            }
        }));
        let mut stage = meeting.wait(patience, |stage| !matches!(stage, Stage::Waiting));
        if matches!(*stage, Stage::Waiting) {
            *stage = Stage::Abandoned;
            return Err(Fault::Busy);
        }
        drop(stage);
        let outcome = self.collect(&meeting, patience);
        if matches!(outcome, Err(Fault::Silent { .. })) {
            line.silent.store(true, Ordering::Release);
            tracing::error!(
                device.after_ms = patience.as_millis() as u64,
                "a key device does not answer"
            );
        }
        outcome
    }

    fn soon<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Device) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.run(self.deadlines.call, work)
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Fault> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned
        .map(drop)
        .map_err(|error| Fault::Gone(format!("no thread for the device: {error}")))
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let line = Arc::clone(&lock(&self.line));
        let silent = line.silent.load(Ordering::Acquire);
        line.close();
        if !silent {
            line.wind_down();
        }
    }
}

impl Device for Guarded {
    fn info(&self) -> Result<DeviceInfo, Fault> {
        self.soon(|device| device.info())
    }

    fn keys(&self) -> Result<Vec<KeyInfo>, Fault> {
        self.soon(|device| device.keys())
    }

    fn generate(&self, label: &str, algorithm: KeyAlgorithm) -> Result<KeyInfo, Fault> {
        let label = label.to_owned();
        self.run(self.deadlines.slow, move |device| device.generate(&label, algorithm))
    }

    fn public_key(&self, key: &KeyRef) -> Result<PublicKey, Fault> {
        let key = key.clone();
        self.soon(move |device| device.public_key(&key))
    }

    fn sign(&self, key: &KeyRef, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>, Fault> {
        let (key, digest) = (key.clone(), digest.to_vec());
        self.soon(move |device| device.sign(&key, scheme, &digest))
    }

    fn decrypt(&self, key: &KeyRef, scheme: Unwrap, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let (key, ciphertext) = (key.clone(), ciphertext.to_vec());
        self.soon(move |device| device.decrypt(&key, scheme, &ciphertext))
    }

    fn cipher(
        &self,
        key: &CipherKey,
        cipher: Cipher,
        mode: Mode,
        direction: Direction,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let (key, data) = (key.clone(), Zeroizing::new(data.to_vec()));
        self.soon(move |device| device.cipher(&key, cipher, mode, direction, &data))
    }

    fn sm3(&self, data: &[u8]) -> Result<[u8; 32], Fault> {
        let data = Zeroizing::new(data.to_vec());
        self.soon(move |device| device.sm3(&data))
    }

    fn random(&self, length: usize) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.soon(move |device| device.random(length))
    }

    fn destroy(&self, key: &KeyRef) -> Result<(), Fault> {
        let key = key.clone();
        self.soon(move |device| device.destroy(&key))
    }

    fn give_pin(&self, pin: Zeroizing<String>) {
        // Only remembered, not sent: it works for a device that is silent as well.
        self.pin.give(pin);
    }
}
