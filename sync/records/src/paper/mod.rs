//! Printed documents (打印单据): their kinds, what each can say, how each looks unless the hospital changes it, and what
//! the cloud asks the appliance about its printers.

mod kinds;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use kinds::PaperKind;

use crate::Timestamp;
use crate::his::Operation;
use crate::line::Slip;

/// cloud → edge, log entry `print.template`: how a kind of document looks from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrintTemplate {
    /// Which.
    pub kind: PaperKind,
    /// Counts up with every change; an older one that comes late changes nothing.
    pub version: u64,
    /// The layout's elements; `None` is the one that came with the software.
    pub template: Option<Value>,
}

/// `print.queue`: printers, jobs and templates in use.
#[derive(Debug, Clone, Copy)]
pub enum PrintQueue {}

impl Operation for PrintQueue {
    const METHOD: &'static str = "print.queue";
    const WRITES: bool = false;
    type Request = QueueQuestion;
    type Response = QueueView;
}

/// `print.decide`: a person settles a job. Asked again it is refused, so it needs no key.
#[derive(Debug, Clone, Copy)]
pub enum PrintDecide {}

impl Operation for PrintDecide {
    const METHOD: &'static str = "print.decide";
    const WRITES: bool = true;
    type Request = Decision;
    type Response = QueuedJob;
}

/// `print.test`: prints a test page; the key makes it one.
#[derive(Debug, Clone, Copy)]
pub enum PrintTest {}

impl Operation for PrintTest {
    const METHOD: &'static str = "print.test";
    const WRITES: bool = true;
    type Request = TestPage;
    type Response = QueuedJob;
}

/// `print.find`: looks for printers on USB and in the appliance's own networks; takes up to half a minute.
#[derive(Debug, Clone, Copy)]
pub enum PrintFind {}

impl Operation for PrintFind {
    const METHOD: &'static str = "print.find";
    const WRITES: bool = false;
    type Request = QueueQuestion;
    type Response = Vec<FoundPrinter>;
}

/// Nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueQuestion {}

/// What stands at the printers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// Printers.
    pub printers: Vec<QueuePrinter>,
    /// Jobs to decide first, then open ones, then the newest.
    pub jobs: Vec<QueuedJob>,
    /// Templates in use; a kind that is not named looks as it came.
    pub templates: Vec<TemplateInUse>,
}

/// A printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePrinter {
    /// Role name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// See [`crate::line::PrinterHealth::state`].
    pub state: String,
    /// `ESC/POS`, `TSPL`, `ZPL` or `PNG`.
    pub language: String,
    /// Where it is.
    pub address: String,
    /// Dots across.
    pub width: u32,
    /// Dots per inch.
    pub dpi: u32,
    /// Rows of a label; none on a roll.
    pub height: Option<u32>,
    /// Role name of the printer that prints while this one is down.
    pub stand_in: Option<String>,
    /// Jobs waiting.
    pub waiting: u64,
    /// Jobs that a person has to decide.
    pub unknown: u64,
}

/// A job, without what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedJob {
    /// Key.
    pub key: String,
    /// Kind of document.
    pub kind: PaperKind,
    /// Role name of the printer it is for.
    pub printer: String,
    /// Role name of the printer it went to, once it did.
    pub used: Option<String>,
    /// `waiting`, `printing`, `printed`, `unknown`, `failed`.
    pub state: String,
    /// Which copy, from 1.
    pub copy: u32,
    /// Plain words.
    pub note: String,
    /// When it came.
    pub created_at: Timestamp,
    /// Last change.
    pub changed_at: Timestamp,
}

/// Which template the appliance uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateInUse {
    /// Kind of document.
    pub kind: PaperKind,
    /// Version in use.
    pub version: u64,
    /// A newer one that was refused, and why.
    pub refused: Option<String>,
}

/// What a person decides about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decide {
    /// It is on paper.
    MarkPrinted,
    /// Again, with a mark that says so.
    Reprint,
    /// Not any more.
    Cancel,
}

/// A decision about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Key of the job.
    pub key: String,
    /// What.
    pub act: Decide,
    /// Who, for the trail.
    pub by: String,
}

/// A test page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestPage {
    /// Makes it one page.
    pub key: String,
    /// Role name of the printer.
    pub printer: String,
    /// Who, printed on it.
    pub by: String,
}

/// A printer that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPrinter {
    /// Where, as written in the configuration.
    pub address: String,
    /// Language it answers in, if any.
    pub language: Option<String>,
    /// State word.
    pub state: String,
    /// Role name when it is configured already.
    pub known_as: Option<String>,
}

impl PaperKind {
    /// A document of this kind that shows every field, for previews and for tests.
    pub fn sample(self) -> Slip {
        kinds::sample(self)
    }
}
