//! The person who stands there (一次自助办理), as states.
//!
//! ```text
//! home ─task─▶ identify ─card, code─▶ looking ─found─▶ menu or the task
//! any list ─act─▶ ticket │ printing │ fee;  every stage ─leave, silence─▶ home, and nothing is known any more
//! ```
//!
//! Pure: an event and the time in, what is to be asked out. Every question carries its turn; an answer of another turn
//! belongs to somebody who has gone and changes nothing.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use records::his::{Bill, HisOrderState, QueuePlace};

use crate::hospital::{Person, Token, Trouble, Visit};
use crate::paper::{Document, Paper};

/// What somebody came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// 报到取号.
    CheckIn,
    /// 打印报告.
    Reports,
    /// 打印处方.
    Prescriptions,
    /// 费用查询.
    Fees,
}

impl Task {
    /// Every task, in the order of the screen.
    pub const ALL: [Self; 4] = [Self::CheckIn, Self::Reports, Self::Prescriptions, Self::Fees];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CheckIn => "check_in",
            Self::Reports => "reports",
            Self::Prescriptions => "prescriptions",
            Self::Fees => "fees",
        }
    }
}

/// What was tapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A task was chosen.
    Task(Task),
    /// One step back.
    Back,
    /// Done here: forget me.
    Leave,
    /// I am still here.
    Stay,
    /// Another page of the list.
    Page(usize),
    /// This visit: report in, or show the number.
    Visit(usize),
    /// This document on paper; another copy when it was printed.
    Print(usize),
    /// The number on paper once more.
    PrintTicket,
    /// This bill.
    Bill(usize),
    /// The same again after a failure.
    Retry,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(f, "task:{}", task.as_str()),
            Self::Back => f.write_str("back"),
            Self::Leave => f.write_str("leave"),
            Self::Stay => f.write_str("stay"),
            Self::Page(n) => write!(f, "page:{n}"),
            Self::Visit(n) => write!(f, "visit:{n}"),
            Self::Print(n) => write!(f, "print:{n}"),
            Self::PrintTicket => f.write_str("ticket"),
            Self::Bill(n) => write!(f, "bill:{n}"),
            Self::Retry => f.write_str("retry"),
        }
    }
}

impl FromStr for Act {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let number = || rest.parse().map_err(|_| ());
        match word {
            "task" => Task::ALL
                .into_iter()
                .find(|t| t.as_str() == rest)
                .map(Self::Task)
                .ok_or(()),
            "back" => Ok(Self::Back),
            "leave" => Ok(Self::Leave),
            "stay" => Ok(Self::Stay),
            "page" => number().map(Self::Page),
            "visit" => number().map(Self::Visit),
            "print" => number().map(Self::Print),
            "ticket" => Ok(Self::PrintTicket),
            "bill" => number().map(Self::Bill),
            "retry" => Ok(Self::Retry),
            _ => Err(()),
        }
    }
}

/// What is asked of the outside; the answer comes back as [`Answer`] with the same turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Who shows this.
    Who(Token),
    /// The visits of today.
    Visits(Person),
    /// Report in.
    CheckIn(Person, Visit),
    /// The place taken before.
    Place(Person, Visit),
    /// What can be printed.
    Documents(Person, Task),
    /// What is to be paid.
    Bills(Person),
    /// On paper; again when it was printed.
    Print(Box<Document>, bool),
    /// What has not been printed does not come out any more.
    Withdraw(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Who it is; nobody the hospital knows.
    Who(Result<Option<Person>, Trouble>),
    /// Visits.
    Visits(Result<Vec<Visit>, Trouble>),
    /// The number and its ticket.
    Place(Result<Option<(QueuePlace, Box<Document>)>, Trouble>),
    /// Documents.
    Documents(Result<Vec<Document>, Trouble>),
    /// Bills.
    Bills(Result<Vec<Bill>, Trouble>),
    /// How a paper stands; told at any time.
    Paper(String, Paper),
}

