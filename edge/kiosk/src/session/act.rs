//! What can be wanted and tapped, and how the page writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::card::Tail;

/// What somebody came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

    /// The task of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }

    /// Whether it tells of somebody's health: never by a card's number alone.
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Reports | Self::Prescriptions)
    }

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
    /// The receipt of what was paid, on paper.
    Receipt(usize),
    /// The same again after a failure.
    Retry,
    /// Ask me for what my card does not carry.
    Verify,
    /// This is it.
    Check(Tail),
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
            Self::Receipt(n) => write!(f, "receipt:{n}"),
            Self::Retry => f.write_str("retry"),
            Self::Verify => f.write_str("verify"),
            // What was typed is written nowhere.
            Self::Check(_) => f.write_str("check"),
        }
    }
}

impl FromStr for Act {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let number = || rest.parse().map_err(|_| ());
        match word {
            "task" => Task::parse(rest).map(Self::Task).ok_or(()),
            "back" => Ok(Self::Back),
            "leave" => Ok(Self::Leave),
            "stay" => Ok(Self::Stay),
            "page" => number().map(Self::Page),
            "visit" => number().map(Self::Visit),
            "print" => number().map(Self::Print),
            "ticket" => Ok(Self::PrintTicket),
            "bill" => number().map(Self::Bill),
            "receipt" => number().map(Self::Receipt),
            "retry" => Ok(Self::Retry),
            "verify" => Ok(Self::Verify),
            "check" => Tail::parse(rest).map(Self::Check).ok_or(()),
            _ => Err(()),
        }
    }
}
