//! The task that serves the person: takes what was tapped and read, asks the hospital and the printer, draws.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use his::Bridge;
use hub::Hub;
use reader::{Port, Reading};
use records::Clock;
use store::{Scope, Store};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::code::Codes;
use crate::config::Config;
use crate::hospital::{Hospital, Token};
use crate::money::Money;
use crate::paper::{self, Paper};
use crate::prescription::{PaperCode, Papers};
use crate::screen::Screen;
use crate::session::{Act, Answer, Ask, Session};
use crate::show::{self, Around};
use crate::tries::Tries;

/// What a terminal needs of the appliance.
pub struct Needs {
    /// The hospital's system.
    pub bridge: Bridge,
    /// The printers.
    pub hub: Hub,
    /// The appliance's database, for the journal.
    pub store: Store,
    /// In whose name.
    pub scope: Scope,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether the line to the cloud stands.
    pub online: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What happens to the desk.
enum Event {
    Tapped(u64, Act),
    Answered(u64, Answer),
}

/// A terminal; cheap to clone.
#[derive(Clone)]
pub struct Kiosk {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) hospital: Hospital,
    pub(crate) codes: Codes,
    pub(crate) papers: Papers,
    pub(crate) money: Money,
    pub(crate) tries: Tries,
    pub(crate) hub: Hub,
    pub(crate) clock: Arc<dyn Clock>,
    online: Arc<dyn Fn() -> bool + Send + Sync>,
    pub(crate) screen: watch::Sender<Screen>,
    card: watch::Sender<reader::State>,
    scanner: watch::Sender<reader::State>,
    events: mpsc::Sender<Event>,
    incoming: Mutex<mpsc::Receiver<Event>>,
    readings: mpsc::Sender<Reading>,
    read: Mutex<mpsc::Receiver<Reading>>,
    asked: TaskTracker,
    /// When the page was last known to draw, seconds; 0 never.
    page_seen: AtomicI64,
    /// The person who stands there, by number.
    serving: AtomicU64,
}

/// How often papers, readers and the line are looked at.
const LOOK: Duration = Duration::from_millis(400);

