//! A character device, e.g. `/dev/usb/lp0`, without a thread that waits in it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `O_NONBLOCK` and `O_NOCTTY` of Linux.
const FLAGS: i32 = 0o4000 | 0o400;

pub(super) struct Device {
    fd: AsyncFd<File>,
}

impl Device {
    #[expect(unsafe_code, reason = "AsyncFd has no safe constructor any more")]
    pub(super) fn open(path: &str) -> io::Result<Self> {
        let file = File::options().read(true).write(true).custom_flags(FLAGS).open(path)?;
        // SAFETY: `File` owns its descriptor and answers the same one for as long as it lives; it is moved into the
        // `AsyncFd` here, is only reached through shared references (`get_ref`), and is closed when that is dropped.
        let fd = unsafe { AsyncFd::register(file) }?;
        Ok(Self { fd })
    }
}

impl AsyncRead for Device {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            match guard.try_io(|fd| fd.get_ref().read(room)) {
                Ok(Ok(n)) => {
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Device {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            if let Ok(done) = guard.try_io(|fd| fd.get_ref().write(bytes)) {
                return Poll::Ready(done);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
