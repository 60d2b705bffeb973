//! The person who stands there (一次自助办理), as states.
//!
//! ```text
//! home ─task─▶ identify ─card, code─▶ looking ─found─▶ menu or the task
//! bare number of a card ─what tells of a person─▶ prove ─right─▶ the task;  ─wrong─▶ prove, until it is locked
//! code of a prescription ─found─▶ identify ─its patient─▶ printing;  ─anybody else─▶ not yours
//! any list ─act─▶ ticket │ printing │ fee ─journal─▶ paid;  every stage ─leave, silence─▶ home, and nothing is known any more
//! ```
//!
//! Pure: an event and the time in, what is to be asked out. Every question carries its turn; an answer of another turn
//! belongs to somebody who has gone and changes nothing.
//!
//! | file | stages |
//! |---|---|
//! | `identify` | who it is: card, codes, the menu |
//! | `prove` | what the bearer of a hospital card is asked for besides it |
//! | `check_in` | visits of today, the number and its ticket |
//! | `documents` | reports and prescriptions on paper, by list or by the code on a prescription |
//! | `fees` | bills, their payment, receipts |

mod act;
mod check_in;
mod documents;
mod fees;
mod identify;
mod prove;
mod stage;

use std::time::{Duration, Instant};

pub use act::{Act, Task};
pub use stage::{Answer, Ask, Stage};

use crate::card::{CardRules, Second};
use crate::hospital::{Person, Token, Trouble};
use crate::paper::{Document, Paper};
use crate::prescription::Prescribed;

/// Rows on a page of a list.
pub const ROWS: usize = 4;

/// The session.
#[derive(Debug)]
pub struct Session {
    stage: Stage,
    person: Option<Person>,
    /// The hospital card by whose bare number they are known, until they showed more.
    card: Option<Token>,
    rules: CardRules,
    number: u64,
    turn: u64,
    until: Instant,
    idle: Duration,
    /// Keys of papers asked for, that may not have come out.
    papers: Vec<String>,
    /// The prescription whose code was scanned, until it is known who stands there.
    wanted: Option<Prescribed>,
}

impl Session {
    /// Nobody there.
    pub fn new(idle: Duration, now: Instant) -> Self {
        Self {
            stage: Stage::Home,
            person: None,
            card: None,
            rules: CardRules::default(),
            number: 1,
            turn: 0,
            until: now,
            idle,
            papers: Vec::new(),
            wanted: None,
        }
    }

    /// With what this hospital lets a card do.
    #[must_use]
    pub fn with_cards(self, rules: CardRules) -> Self {
        Self { rules, ..self }
    }