impl Kiosk {
    /// A terminal that is not running yet.
    pub fn open(config: Config, needs: Needs) -> Self {
        let (events, incoming) = mpsc::channel(64);
        let (readings, read) = mpsc::channel(8);
        let inner = Inner {
            codes: Codes {
                store: needs.store.clone(),
                hospital: needs.scope.tenant.clone(),
                scope: needs.scope.clone(),
                clock: Arc::clone(&needs.clock),
            },
            papers: Papers {
                store: needs.store.clone(),
                scope: needs.scope.clone(),
                clock: Arc::clone(&needs.clock),
                patient_app: config.patient_app.clone(),
            },
            money: Money {
                store: needs.store.clone(),
                scope: needs.scope.clone(),
                hospital: config.hospital.clone(),
            },
            tries: Tries {
                store: needs.store.clone(),
                scope: needs.scope.clone(),
                clock: Arc::clone(&needs.clock),
                terminal: config.name.clone(),
                rules: config.card.clone(),
            },
            hospital: Hospital {
                bridge: needs.bridge,
                store: needs.store,
                scope: needs.scope,
            },
            hub: needs.hub,
            clock: needs.clock,
            online: needs.online,
            screen: watch::Sender::new(Screen::default()),
            card: watch::Sender::new(reader::State::None),
            scanner: watch::Sender::new(reader::State::None),
            events,
            incoming: Mutex::new(incoming),
            readings,
            read: Mutex::new(read),
            asked: TaskTracker::new(),
            page_seen: AtomicI64::new(0),
            serving: AtomicU64::new(0),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Serves people until stopped.
    pub async fn run(&self, stop: CancellationToken) {
        let inner = &self.inner;
        let card = async {
            match &inner.config.card_reader {
                Some(path) => {
                    let port = Port {
                        path: path.clone(),
                        baud: 115_200,
                    };
                    reader::run_card_reader(&port, &inner.card, &inner.readings).await;
                }
                None => std::future::pending().await,
            }
        };
        let scanner = async {
            match &inner.config.scanner {
                Some(path) => {
                    let port = Port {
                        path: path.clone(),
                        baud: 115_200,
                    };
                    reader::run_scanner(&port, &inner.scanner, &inner.readings).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = card => {}
            () = scanner => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&self) {
        let inner = &self.inner;
        let (mut incoming, mut read) = (inner.incoming.lock().await, inner.read.lock().await);
        let idle = Duration::from_secs(inner.config.idle_s);
        let mut session = Session::new(idle, Instant::now()).with_cards(inner.config.card.clone());
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asks = tokio::select! {
                event = incoming.recv() => match event {
                    Some(Event::Tapped(number, act)) => session.tapped(number, act, Instant::now()),
                    Some(Event::Answered(turn, answer)) => session.answered(turn, answer, Instant::now()),
                    None => return,
                },
                reading = read.recv() => match reading {
                    Some(reading) => shown(&mut session, reading),
                    None => return,
                },
                _ = look.tick() => {
                    let mut asks = session.tick(Instant::now());
                    self.watch_papers(&mut session).await;
                    asks.extend(self.watch_payment(&mut session).await);
                    asks
                }
            };
            inner.serving.store(session.number(), Ordering::SeqCst);
            for ask in asks {
                self.ask(&session, ask);
            }
            self.draw(&session);
        }
    }

    async fn watch_papers(&self, session: &mut Session) {
        let Some(printer) = &self.inner.config.printer else {
            return;
        };
        for key in session.papers().to_vec() {
            // A busy database tells it the next time.
            if let Ok(paper) = paper::look(&self.inner.hub, printer, &key).await
                && paper != Paper::None
            {
                session.answered(session.turn(), Answer::Paper(key, paper), Instant::now());
            }
        }
    }

    /// What became of the bill on the screen.
    async fn watch_payment(&self, session: &mut Session) -> Vec<Ask> {
        let Some((person, bill)) = session.watched() else {
            return Vec::new();
        };
        let bill_id = bill.bill_id.clone();
        match self.inner.money.look(person, bill).await {
            Ok(paying) => session.answered(session.turn(), Answer::Paying(bill_id, paying), Instant::now()),
            // A busy database tells it the next time.
            Err(error) => {
                tracing::warn!(%error, "the payment of a bill was not looked at");
                Vec::new()
            }
        }
    }

    fn draw(&self, session: &Session) {
        let inner = &self.inner;
        let printer = inner.config.printer.as_deref();
        let around = Around {
            hospital: inner.config.hospital.clone(),
            card: *inner.card.borrow(),
            scanner: *inner.scanner.borrow(),
            printer: printer.and_then(|p| inner.hub.out_of_order(p)).map(str::to_owned),
            online: (inner.online)(),
            patient_app: inner.config.patient_app.clone(),
        };
        let today = inner.clock.now().local_date();
        let screen = show::screen(session, &around, today, Instant::now(), crate::routes::BUILD);
        inner.screen.send_if_modified(|old| {
            // Less time left is no news; more is: somebody touched the screen.
            let same = Screen {
                idle_ms: old.idle_ms,
                ..screen.clone()
            } == *old;
            let news = !same || screen.idle_ms > old.idle_ms || screen.idle_ms.is_none() != old.idle_ms.is_none();
            *old = screen.clone();
            news
        });
    }

    fn ask(&self, session: &Session, ask: Ask) {
        let (own, turn, number) = (self.clone(), session.turn(), session.number());
        self.inner.asked.spawn(async move {
            let paper = match &ask {
                Ask::Print(document, _) => Some(document.key.clone()),
                _ => None,
            };
            let answer = own.answer(ask).await;
            // Whoever left in the same moment withdrew it before it lay in the spool.
            if let Some(key) = paper.filter(|_| own.inner.serving.load(Ordering::SeqCst) != number) {
                own.answer(Ask::Withdraw(key)).await;
            }
            if let Some(answer) = answer {
                // Nobody is served any more: the process ends.
                let _ = own.inner.events.send(Event::Answered(turn, answer)).await;
            }
        });
    }

    pub(crate) async fn tapped(&self, number: u64, act: Act) {
        let _ = self.inner.events.send(Event::Tapped(number, act)).await;
    }

    /// The page has drawn.
    pub(crate) fn page_drew(&self) {
        self.inner
            .page_seen
            .store(self.inner.clock.now().as_seconds(), Ordering::Relaxed);
    }

    /// Seconds since the page was last known to draw.
    pub(crate) fn page_silent_s(&self) -> Option<i64> {
        let seen = self.inner.page_seen.load(Ordering::Relaxed);
        (seen > 0).then(|| (self.inner.clock.now().as_seconds() - seen).max(0))
    }
}

fn shown(session: &mut Session, reading: Reading) -> Vec<Ask> {
    let now = Instant::now();
    match reading {
        Reading::Card(card) => {
            let token = Token::IdCard {
                name: card.name.clone(),
                number: card.number.as_str().to_owned(),
            };
            session.shown(token, now)
        }
        Reading::BadCard => {
            session.misread("没有读出身份证，请平放后停留两秒", now);
            Vec::new()
        }
        Reading::Code(code) => {
            let read = match PaperCode::scanned(&code.0) {
                Some(paper) => paper.map(|paper| session.prescription(paper, now)),
                None => Token::scanned(&code.0).map(|token| session.shown(token, now)),
            };
            read.unwrap_or_else(|words| {
                session.misread(words, now);
                Vec::new()
            })
        }
    }
}
