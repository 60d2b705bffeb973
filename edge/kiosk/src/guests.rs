//! Who may be connected to the page. A terminal's own connections and those of any other machine of the network are counted
//! apart: a stranger, who gets no more than a refusal in words, takes no place of a patient's.

use std::net::IpAddr;
use std::sync::Arc;

use gate::{Bounds, Place, Places};

/// Connections of all terminals at a time.
const OF_TERMINALS: usize = 64;
/// Of one terminal: its browser opens six, its watchdog one, and what a terminal left that lost its power stands for minutes.
const PER_TERMINAL: usize = 32;
/// Connections of all other machines at a time.
const OF_STRANGERS: usize = 16;
/// Of one of these.
const PER_STRANGER: usize = 4;

/// All together.
pub(crate) const MOST: usize = OF_TERMINALS + OF_STRANGERS;

/// Whether the page is for this address: the appliance itself, or a registered terminal.
pub(crate) fn is_terminal(allow: &[IpAddr], address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || allow.iter().any(|own| own.to_canonical() == address)
}

/// The connections of a page.
#[derive(Debug)]
pub(crate) struct Guests {
    allow: Vec<IpAddr>,
    terminals: Arc<Places>,
    strangers: Arc<Places>,
}

impl Guests {
    /// Nobody is connected.
    pub(crate) fn new(allow: &[IpAddr]) -> Self {
        let places = |connections, per_address| {
            let bounds = Bounds {
                per_address,
                balancers: Vec::new(),
            };
            Places::among(connections, &bounds, Arc::default())
        };
        Self {
            allow: allow.to_vec(),
            terminals: places(OF_TERMINALS, PER_TERMINAL),
            strangers: places(OF_STRANGERS, PER_STRANGER),
        }
    }

    /// A place for a connection; none when its address, or everybody like it, has all there are.
    pub(crate) fn admit(&self, from: IpAddr) -> Option<Place> {
        match is_terminal(&self.allow, from) {
            true => self.terminals.take(from),
            false => self.strangers.take(from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_network_full_of_strangers_leaves_the_terminals_their_places() {
        let guests = Guests::new(&[address(31), address(32)]);
        let strangers: Vec<_> = (100..200)
            .flat_map(|last| (0..9).map(move |_| last))
            .filter_map(|last| guests.admit(address(last)))
            .collect();
        assert_eq!(strangers.len(), OF_STRANGERS);
        let one: Vec<_> = (0..99).filter_map(|_| guests.admit(address(31))).collect();
        assert_eq!(
            one.len(),
            PER_TERMINAL,
            "a terminal out of order takes its own places only"
        );
        // Over the socket of both families it is the same terminal.
        let mapped: IpAddr = "::ffff:10.0.0.32".parse().unwrap();
        assert!(guests.admit(mapped).is_some() && guests.admit(address(32)).is_some());
        drop(strangers);
        assert!(guests.admit(address(200)).is_some(), "who leaves makes room");
    }

    #[test]
    fn one_stranger_does_not_keep_the_others_from_being_told() {
        let guests = Guests::new(&[]);
        let greedy: Vec<_> = (0..99).filter_map(|_| guests.admit(address(1))).collect();
        assert_eq!(greedy.len(), PER_STRANGER);
        assert!(guests.admit(address(2)).is_some());
    }
}
