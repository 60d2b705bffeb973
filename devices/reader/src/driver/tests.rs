use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

const NAME: &str = "欧阳娜";
const NUMBER: &str = "11010519491231002X";

/// The bytes of an answer.
fn framed(reply: &Reply) -> Vec<u8> {
    let length = u16::try_from(reply.data.len() + 4).unwrap().to_be_bytes();
    let body = [&length[..], &[0, 0, reply.status], &reply.data].concat();
    let check = body.iter().fold(0u8, |x, b| x ^ b);
    [&[0xAA, 0xAA, 0xAA, 0x96, 0x69][..], &body, &[check]].concat()
}

/// A module on which a card lies, and which takes so long for its first answers, one after the other; it counts the looks
/// for a card.
async fn module(mut line: SerialStream, mut pauses: VecDeque<Duration>, looks: Arc<AtomicU32>) {
    let short = |status: u8| Reply {
        status,
        data: vec![0; 4],
    };
    let (mut kept, mut bytes) = (Vec::new(), [0u8; 64]);
    while let Ok(count @ 1..) = line.read(&mut bytes).await {
        kept.extend_from_slice(&bytes[..count]);
        while kept.len() >= 10 {
            let command: Vec<u8> = kept.drain(..10).collect();
            tokio::time::sleep(pauses.pop_front().unwrap_or_default()).await;
            let answer = match command[7] {
                0x20 if command[8] == 0x01 => {
                    looks.fetch_add(1, Ordering::SeqCst);
                    short(0x9F)
                }
                0x20 => short(0x90),
                _ => card::tests::card(NAME, NUMBER),
            };
            line.write_all(&framed(&answer)).await.unwrap();
        }
    }
}

/// A module that was busy for once: its late answer is nobody's, and the card that lies there is read.
#[tokio::test]
async fn an_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_question() {
    let (near, far) = SerialStream::pair().unwrap();
    let port = Port {
        path: far.name().unwrap().into(),
        baud: 115_200,
    };
    let looks = Arc::new(AtomicU32::new(0));
    let pauses = VecDeque::from([ANSWER + LOOK / 2]);
    tokio::spawn(module(near, pauses, Arc::clone(&looks)));
    let (state, _seen) = watch::channel(State::None);
    let (to, mut readings) = mpsc::channel(8);
    let reading = async {
        loop {
            match readings.recv().await {
                Some(Reading::Card(card)) => return card,
                // So late that it met the next question all the same: told, and over with that.
                Some(Reading::BadCard) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let card = tokio::select! {
        () = run_card_reader(&port, &state, &to) => unreachable!(),
        card = tokio::time::timeout(Duration::from_secs(60), reading) => card.expect("the card is never read"),
    };
    assert_eq!((card.name.as_str(), card.number.as_str()), (NAME, NUMBER));
    // Two when all goes as it should; one behind the other they meet by chance, if ever.
    let looks = looks.load(Ordering::SeqCst);
    assert!(looks < 30, "{looks} looks");
}
