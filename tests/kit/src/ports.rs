//! Ports nobody listens on.
//!
//! They lie below the range from which the system takes the ports of outgoing connections: one of those could take a
//! port between our asking and a program's listening, and a connection to a port nobody listens on yet could even be
//! joined to itself.
//!
//! Whoever is given a port claims it for the life of the process, so that nobody else who asks here is given it before
//! its program listens, nor while that is stopped and started again.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where to look. `site` looks above it, so that a test with a whole site and parts of its own does not compete.
const RANGE: Range<u32> = 10_240..20_000;

/// The next place to look; every port is given once per process, and processes begin at different places.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The claims of this process: names that the kernel gives to one process at a time and takes back when it ends, however
/// it ends.
static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// Claims all of these ports or none. Says nothing of whether somebody listens there.
pub fn claim(ports: Range<u16>) -> bool {
    let mut claims = Vec::new();
    for port in ports {
        let name = SocketAddr::from_abstract_name(format!("yiqiao port {port}"));
        match name.and_then(|name| UnixListener::bind_addr(&name)) {
            Ok(claim) => claims.push(claim),
            Err(_) => return false,
        }
    }
    CLAIMS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .append(&mut claims);
    true
}

/// A TCP and UDP port that is free on the loopback interface.
pub fn free_port() -> u16 {
    let width = RANGE.end - RANGE.start;
    let begin = std::process::id().wrapping_mul(101);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + begin.wrapping_add(step) % width;
        let port = u16::try_from(port).expect("the range lies within 16 bits");
        let at = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() && claim(port..port + 1) {
            return port;
        }
    }
    panic!("no port of {RANGE:?} is free");
}

/// Several different free ports.
pub fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| free_port())
}

/// Two free ports of which the second follows the first.
pub fn neighbouring_ports() -> [u16; 2] {
    let mut first = free_port();
    loop {
        let second = free_port();
        if second == first + 1 {
            return [first, second];
        }
        first = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_port_is_nobody_elses_and_claims_are_for_all_or_none() {
        let port = free_port();
        assert!(!claim(port..port + 1), "claimed twice");
        // Beyond all ports that are given.
        let mut quartets = (40_000..60_000).step_by(4);
        let first = quartets.find(|first| claim(first + 3..first + 4)).unwrap();
        assert!(!claim(first..first + 4), "one of them was claimed");
        assert!(claim(first..first + 3), "so none of the others was");
    }
}
