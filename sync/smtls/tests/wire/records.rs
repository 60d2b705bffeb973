//! Records on the way: changed, cut, said again, and many.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConnection, Connection, Error, ServerConnection};

use crate::{client, server, sm, sm_provider};

/// Two sides in memory, after the handshake.
fn sides() -> (Connection, Connection) {
    let (authority, pair) = sm();
    let client = client(sm_provider(), &authority, None);
    let server = server(sm_provider(), &pair, None);
    let name = "localhost".try_into().expect("name");
    let mut client: Connection = ClientConnection::new(client, name).expect("client").into();
    let mut server: Connection = ServerConnection::new(Arc::clone(&server)).expect("server").into();
    while client.is_handshaking() || server.is_handshaking() {
        carry(&mut client, &mut server).expect("handshake");
        carry(&mut server, &mut client).expect("handshake");
    }
    carry(&mut server, &mut client).expect("tickets");
    (client, server)
}

fn out(side: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while side.wants_write() {
        side.write_tls(&mut bytes).expect("written");
    }
    bytes
}

fn give(side: &mut Connection, mut bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut heard = Vec::new();
    while !bytes.is_empty() {
        side.read_tls(&mut bytes).expect("taken");
        let state = side.process_new_packets()?;
        let mut some = vec![0; state.plaintext_bytes_to_read()];
        side.reader().read_exact(&mut some).expect("there");
        heard.extend(some);
    }
    Ok(heard)
}

fn carry(from: &mut Connection, to: &mut Connection) -> Result<Vec<u8>, Error> {
    give(to, &out(from))
}

fn say(side: &mut Connection, words: &[u8]) -> Vec<u8> {
    side.writer().write_all(words).expect("room");
    out(side)
}

#[test]
fn every_changed_bit_of_a_record_is_refused() {
    let (mut client, _) = sides();
    let length = say(&mut client, b"10 mg").len();
    // The body and its tag; one connection for each byte, for the first refusal ends it.
    for byte in (5..length).step_by(3) {
        let (mut client, mut server) = sides();
        let mut record = say(&mut client, b"10 mg");
        record[byte] ^= 0x10;
        assert_eq!(give(&mut server, &record), Err(Error::DecryptError), "byte {byte}");
        // It says so with an alert, and is finished.
        assert_eq!(
            carry(&mut server, &mut client),
            Err(Error::AlertReceived(rustls::AlertDescription::BadRecordMac))
        );
    }
}

#[test]
fn a_record_said_again_is_refused() {
    let (mut client, mut server) = sides();
    let record = say(&mut client, b"dispense");
    assert_eq!(give(&mut server, &record), Ok(b"dispense".to_vec()));
    assert_eq!(give(&mut server, &record), Err(Error::DecryptError));
}

#[test]
fn much_is_carried_and_keys_are_renewed_on_the_way() {
    let (mut client, mut server) = sides();
    let words: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
    for _ in 0..4 {
        for part in words.chunks(20_000) {
            let records = say(&mut client, part);
            assert_eq!(give(&mut server, &records).as_deref(), Ok(part));
            let back = say(&mut server, part);
            assert_eq!(give(&mut client, &back).as_deref(), Ok(part));
        }
        client.refresh_traffic_keys().expect("new keys");
        server.refresh_traffic_keys().expect("new keys");
        assert_eq!(carry(&mut client, &mut server), Ok(Vec::new()));
        assert_eq!(carry(&mut server, &mut client), Ok(Vec::new()));
    }
}
