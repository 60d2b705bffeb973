//! Boards and lines in trouble, with the driver as it runs; time is moved by the test.

use std::time::Duration;

use dock::{Dock, DockError, DockState, Driver};
use dock_link::{Alive, Down, FrameCounts, Up};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::board::{Board, frame};

/// Plays a board at the far end until the line is gone.
async fn plays(mut board: Board, mut line: DuplexStream, slowly: Duration) -> Board {
    let began = tokio::time::Instant::now();
    let mut bytes = [0u8; 512];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(10), line.read(&mut bytes)).await;
        let count = match read {
            Ok(Ok(0) | Err(_)) => return board,
            Ok(Ok(count)) => count,
            Err(_) => 0,
        };
        tokio::time::sleep(slowly).await;
        let now = began.elapsed().as_millis() as u64;
        for frame in board.moment(&bytes[..count], now) {
            if line.write_all(&frame).await.is_err() {
                return board;
            }
        }
    }
}

async fn trouble(mut driver: Driver, line: DuplexStream) -> String {
    driver.run_on(line).await
}

async fn online(dock: &Dock) -> DockState {
    let mut state = dock.state();
    state.wait_for(|s| s.online).await.unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_slow_board_is_served_patiently() {
    let (dock, driver) = Dock::open();
    let (near, far) = tokio::io::duplex(64);
    tokio::spawn(trouble(driver, near));
    tokio::spawn(plays(Board::new(), far, Duration::from_millis(300)));
    assert_eq!(online(&dock).await.bays.len(), 10);
    assert_eq!(dock.unlock(3).await, Ok(()));
    assert!(matches!(dock.release(3, 10).await, Err(DockError::Refused(_))));
}

/// A line that takes not a byte, as of a wedged USB bridge, is told and not waited for.
#[tokio::test(start_paused = true)]
async fn a_line_that_takes_nothing_is_told() {
    let (_dock, mut driver) = Dock::open();
    let (near, _far) = tokio::io::duplex(1);
    let told = driver.run_on(near).await;
    assert!(told.contains("不再接收数据"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_board_and_one_that_only_babbles_are_told_and_a_good_one_follows() {
    let (dock, mut driver) = Dock::open();
    let (near, _far) = tokio::io::duplex(4096);
    let told = driver.run_on(near).await;
    assert!(told.contains("没有应答"), "{told}");
    assert!(matches!(dock.unlock(0).await, Err(DockError::Offline(words)) if words.contains("没有应答")));

    let (near, mut far) = tokio::io::duplex(4096);
    tokio::spawn(async move {
        let mut noise = 7u8;
        loop {
            noise = noise.wrapping_mul(31).wrapping_add(11);
            if far.write_all(&[noise; 50]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let told = driver.run_on(near).await;
    assert!(told.contains("没有应答"), "{told}");

    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(trouble(driver, near));
    tokio::spawn(plays(Board::new(), far, Duration::ZERO));
    online(&dock).await;
}

#[tokio::test(start_paused = true)]
async fn a_board_that_lives_and_does_nothing_is_half_dead() {
    let (dock, mut driver) = Dock::open();
    let (near, mut far) = tokio::io::duplex(4096);
    let line = tokio::spawn(async move { driver.run_on(near).await });
    // It greets and beats, and answers no command.
    let mut bytes = [0u8; 512];
    let mut deframer = dock_link::Deframer::new();
    let mut board = Board::new();
    tokio::spawn(async move {
        let mut session = 0;
        loop {
            let read = tokio::time::timeout(Duration::from_millis(500), far.read(&mut bytes)).await;
            let count = match read {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(count)) => count,
                Err(_) => 0,
            };
            for byte in &bytes[..count] {
                if let Some(Ok(Down::Hello { session: s, version })) = deframer.push::<Down>(*byte) {
                    session = s;
                    for up in board.moment(&frame(&Down::Hello { session, version }), 0) {
                        let _ = far.write_all(&up).await;
                    }
                }
            }
            let alive = Up::Alive(Alive {
                boot: 1,
                session,
                frames: FrameCounts { good: 1, bad: 0 },
                oldest_event: 1,
                last_event: 0,
            });
            if far.write_all(&frame(&alive)).await.is_err() {
                return;
            }
        }
    });
    let told = line.await.unwrap();
    assert!(told.contains("不执行指令"), "{told}");
    assert!(!dock.state().borrow().online);
}

#[tokio::test(start_paused = true)]
async fn another_version_is_named() {
    let (_dock, mut driver) = Dock::open();
    let (near, mut far) = tokio::io::duplex(4096);
    let mut bytes = frame(&Down::Hello { version: 3, session: 1 });
    bytes.insert(0, 0);
    far.write_all(&bytes).await.unwrap();
    let told = driver.run_on(near).await;
    assert!(told.contains("版本为3"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_command_on_a_line_that_breaks_may_have_happened() {
    let (dock, driver) = Dock::open();
    let (near, far) = tokio::io::duplex(4096);
    tokio::spawn(trouble(driver, near));
    let board = tokio::spawn(plays(Board::new(), far, Duration::ZERO));
    online(&dock).await;
    board.abort();
    let _ = board.await;
    let outcome = dock.unlock(2).await;
    assert!(
        matches!(outcome, Err(DockError::Unknown | DockError::Offline(_))),
        "{outcome:?}"
    );
}
