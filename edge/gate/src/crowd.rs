//! Connections as they come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::places::Place;

/// What could not be accepted is tried again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is there at a time; more wait in the system's queue.
#[derive(Debug)]
pub struct Crowd {
    most: usize,
    free: Arc<Semaphore>,
    highest: AtomicUsize,
}

impl Crowd {
    /// Nobody yet, and never more than these.
    #[must_use]
    pub fn of(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            highest: AtomicUsize::new(0),
        })
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// The most there were since [`Self::settle`].
    #[must_use]
    pub fn highest(&self) -> usize {
        self.highest.load(Ordering::Relaxed)
    }

    /// A rush is over: the most there were is what there are.
    pub fn settle(&self) {
        self.highest.store(self.open(), Ordering::Relaxed);
    }
}

/// Accepts until told to stop, and has each connection met in a task of its own. Whom `admit` gives no place is closed at
/// once.
pub async fn accept<M, F>(
    listener: TcpListener,
    crowd: &Arc<Crowd>,
    admit: impl Fn(IpAddr) -> Option<Place>,
    stop: &CancellationToken,
    meet: M,
) where
    M: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let accepted = async {
            let free = Arc::clone(&crowd.free).acquire_owned().await;
            (free, listener.accept().await)
        };
        let (free, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will be given back.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(place) = admit(address.ip()) else {
            // Closed at once; its place is for somebody else.
            continue;
        };
        crowd.highest.fetch_max(crowd.open(), Ordering::Relaxed);
        // Small answers leave at once.
        let _ = stream.set_nodelay(true);
        let met = meet(stream, address);
        tokio::spawn(async move {
            met.await;
            drop((place, free));
        });
    }
}
