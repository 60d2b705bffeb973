//! The mechanism: paper, cover, the receive buffer and the slips that come out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encoding_rs::GB18030;
use rig::{Clock, Faults};
use tokio::sync::{Notify, mpsc};

use super::condition::Condition;
use super::parse::Command;
use super::slip::Slip;

const MOST_ROWS: usize = 40_000;
const BAND_ROWS: usize = 24;
const CHARACTER_DOTS: usize = 12;
const LINE_DOTS: usize = 30;
/// Bytes the receive buffer holds before the printer stops reading.
pub(super) const BUFFER: usize = 256 * 1024;

/// Where answers of a connection go.
pub(super) type Line = mpsc::UnboundedSender<Vec<u8>>;

pub(super) struct Waiting {
    pub(super) command: Command,
    pub(super) size: usize,
    pub(super) line: Line,
}

#[derive(Default)]
pub(super) struct Works {
    pub(super) queue: VecDeque<Waiting>,
    held: usize,
    stored: Option<Command>,
    dots: Vec<u8>,
    text: String,
    started_at: String,
    slips: Vec<Slip>,
    next_id: u64,
    watcher: Option<Line>,
    stop_after_rows: Option<u64>,
    /// The label's picture, its height and whether it is printed head first.
    pub(super) canvas: Vec<u8>,
    pub(super) tall: usize,
    pub(super) upright: bool,
    /// Whether the paper moves now.
    moving: bool,
}

/// The printer.
pub(super) struct Engine {
    pub(super) clock: Clock,
    pub(super) faults: Arc<Faults>,
    pub(super) width_bytes: usize,
    rows_per_s: u64,
    condition: Mutex<Condition>,
    works: Mutex<Works>,
    pub(super) changed: Notify,
    pub(super) room: Notify,
}

