//! Named tasks that are started again when they end without being told to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts and watches tasks.
#[derive(Clone)]
pub(crate) struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
    restarts: Arc<Mutex<Vec<(&'static str, u32)>>>,
}

impl Supervisor {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: TaskTracker::new(),
            stop,
            restarts: Arc::default(),
        }
    }

    /// Runs a task until stopped; when it ends or panics before, it is started again after a pause.
    pub(crate) fn keep<F, Fut>(&self, name: &'static str, make: F)
    where
        F: Fn(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let own = self.clone();
        self.tasks.spawn(async move {
            let mut pause = Duration::from_secs(1);
            while !own.stop.is_cancelled() {
                let ended = tokio::spawn(make(own.stop.clone())).await;
                if own.stop.is_cancelled() {
                    break;
                }
                match ended {
                    Ok(Ok(())) => tracing::error!(task = name, "task ended; it is started again"),
                    Ok(Err(error)) => tracing::error!(
                        task = name,
                        error = format!("{error:#}"),
                        "task failed; it is started again"
                    ),
                    Err(panic) => tracing::error!(task = name, %panic, "task panicked; it is started again"),
                }
                own.count(name);
                tokio::select! {
                    () = own.stop.cancelled() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(Duration::from_secs(30));
            }
        });
    }

    fn count(&self, name: &'static str) {
        let mut restarts = self.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        match restarts.iter_mut().find(|(n, _)| *n == name) {
            Some((_, count)) => *count += 1,
            None => restarts.push((name, 1)),
        }
    }

    /// Tasks that had to be started again, and how often.
    pub(crate) fn restarts(&self) -> Vec<(&'static str, u32)> {
        self.restarts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for all tasks after the stop.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_and_one_that_is_stopped_is_not() {
        let stop = CancellationToken::new();
        let supervisor = Supervisor::new(stop.clone());
        let runs = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&runs);
        supervisor.keep("trial", move |stop| {
            let run = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                match run {
                    0 => panic!("first"),
                    1 => anyhow::bail!("second"),
                    _ => stop.cancelled().await,
                }
                Ok(())
            }
        });
        let end = std::time::Instant::now() + Duration::from_secs(120);
        while runs.load(Ordering::SeqCst) < 3 {
            assert!(std::time::Instant::now() < end);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(supervisor.restarts(), [("trial", 2)]);
        stop.cancel();
        supervisor.ended().await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
