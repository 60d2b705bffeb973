//! Finding printers: USB device files, and port 9100 in the appliance's own networks, when somebody asks for it. Each is
//! asked for its status in every language; the one it answers in is its own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Address, Patience};
use crate::language::Language;
use crate::status::Status;

/// Larger networks are not scanned: 1022 hosts.
const WIDEST: u32 = 22;

/// The port of raw printing.
pub const PORT: u16 = 9100;

/// A printer that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub address: Address,
    /// The language it answers in; `None` when it takes connections and answers in none.
    pub language: Option<Language>,
    /// What it said.
    pub status: Status,
}

/// A network of the appliance: an address in it and the length of its prefix.
pub type Network = (Ipv4Addr, u32);

/// The networks this machine is connected to, without routers between, from the kernel's routing table.
pub fn networks(routes: &str) -> Vec<Network> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|t| u32::from_str_radix(t, 16).ok());
        let (destination, gateway, flags, mask) = (number(1)?, number(2)?, number(3)?, number(7)?);
        let prefix = u32::from_be_bytes(mask.to_le_bytes()).leading_ones();
        let up = flags & 1 == 1;
        (up && gateway == 0 && prefix >= WIDEST)
            .then(|| (Ipv4Addr::from(u32::from_be_bytes(destination.to_le_bytes())), prefix))
    };
    let found: BTreeSet<Network> = routes.lines().skip(1).filter_map(line).collect();
    found.into_iter().collect()
}

/// Reads [`networks`] of this machine.
pub fn own_networks() -> Vec<Network> {
    networks(&std::fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// USB printers by their device files.
pub fn usb(folder: &Path) -> Vec<Address> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<String> = names
        .map(|e| e.path())
        .filter(|p| {
            p.file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| n.starts_with("lp"))
        })
        .map(|p| p.display().to_string())
        .collect();
    paths.sort();
    paths.into_iter().map(Address::Usb).collect()
}

/// Whoever takes connections at a port in these networks, and what he speaks.
pub async fn scan(networks: &[Network], port: u16) -> Vec<Found> {
    let few = Arc::new(Semaphore::new(64));
    let mut tasks = JoinSet::new();
    for (network, prefix) in networks.iter().filter(|(_, prefix)| (WIDEST..=32).contains(prefix)) {
        let size = 1u32 << (32 - prefix);
        let first = u32::from(*network) & !(size - 1);
        // The first and the last are the network's own, except in the smallest.
        let hosts = if size > 2 {
            first + 1..first + size - 1
        } else {
            first..first + size
        };
        for host in hosts {
            let few = Arc::clone(&few);
            tasks.spawn(async move {
                let _turn = few.acquire_owned().await.ok()?;
                let address = format!("{}:{port}", Ipv4Addr::from(host));
                let open = timeout(Duration::from_millis(400), TcpStream::connect(&address)).await;
                drop(open.ok()?.ok()?);
                Some(identify(&Address::Tcp(address)).await)
            });
        }
    }
    let mut found: Vec<Found> = tasks.join_all().await.into_iter().flatten().collect();
    found.sort_by_key(|f| f.address.to_string());
    found
}

/// Asks in every language; the first that is answered sensibly is the printer's.
pub async fn identify(address: &Address) -> Found {
    let patience = Patience {
        connect: Duration::from_millis(800),
        answer: Duration::from_millis(800),
        ..Patience::default()
    };
    let mut status = Status::Offline;
    for language in Language::SPOKEN {
        match super::status(address, language, patience).await {
            Some(Status::Unknown) => status = Status::Unknown,
            Some(status) => {
                return Found {
                    address: address.clone(),
                    language: Some(language),
                    status,
                };
            }
            None => {}
        }
    }
    Found {
        address: address.clone(),
        language: None,
        status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_networks_without_a_router_and_of_a_sensible_size_are_ones_own() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            eth1\t000010AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            eth2\t0002000A\t0100000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(networks(table), [(Ipv4Addr::new(10, 0, 1, 0), 24)]);
    }

    #[test]
    fn usb_printers_are_found_by_their_device_files() {
        assert!(usb(Path::new("/nonexistent")).is_empty());
    }
}