impl Engine {
    pub(super) fn new(dots: usize, rows_per_s: u64, upright: bool, faults: Faults) -> Engine {
        Engine {
            clock: Clock::default(),
            faults: Arc::new(faults),
            width_bytes: dots.div_ceil(8),
            rows_per_s,
            condition: Mutex::new(Condition {
                paper: "ok".into(),
                cover_open: false,
                offline: false,
                error: "none".into(),
                power: true,
            }),
            works: Mutex::new(Works {
                upright,
                ..Works::default()
            }),
            changed: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn works(&self) -> MutexGuard<'_, Works> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the condition; whoever asked for automatic status hears of it.
    pub(super) fn change(&self, with: impl FnOnce(&mut Condition)) -> Condition {
        let now = {
            let mut condition = self.condition.lock().unwrap_or_else(PoisonError::into_inner);
            with(&mut condition);
            condition.clone()
        };
        if !now.power {
            self.lose_power();
        }
        if let Some(line) = &self.works().watcher {
            let _gone = line.send(now.automatic().to_vec());
        }
        self.changed.notify_waiters();
        now
    }

    /// The buffer is forgotten; what was on the paper is a torn slip.
    fn lose_power(&self) {
        let mut works = self.works();
        works.queue.clear();
        works.held = 0;
        works.stored = None;
        works.watcher = None;
        works.canvas.clear();
        self.end_slip(&mut works, "power");
        drop(works);
        self.room.notify_waiters();
    }

    pub(super) fn slips(&self) -> Vec<Slip> {
        self.works().slips.clone()
    }

    pub(super) fn forget_slips(&self) {
        self.works().slips.clear();
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.works().held
    }

    /// Whether anything waits or moves.
    pub(super) fn busy(&self) -> bool {
        let works = self.works();
        works.moving || !works.queue.is_empty()
    }

    /// Labels that were sent and are not printed.
    pub(super) fn labels_left(&self) -> usize {
        let works = self.works();
        let waiting = works
            .queue
            .iter()
            .filter(|w| matches!(w.command, Command::Emit { .. } | Command::Cut))
            .count();
        waiting.max(usize::from(works.moving || !works.dots.is_empty()))
    }

    /// The paper will run out after so many more rows.
    pub(super) fn run_out_after(&self, rows: u64) {
        self.works().stop_after_rows = Some(rows);
    }

    /// A command enters the receive buffer.
    pub(super) fn take(&self, command: Command, size: usize, line: &Line) {
        let mut works = self.works();
        works.held += size;
        works.queue.push_back(Waiting {
            command,
            size,
            line: line.clone(),
        });
        drop(works);
        self.changed.notify_waiters();
    }

    /// The connection ended: a slip without a cut is still torn off by someone.
    pub(super) fn hang_up(&self) {
        let mut works = self.works();
        works.watcher = None;
        if works.queue.is_empty() {
            self.end_slip(&mut works, "closed");
        }
    }

    /// Prints for as long as the process lives.
    pub(super) async fn run(&self) -> std::io::Result<()> {
        loop {
            let changed = self.changed.notified();
            if self.condition().stopped() || self.works().queue.is_empty() {
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                continue;
            }
            let Some(next) = self.works().queue.pop_front() else {
                continue;
            };
            self.works().moving = true;
            let rows = self.perform(&next);
            self.leave(next.size);
            self.room.notify_waiters();
            if self.rows_per_s > 0 && rows > 0 {
                let wait = 1_000_000 * u64::try_from(rows).unwrap_or(0) / self.rows_per_s;
                tokio::time::sleep(Duration::from_micros(wait)).await;
            }
            self.works().moving = false;
        }
    }

    /// Space in the receive buffer is free again.
    fn leave(&self, size: usize) {
        let mut works = self.works();
        works.held = works.held.saturating_sub(size);
    }

    /// Does one command and answers how many rows of paper moved.
    fn perform(&self, next: &Waiting) -> usize {
        let mut works = self.works();
        let before = works.dots.len() / self.width_bytes.max(1);
        if works.started_at.is_empty()
            && !matches!(
                next.command,
                Command::Ordered(_) | Command::Process(_) | Command::Say(_) | Command::Setting
            )
        {
            works.started_at = self.clock.moment();
        }
        match &next.command {
            Command::Raster {
                width_bytes,
                rows,
                data,
            } => self.put_band(&mut works, next, *width_bytes, *rows, data),
            store @ Command::StoreGraphics { .. } => works.stored = Some(store.clone()),
            Command::PrintGraphics => {
                if let Some(Command::StoreGraphics {
                    width_bytes,
                    rows,
                    data,
                }) = works.stored.take()
                {
                    self.put(&mut works, width_bytes, rows, &data);
                }
            }
            Command::Text(bytes) => {
                let (text, ..) = GB18030.decode(bytes);
                works.text += &text;
                self.put_text(&mut works, &text);
            }
            Command::Line => {
                works.text.push('\n');
                self.feed(&mut works, LINE_DOTS);
            }
            Command::Feed(dots) => self.feed(&mut works, *dots),
            Command::Cut => self.end_slip(&mut works, "cut"),
            Command::Ordered(n) => {
                let condition = self.condition();
                let near = if condition.paper == "near_end" { 0x03 } else { 0 };
                let _gone = next.line.send(vec![if matches!(n, 1 | 49) { near } else { 0 }]);
            }
            Command::Process(id) => {
                let mut answer = vec![0x37, 0x22];
                answer.extend_from_slice(id);
                answer.push(0);
                let _gone = next.line.send(answer);
            }
            Command::AutoStatus(n) => {
                works.watcher = (*n != 0).then(|| next.line.clone());
                if *n != 0 {
                    let _gone = next.line.send(self.condition().automatic().to_vec());
                }
            }
            Command::Say(words) => {
                let _gone = next.line.send(words.clone());
            }
            Command::Clear => works.canvas.clear(),
            Command::Tall(rows) => works.tall = (*rows).min(MOST_ROWS),
            Command::Upright(upright) => works.upright = *upright,
            Command::Draw {
                x,
                y,
                width_bytes,
                data,
                over,
            } => self.draw(&mut works, (*x, *y), *width_bytes, data, *over),
            Command::Emit { copies } => self.emit(&mut works, next, *copies),
            Command::Identity(_) => {
                let _gone = next.line.send(b"_BENCH-80\0".to_vec());
            }
            _ => {}
        }
        (works.dots.len() / self.width_bytes.max(1)).saturating_sub(before)
    }

    /// Prints the head of a picture; the rest waits at the front, so that paper and power can end in the middle.
    fn put_band(&self, works: &mut Works, next: &Waiting, width_bytes: usize, rows: usize, data: &[u8]) {
        let band = match works.stop_after_rows {
            Some(left) => BAND_ROWS.min(usize::try_from(left).unwrap_or(BAND_ROWS)),
            None => BAND_ROWS,
        };
        self.put(works, width_bytes, rows.min(band), data);
        let rest = data.get(band * width_bytes..).unwrap_or_default();
        if rows > band && !rest.is_empty() {
            let command = Command::Raster {
                width_bytes,
                rows: rows - band,
                data: rest.to_vec(),
            };
            let waiting = Waiting {
                command,
                size: 0,
                line: next.line.clone(),
            };
            works.queue.push_front(waiting);
        }
    }

    fn put(&self, works: &mut Works, width_bytes: usize, rows: usize, data: &[u8]) {
        for row in data.chunks(width_bytes.max(1)).take(rows) {
            let mut line: Vec<u8> = row.iter().copied().take(self.width_bytes).collect();
            line.resize(self.width_bytes, 0);
            self.put_row(works, &line);
        }
    }

    fn put_row(&self, works: &mut Works, row: &[u8]) {
        if works.dots.len() >= MOST_ROWS * self.width_bytes {
            return;
        }
        works.dots.extend_from_slice(row);
        if let Some(left) = works.stop_after_rows {
            works.stop_after_rows = left.checked_sub(1).filter(|left| *left > 0);
            if works.stop_after_rows.is_none() {
                let mut condition = self.condition.lock().unwrap_or_else(PoisonError::into_inner);
                condition.paper = "out".into();
            }
        }
    }

    fn feed(&self, works: &mut Works, dots: usize) {
        let empty = vec![0; self.width_bytes];
        for _ in 0..dots {
            self.put_row(works, &empty);
        }
    }

    /// No fonts on the bench: characters are frames, their text is kept beside.
    fn put_text(&self, works: &mut Works, text: &str) {
        let mut line = vec![0_u8; self.width_bytes];
        let mut at = 0;
        for c in text.chars() {
            let width = if c.is_ascii() {
                CHARACTER_DOTS
            } else {
                2 * CHARACTER_DOTS
            };
            for dot in at + 1..at + width - 1 {
                if let Some(byte) = line.get_mut(dot / 8) {
                    *byte |= 0x80 >> (dot % 8);
                }
            }
            at += width;
        }
        self.put_row(works, &line);
    }

    fn end_slip(&self, works: &mut Works, ended_by: &'static str) {
        if works.dots.is_empty() && works.text.is_empty() {
            works.started_at.clear();
            return;
        }
        works.next_id += 1;
        let slip = Slip {
            id: works.next_id,
            started_at: std::mem::take(&mut works.started_at),
            ended_at: self.clock.moment(),
            ended_by,
            width_bytes: self.width_bytes,
            dots: std::mem::take(&mut works.dots),
            text: std::mem::take(&mut works.text),
        };
        tracing::info!(
            slip.id = slip.id,
            slip.rows = slip.rows(),
            slip.ended_by = ended_by,
            "slip"
        );
        works.slips.push(slip);
    }
}
