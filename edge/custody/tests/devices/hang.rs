//! A device that does not answer.

use std::time::{Duration, Instant};

use custody::{Deadlines, Device, Fault, KeyRef, Scheme};

use crate::bench::Bench;

/// As short as a device that answers can be told from one that hangs on a busy machine.
const QUICK: Deadlines = Deadlines {
    call: Duration::from_secs(3),
    slow: Duration::from_secs(6),
};

#[test]
fn a_device_that_hangs_is_reported_and_left_alone_until_reset() {
    let bench = Bench::new();
    let device = custody::open_within(custody::Config::Sdf(bench.config()), QUICK).unwrap();
    let key: KeyRef = "sdf:1".parse().unwrap();
    let sign = || device.sign(&key, Scheme::Sm2, &[1; 32]);
    sign().unwrap();

    bench.control("hang SDF_InternalSign_ECC\n");
    let first = sign().unwrap_err();
    assert_eq!(first, Fault::Silent { after_ms: 3_000 });
    assert!(!first.nothing_happened(), "it may have signed");
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(sign(), Err(Fault::Withheld));
    }
    assert!(begun.elapsed() < QUICK.call * 50, "a hundred do not wait for it again");
    assert!(device.is_silent());

    device.reset().unwrap();
    assert_eq!(sign().unwrap_err().code(), "device_silent", "it still hangs");
    bench.control("");
    device.reset().unwrap();
    assert!(sign().is_ok());
    assert!(!device.is_silent());
}

#[test]
fn callers_of_a_hanging_device_all_get_an_answer() {
    let bench = Bench::new();
    let device = custody::open_within(custody::Config::Sdf(bench.config()), QUICK).unwrap();
    let key: KeyRef = "sdf:1".parse().unwrap();
    bench.control("hang SDF_InternalSign_ECC\n");
    let begun = Instant::now();
    let codes: Vec<&str> = std::thread::scope(|scope| {
        let call = || device.sign(&key, Scheme::Sm2, &[1; 32]).unwrap_err().code();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(begun.elapsed() < QUICK.call * 12, "they wait together");
    assert!(codes.contains(&"device_silent"));
    let known = ["device_silent", "device_withheld", "device_busy"];
    assert!(codes.iter().all(|code| known.contains(code)), "{codes:?}");
    bench.control("");
}

#[test]
fn a_device_that_hangs_while_it_is_opened_is_given_up() {
    let bench = Bench::new();
    bench.control("hang SDF_OpenDevice\n");
    let opened = custody::open_within(custody::Config::Sdf(bench.config()), QUICK);
    assert_eq!(opened.err(), Some(Fault::Silent { after_ms: 6_000 }));
    bench.control("");
    assert!(custody::open_within(custody::Config::Sdf(bench.config()), QUICK).is_ok());
}

#[test]
fn threads_left_hanging_are_bounded() {
    let bench = Bench::new();
    let quick = Deadlines {
        call: Duration::from_millis(20),
        slow: Duration::from_secs(60),
    };
    bench.control("hang SDF_InternalSign_ECC\n");
    let device = custody::open_within(custody::Config::Sdf(bench.config()), quick).unwrap();
    let key: KeyRef = "sdf:1".parse().unwrap();
    let refused = (0..100).find_map(|_| {
        let _ = device.sign(&key, Scheme::Sm2, &[1; 32]);
        device.reset().err()
    });
    assert_eq!(refused.map(|fault| fault.code()), Some("device_gone"));
    bench.control("");
    let until = Instant::now() + Duration::from_secs(60);
    while device.reset().is_err() {
        assert!(
            Instant::now() < until,
            "the threads came back, so it may be opened again"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
