//! What is on the screen, what is asked of the outside, and what it answers.

use records::his::{Bill, QueuePlace};

use super::act::Task;
use crate::card::Tail;
use crate::hospital::{Person, Token, Trouble, Visit};
use crate::money::Paying;
use crate::paper::{Document, Paper};
use crate::prescription::{PaperCode, Prescribed};
use crate::tries::Checked;

/// What is asked of the outside; the answer comes back as [`Answer`] with the same turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Who shows this.
    Who(Token),
    /// Whether what was typed is what the hospital has of the person whose card this is.
    Check(Person, Token, Tail),
    /// The visits of today.
    Visits(Person),
    /// Report in.
    CheckIn(Person, Visit),
    /// The place taken before.
    Place(Person, Visit),
    /// What can be printed.
    Documents(Person, Task),
    /// Which prescription this paper is.
    Prescribed(PaperCode),
    /// That prescription of that person.
    Prescription(Person, Prescribed),
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
    /// Who it is by a patient code, and what they came for, when the code says so.
    Bearer(Person, Option<Task>),
    /// Whether it was.
    Checked(Result<Checked, Trouble>),
    /// Visits.
    Visits(Result<Vec<Visit>, Trouble>),
    /// The number and its ticket.
    Place(Result<Option<(QueuePlace, Box<Document>)>, Trouble>),
    /// Documents.
    Documents(Result<Vec<Document>, Trouble>),
    /// The prescription of a paper, when it may be printed.
    Prescribed(Result<Prescribed, Trouble>),
    /// Bills to be paid, and receipts of what was paid of late.
    Bills(Result<(Vec<Bill>, Vec<Document>), Trouble>),
    /// How the payment of a bill stands; told at any time.
    Paying(String, Paying),
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
    /// What the card does not carry is awaited.
    Prove {
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
    /// Bills, then receipts.
    Fees {
        /// To be paid.
        bills: Vec<Bill>,
        /// Paid of late.
        receipts: Vec<Document>,
        /// Page, from 0.
        page: usize,
    },
    /// One bill.
    Fee {
        /// All of them, to go back to.
        bills: Vec<Bill>,
        /// Likewise.
        receipts: Vec<Document>,
        /// Which.
        at: usize,
        /// How its payment stands.
        paying: Paying,
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
