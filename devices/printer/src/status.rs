//! What a printer says about itself, in the words all languages share.

/// The state of a printer (打印机状态); the worst of what it reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Takes jobs.
    Ready,
    /// Takes jobs; the roll soon ends (纸将尽).
    PaperLow,
    /// Prints, or has not worked off what it was sent.
    Busy,
    /// No paper, or no ribbon (缺纸).
    PaperOut,
    /// Cover or head open (上盖未合).
    CoverOpen,
    /// The head is too hot and cools (打印头过热).
    HeadHot,
    /// The cutter is stuck (切刀故障).
    Cutter,
    /// Another fault: jam, motor, memory.
    Fault,
    /// Paused, refuses data, or cannot be reached.
    Offline,
    /// It answers, but not in its language.
    Unknown,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Ready,
        Self::PaperLow,
        Self::Busy,
        Self::PaperOut,
        Self::CoverOpen,
        Self::HeadHot,
        Self::Cutter,
        Self::Fault,
        Self::Offline,
        Self::Unknown,
    ];

    /// Its word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::PaperLow => "paper_low",
            Self::Busy => "printing",
            Self::PaperOut => "out_of_paper",
            Self::CoverOpen => "cover_open",
            Self::HeadHot => "head_hot",
            Self::Cutter => "cutter",
            Self::Fault => "error",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Ready => "打印机正常",
            Self::PaperLow => "打印纸将用尽",
            Self::Busy => "打印机正忙",
            Self::PaperOut => "打印机缺纸",
            Self::CoverOpen => "打印机上盖未合",
            Self::HeadHot => "打印头过热，冷却后自动继续",
            Self::Cutter => "打印机切刀卡住",
            Self::Fault => "打印机故障",
            Self::Offline => "打印机未联机",
            Self::Unknown => "打印机应答无法识别，请核对打印语言设置",
        }
    }

    /// Whether a job may be sent.
    pub const fn takes_jobs(self) -> bool {
        matches!(self, Self::Ready | Self::PaperLow)
    }
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// On paper, confirmed after everything was processed.
    Printed,
    /// Nothing of it is on paper.
    NotPrinted(Status),
    /// Nobody answered before anything was sent.
    Unreachable,
    /// The caller withdrew it before anything was sent.
    Withheld,
    /// May be on paper, wholly or partly.
    Unknown(&'static str),
}
