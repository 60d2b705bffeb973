//! Ports nobody listens on.
//!
//! They lie below the range from which the system takes the ports of outgoing connections: one of those could take a
//! port between our asking and a program's listening, and a connection to a port nobody listens on yet could even be
//! joined to itself.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where to look. `site` looks above it, so that a test with a whole site and parts of its own does not compete.
const RANGE: std::ops::Range<u32> = 10_240..20_000;

/// The next place to look; every port is given once per process, and processes begin at different places.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A TCP and UDP port that is free on the loopback interface.
pub fn free_port() -> u16 {
    let width = RANGE.end - RANGE.start;
    let begin = std::process::id().wrapping_mul(101);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + begin.wrapping_add(step) % width;
        let port = u16::try_from(port).expect("the range lies within 16 bits");
        let at = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
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
