//! What the page draws. It knows no more than this.

use serde::Serialize;

/// A screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Screen {
    /// Which person's screen it is; a tap names it, so that a late tap does nothing to the next person.
    pub session: u64,
    /// `home`, `identify`, `prove`, `wait`, `menu`, `list`, `ticket`, `fee`, `problem`.
    pub view: &'static str,
    /// The hospital's name.
    pub hospital: String,
    /// Heading.
    pub title: String,
    /// A sentence under it: what to do now.
    pub lead: String,
    /// Who stands there, masked.
    pub person: Option<String>,
    /// Something to be typed, when it is.
    pub entry: Option<Entry>,
    /// Large buttons.
    pub tiles: Vec<Tile>,
    /// Rows of a list.
    pub rows: Vec<Row>,
    /// A number to be read from afar.
    pub big: Option<String>,
    /// Label and value.
    pub facts: Vec<(String, String)>,
    /// A QR symbol for the person's phone.
    pub qr: Option<Symbol>,
    /// Page of the list, from 1, and how many there are.
    pub pages: Option<(usize, usize)>,
    /// Buttons at the bottom.
    pub buttons: Vec<Button>,
    /// What is out of order, in plain words.
    pub notices: Vec<String>,
    /// Milliseconds until the next person is awaited, when somebody stands there.
    pub idle_ms: Option<u64>,
    /// Build of the page that fits; another one loads itself again.
    pub build: &'static str,
}

/// Something to be typed; the page shows how many characters there are, never which, and sends `check:` with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Exactly so many characters.
    pub length: usize,
    /// Keys besides the digits.
    pub letters: &'static str,
    /// Why the last one was not taken.
    pub trouble: Option<String>,
}

/// A large button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tile {
    /// What it does, see [`crate::session::Act`].
    pub act: String,
    /// Words.
    pub title: &'static str,
    /// Smaller words.
    pub hint: &'static str,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// First line.
    pub title: String,
    /// Lines below.
    pub lines: Vec<String>,
    /// How it stands, at the right.
    pub state: String,
    /// `plain`, `good`, `bad`.
    pub tone: &'static str,
    /// What can be done.
    pub button: Option<Button>,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Button {
    /// What it does.
    pub act: String,
    /// Words.
    pub label: &'static str,
    /// The one most people want.
    pub main: bool,
}

impl Button {
    pub(crate) fn new(act: impl ToString, label: &'static str, main: bool) -> Self {
        Self {
            act: act.to_string(),
            label,
            main,
        }
    }
}

/// A QR symbol: `side` × `side` modules, row by row, `1` is dark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// Modules along a side.
    pub side: usize,
    /// The modules.
    pub modules: String,
}

impl Symbol {
    /// The symbol of a text.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = qrcode::QrCode::new(text.as_bytes()).ok()?;
        let modules = code
            .to_colors()
            .into_iter()
            .map(|c| if c == qrcode::Color::Dark { '1' } else { '0' });
        Some(Self {
            side: code.width(),
            modules: modules.collect(),
        })
    }
}