    /// What is on the screen.
    pub const fn stage(&self) -> &Stage {
        &self.stage
    }
    /// Who stands there.
    pub const fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }
    /// The card by whose bare number they are known; none when they showed more.
    pub const fn bare_card(&self) -> Option<&Token> {
        self.card.as_ref()
    }
    /// What the bearer of a card is asked for.
    pub const fn second(&self) -> Second {
        self.rules.second
    }
    /// Whether a prescription was scanned that waits for its patient.
    pub const fn awaits_patient(&self) -> bool {
        self.wanted.is_some()
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
        let asks = self.act(act);
        self.touch(now);
        asks
    }

    fn act(&mut self, act: Act) -> Vec<Ask> {
        // While a write is on its way nobody goes anywhere but home: the answer is about to come.
        if self.is_writing() && act != Act::Leave {
            return Vec::new();
        }
        match act {
            Act::Leave => self.end(),
            Act::Stay => Vec::new(),
            Act::Task(task) => {
                self.wanted = None;
                self.begin(task)
            }
            Act::Back => self.back(),
            Act::Retry => match self.stage.clone() {
                Stage::Problem {
                    ask,
                    task,
                    trouble: Trouble::Away | Trouble::Unsure,
                } => self.ask(ask, task),
                _ => Vec::new(),
            },
            Act::Page(page) => {
                self.turn_to(page);
                Vec::new()
            }
            Act::Visit(at) => self.choose_visit(at),
            Act::Print(at) => self.print_document(at),
            Act::PrintTicket => self.print_ticket(),
            Act::Bill(at) => self.choose_bill(at),
            Act::Receipt(at) => self.print_receipt(at),
            Act::Verify => self.verify(),
            Act::Check(tail) => self.check(tail),
        }
    }

    /// An answer to the question of `turn`.
    pub fn answered(&mut self, turn: u64, answer: Answer, now: Instant) -> Vec<Ask> {
        match answer {
            Answer::Paper(key, paper) => {
                self.paper(&key, paper);
                return Vec::new();
            }
            Answer::Paying(bill, paying) => return self.paying(&bill, paying, now),
            _ => {}
        }
        let Stage::Waiting { ask, task, .. } = &self.stage else {
            return Vec::new();
        };
        if turn != self.turn {
            return Vec::new();
        }
        let (ask, task) = (ask.clone(), *task);
        let asks = self.heard(answer, ask, task);
        // Whoever waited for the hospital has time to read what it said.
        self.touch(now);
        asks
    }

    fn heard(&mut self, answer: Answer, ask: Ask, task: Option<Task>) -> Vec<Ask> {
        match answer {
            Answer::Who(Ok(found)) => {
                let card = match ask {
                    Ask::Who(card @ Token::HospitalCard(_)) => Some(card),
                    _ => None,
                };
                self.known(found, card, task)
            }
            Answer::Bearer(person, wants) => self.known(Some(person), None, task.or(wants)),
            Answer::Checked(checked) => self.checked(checked, task),
            // A code that ran out: shown again, it works.
            Answer::Who(Err(Trouble::Refused(words))) => self.once_more(task, words),
            Answer::Visits(Ok(visits)) => {
                self.stage = Stage::Visits { visits, page: 0 };
                Vec::new()
            }
            Answer::Documents(Ok(documents)) => {
                let task = task.unwrap_or(Task::Reports);
                self.stage = Stage::Documents {
                    task,
                    documents,
                    page: 0,
                };
                match ask {
                    Ask::Prescription(..) => self.print_scanned(),
                    _ => Vec::new(),
                }
            }
            Answer::Prescribed(Ok(found)) => self.prescribed(found),
            // Nobody is known yet: with a card their prescriptions are found all the same.
            Answer::Prescribed(Err(Trouble::Refused(words))) if self.person.is_none() => self.once_more(task, words),
            Answer::Bills(Ok((mut bills, mut receipts))) => {
                if !self.is_proven() {
                    // What is bought tells of an illness, a receipt of a person: neither is even known here.
                    bills.iter_mut().for_each(|bill| bill.items.clear());
                    receipts.clear();
                }
                self.stage = Stage::Fees {
                    bills,
                    receipts,
                    page: 0,
                };
                Vec::new()
            }
            Answer::Place(Ok(Some((place, ticket)))) => self.placed(&ask, place, ticket),
            Answer::Place(Ok(None)) => {
                let words = "没有查到您的排队号，请到分诊台".to_owned();
                self.failed(Trouble::Refused(words), ask, task)
            }
            Answer::Who(Err(trouble))
            | Answer::Visits(Err(trouble))
            | Answer::Place(Err(trouble))
            | Answer::Documents(Err(trouble))
            | Answer::Prescribed(Err(trouble))
            | Answer::Bills(Err(trouble)) => self.failed(trouble, ask, task),
            Answer::Paper(..) | Answer::Paying(..) => Vec::new(),
        }
    }

    fn failed(&mut self, trouble: Trouble, ask: Ask, task: Option<Task>) -> Vec<Ask> {
        self.stage = Stage::Problem { trouble, ask, task };
        Vec::new()
    }

    /// Time passes; after silence the next person is awaited.
    pub fn tick(&mut self, now: Instant) -> Vec<Ask> {
        // A check-in on its way is waited for: its number has to be shown to somebody.
        if self.stage != Stage::Home && !self.is_writing() && now >= self.until {
            return self.end();
        }
        Vec::new()
    }

    fn is_writing(&self) -> bool {
        matches!(
            self.stage,
            Stage::Waiting {
                ask: Ask::CheckIn(..),
                ..
            }
        )
    }

    fn touch(&mut self, now: Instant) {
        self.until = now + self.patience();
    }

    fn watch(&mut self, key: &str) {
        if !self.papers.iter().any(|k| k == key) {
            self.papers.push(key.to_owned());
        }
    }

    fn end(&mut self) -> Vec<Ask> {
        self.stage = Stage::Home;
        self.person = None;
        self.card = None;
        self.wanted = None;
        self.number += 1;
        self.turn += 1;
        std::mem::take(&mut self.papers)
            .into_iter()
            .map(Ask::Withdraw)
            .collect()
    }

    fn ask(&mut self, ask: Ask, task: Option<Task>) -> Vec<Ask> {
        let words = match &ask {
            Ask::Who(_) | Ask::Check(..) => "正在核对身份",
            Ask::CheckIn(..) => "正在为您报到",
            Ask::Prescribed(_) => "正在查找处方",
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
            if matches!(self.stage, Stage::Home | Stage::Identify { .. }) {
                self.stage = Stage::Identify {
                    task: Some(task),
                    trouble: None,
                };
            }
            return Vec::new();
        };
        if !self.is_proven() && !self.rules.opens(task) {
            return self.prove(Some(task));
        }
        let ask = match task {
            Task::CheckIn => Ask::Visits(person),
            Task::Reports | Task::Prescriptions => Ask::Documents(person, task),
            Task::Fees => Ask::Bills(person),
        };
        self.ask(ask, Some(task))
    }

    fn back(&mut self) -> Vec<Ask> {
        match self.stage.clone() {
            Stage::Fee {
                bills,
                receipts,
                at,
                paying,
            } => return self.leave_bill(bills, receipts, at, &paying),
            Stage::Home | Stage::Identify { .. } | Stage::Menu => return self.end(),
            _ if self.person.is_none() => return self.end(),
            _ => {
                // An answer on its way is not waited for any more, nor is a paper's patient.
                self.turn += 1;
                self.wanted = None;
                self.stage = Stage::Menu;
            }
        }
        Vec::new()
    }

    fn turn_to(&mut self, wanted: usize) {
        let (page, rows) = match &mut self.stage {
            Stage::Visits { visits, page } => (page, visits.len()),
            Stage::Documents { documents, page, .. } => (page, documents.len()),
            Stage::Fees { bills, receipts, page } => (page, bills.len() + receipts.len()),
            _ => return,
        };
        *page = wanted.min(rows.saturating_sub(1) / ROWS);
    }

    /// The paper of that key stands so.
    fn paper(&mut self, key: &str, paper: Paper) {
        let document = match &mut self.stage {
            Stage::Ticket { ticket, .. } if ticket.key == key => Some(&mut **ticket),
            Stage::Documents { documents, .. } => documents.iter_mut().find(|d| d.key == key),
            Stage::Fees { receipts, .. } => receipts.iter_mut().find(|d| d.key == key),
            Stage::Fee { paying, .. } => paying.receipt_mut().filter(|d| d.key == key),
            _ => None,
        };
        if let Some(document) = document {
            document.paper = paper;
        }
    }
}

/// Asks for a document on paper, or for another copy of it; nothing while it is on its way.
fn on_paper(document: &mut Document) -> Option<Ask> {
    if document.paper == Paper::Printing {
        return None;
    }
    let again = matches!(document.paper, Paper::Printed(_));
    let ask = Ask::Print(Box::new(document.clone()), again);
    document.paper = Paper::Printing;
    Some(ask)
}