/// What is on the screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Nobody is here.
    Home,
    /// A card or code is awaited.
    Identify {
        /// For what.
        task: Option<Task>,
        /// Why the last try was none.
        trouble: Option<String>,
    },
    /// The hospital is asked.
    Waiting {
        /// What for, in words.
        words: &'static str,
        /// The task to go on with.
        task: Option<Task>,
        /// A second try asks this.
        ask: Ask,
    },
    /// What would you like?
    Menu,
    /// Visits of today.
    Visits {
        /// They.
        visits: Vec<Visit>,
        /// Page, from 0.
        page: usize,
    },
    /// The number.
    Ticket {
        /// Of which visit.
        visit: Visit,
        /// It.
        place: QueuePlace,
        /// The paper.
        ticket: Box<Document>,
    },
    /// Documents to print.
    Documents {
        /// Reports or prescriptions.
        task: Task,
        /// They.
        documents: Vec<Document>,
        /// Page, from 0.
        page: usize,
    },
    /// Bills.
    Fees {
        /// They.
        bills: Vec<Bill>,
        /// Page, from 0.
        page: usize,
    },
    /// One bill.
    Fee {
        /// All of them, to go back to.
        bills: Vec<Bill>,
        /// Which.
        at: usize,
    },
    /// It did not work.
    Problem {
        /// Why.
        trouble: Trouble,
        /// What was asked.
        ask: Ask,
        /// For which task.
        task: Option<Task>,
    },
}

/// The session.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    person: Option<Person>,
    number: u64,
    turn: u64,
    until: Instant,
    idle: Duration,
    /// Keys of papers asked for, that may not have come out.
    papers: Vec<String>,
}

/// Rows on a page of a list.
pub const ROWS: usize = 4;

impl Session {
    /// Nobody there.
    pub fn new(idle: Duration, now: Instant) -> Self {
        Self {
            stage: Stage::Home,
            person: None,
            number: 1,
            turn: 0,
            until: now,
            idle,
            papers: Vec::new(),
        }
    }

