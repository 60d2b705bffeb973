//! Ports nobody listens on.

use std::net::{Ipv4Addr, TcpListener};

/// A free TCP port on the loopback interface. It is free at the moment of asking: take it soon.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Several different free ports.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|l| l.local_addr().expect("a bound listener has an address").port())
}