    /// What is on the screen.
    pub const fn stage(&self) -> &Stage {
        &self.stage
    }
    /// Who stands there.
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }
    /// Which person it is since the start, by number.
    pub const fn number(&self) -> u64 {
        self.number
    }
    /// The turn that answers must name.
    pub const fn turn(&self) -> u64 {
        self.turn
    }
    /// When the next person is awaited; none while nobody is there.
    pub fn until(&self) -> Option<Instant> {
        (self.stage != Stage::Home).then_some(self.until)
    }
    /// Keys of papers that are being watched.
    pub fn papers(&self) -> &[String] {
        &self.papers
    }

    /// A tap of the screen of person `number`; one of another person's screen does nothing.
    pub fn tapped(&mut self, number: u64, act: Act, now: Instant) -> Vec<Ask> {
        if number != self.number {
            return Vec::new();
        }
        self.touch(now);
        match (act, self.stage.clone()) {
            (Act::Leave, _) => self.end(),
            (Act::Stay, _) => Vec::new(),
            (Act::Task(task), Stage::Home | Stage::Identify { .. }) if self.person.is_none() => {
                self.stage = Stage::Identify {
                    task: Some(task),
                    trouble: None,
                };
                Vec::new()
            }
            // While a write is on its way nobody goes anywhere: the answer is about to come.
            (
                _,
                Stage::Waiting {
                    ask: Ask::CheckIn(..), ..
                },
            ) => Vec::new(),
            (Act::Task(task), _) => self.begin(task),
            (Act::Back, stage) => self.back(stage),
            (
                Act::Retry,
                Stage::Problem {
                    ask,
                    task,
                    trouble: Trouble::Away | Trouble::Unsure,
                },
            ) => self.ask(ask, task),
            (Act::Page(page), _) => {
                self.turn_to(page);
                Vec::new()
            }
            (Act::Visit(at), Stage::Visits { visits, .. }) => self.choose(visits.get(at)),
            (
                Act::Print(at),
                Stage::Documents {
                    mut documents,
                    task,
                    page,
                },
            ) => {
                let Some(document) = documents.get_mut(at) else {
                    return Vec::new();
                };
                let again = matches!(document.paper, Paper::Printed(_));
                if document.paper == Paper::Printing {
                    return Vec::new();
                }
                let ask = Ask::Print(Box::new(document.clone()), again);
                document.paper = Paper::Printing;
                self.watch(document.key.clone());
                self.stage = Stage::Documents { documents, task, page };
                vec![ask]
            }
            (
                Act::PrintTicket,
                Stage::Ticket {
                    mut ticket,
                    visit,
                    place,
                },
            ) => {
                if ticket.paper == Paper::Printing {
                    return Vec::new();
                }
                let again = matches!(ticket.paper, Paper::Printed(_));
                let ask = Ask::Print(ticket.clone(), again);
                ticket.paper = Paper::Printing;
                self.watch(ticket.key.clone());
                self.stage = Stage::Ticket { ticket, visit, place };
                vec![ask]
            }
            (Act::Bill(at), Stage::Fees { bills, .. }) if at < bills.len() => {
                self.stage = Stage::Fee { bills, at };
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// A card or code was held against a reader. Another person's card in the midst ends what the first one did.
    pub fn shown(&mut self, token: Token, now: Instant) -> Vec<Ask> {
        let (task, mut asks) = match &self.stage {
            Stage::Home => (None, Vec::new()),
            Stage::Identify { task, .. } => (*task, Vec::new()),
            Stage::Waiting { .. } => return Vec::new(),
            _ => (None, self.end()),
        };
        self.touch(now);
        asks.extend(self.ask(Ask::Who(token), task));
        asks
    }

    /// What was held there is nothing we know.
    pub fn misread(&mut self, words: &str, now: Instant) {
        let task = match &self.stage {
            Stage::Home => None,
            Stage::Identify { task, .. } => *task,
            _ => return,
        };
        self.touch(now);
        self.stage = Stage::Identify {
            task,
            trouble: Some(words.to_owned()),
        };
    }

    /// An answer to the question of `turn`.
    pub fn answered(&mut self, turn: u64, answer: Answer, now: Instant) -> Vec<Ask> {
        if let Answer::Paper(key, paper) = answer {
            self.paper(&key, paper);
            return Vec::new();
        }
        let Stage::Waiting { ask, task, .. } = &self.stage else {
            return Vec::new();
        };
        if turn != self.turn {
            return Vec::new();
        }
        let (ask, task) = (ask.clone(), *task);
        // Whoever waited for the hospital has time to read what it said.
        self.touch(now);
        let trouble = match answer {
            Answer::Who(Ok(Some(person))) => {
                self.person = Some(person);
                return match task {
                    Some(task) => self.begin(task),
                    None => {
                        self.stage = Stage::Menu;
                        Vec::new()
                    }
                };
            }
            Answer::Who(Ok(None)) => {
                self.stage = Stage::Identify {
                    task,
                    trouble: Some("没有查到您的建档信息，请先到窗口建档".to_owned()),
                };
                return Vec::new();
            }
            // A code that ran out: shown again, it works.
            Answer::Who(Err(Trouble::Refused(words))) => {
                self.stage = Stage::Identify {
                    task,
                    trouble: Some(words),
                };
                return Vec::new();
            }
            Answer::Visits(Ok(visits)) => {
                self.stage = Stage::Visits { visits, page: 0 };
                return Vec::new();
            }
            Answer::Documents(Ok(documents)) => {
                let task = task.unwrap_or(Task::Reports);
                self.stage = Stage::Documents {
                    task,
                    documents,
                    page: 0,
                };
                return Vec::new();
            }
            Answer::Bills(Ok(bills)) => {
                self.stage = Stage::Fees { bills, page: 0 };
                return Vec::new();
            }
            Answer::Place(Ok(Some((place, mut ticket)))) => {
                let (Ask::CheckIn(_, visit) | Ask::Place(_, visit)) = ask else {
                    return Vec::new();
                };
                let print = Ask::Print(ticket.clone(), false);
                ticket.paper = Paper::Printing;
                self.watch(ticket.key.clone());
                self.stage = Stage::Ticket { visit, place, ticket };
                return vec![print];
            }
            Answer::Place(Ok(None)) => Trouble::Refused("没有查到您的排队号，请到分诊台".to_owned()),
            Answer::Who(Err(trouble))
            | Answer::Visits(Err(trouble))
            | Answer::Place(Err(trouble))
            | Answer::Documents(Err(trouble))
            | Answer::Bills(Err(trouble)) => trouble,
            Answer::Paper(..) => return Vec::new(),
        };
        self.stage = Stage::Problem { trouble, ask, task };
        Vec::new()
    }

    /// Time passes; after silence the next person is awaited.
    pub fn tick(&mut self, now: Instant) -> Vec<Ask> {
        // A check-in on its way is waited for: its number has to be shown to somebody.
        let writing = matches!(
            self.stage,
            Stage::Waiting {
                ask: Ask::CheckIn(..),
                ..
            }
        );
        if self.stage != Stage::Home && !writing && now >= self.until {
            return self.end();
        }
        Vec::new()
    }

    fn touch(&mut self, now: Instant) {
        self.until = now + self.idle;
    }

    fn watch(&mut self, key: String) {
        if !self.papers.contains(&key) {
            self.papers.push(key);
        }
    }

    fn end(&mut self) -> Vec<Ask> {
        self.stage = Stage::Home;
        self.person = None;
        self.number += 1;
        self.turn += 1;
        std::mem::take(&mut self.papers)
            .into_iter()
            .map(Ask::Withdraw)
            .collect()
    }

    fn ask(&mut self, ask: Ask, task: Option<Task>) -> Vec<Ask> {
        let words = match &ask {
            Ask::Who(_) => "正在核对身份",
            Ask::CheckIn(..) => "正在为您报到",
            _ => "正在查询",
        };
        self.turn += 1;
        self.stage = Stage::Waiting {
            words,
            task,
            ask: ask.clone(),
        };
        vec![ask]
    }

    fn begin(&mut self, task: Task) -> Vec<Ask> {
        let Some(person) = self.person.clone() else {
            self.stage = Stage::Identify {
                task: Some(task),
                trouble: None,
            };
            return Vec::new();
        };
        let ask = match task {
            Task::CheckIn => Ask::Visits(person),
            Task::Reports | Task::Prescriptions => Ask::Documents(person, task),
            Task::Fees => Ask::Bills(person),
        };
        self.ask(ask, Some(task))
    }

    fn back(&mut self, stage: Stage) -> Vec<Ask> {
        match stage {
            Stage::Fee { bills, at } => self.stage = Stage::Fees { page: at / ROWS, bills },
            Stage::Home | Stage::Identify { .. } | Stage::Menu => return self.end(),
            _ if self.person.is_none() => return self.end(),
            _ => {
                // An answer on its way is not waited for any more.
                self.turn += 1;
                self.stage = Stage::Menu;
            }
        }
        Vec::new()
    }

    fn choose(&mut self, visit: Option<&Visit>) -> Vec<Ask> {
        let (Some(visit), Some(person)) = (visit.cloned(), self.person.clone()) else {
            return Vec::new();
        };
        match visit.state {
            HisOrderState::Paid if !visit.stopped => self.ask(Ask::CheckIn(person, visit), Some(Task::CheckIn)),
            HisOrderState::CheckedIn => self.ask(Ask::Place(person, visit), Some(Task::CheckIn)),
            _ => Vec::new(),
        }
    }

    fn turn_to(&mut self, wanted: usize) {
        let (page, rows) = match &mut self.stage {
            Stage::Visits { visits, page } => (page, visits.len()),
            Stage::Documents { documents, page, .. } => (page, documents.len()),
            Stage::Fees { bills, page } => (page, bills.len()),
            _ => return,
        };
        *page = wanted.min(rows.saturating_sub(1) / ROWS);
    }

    fn paper(&mut self, key: &str, paper: Paper) {
        let document = match &mut self.stage {
            Stage::Ticket { ticket, .. } if ticket.key == key => Some(&mut **ticket),
            Stage::Documents { documents, .. } => documents.iter_mut().find(|d| d.key == key),
            _ => None,
        };
        if let Some(document) = document {
            document.paper = paper;
        }
    }
}
