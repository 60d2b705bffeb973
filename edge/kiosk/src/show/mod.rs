//! What is drawn of a session.

mod fees;
mod prove;

use std::time::{Duration, Instant};

use records::LocalDate;
use records::his::HisOrderState;

use crate::hospital::{Token, Trouble, Visit};
use crate::paper::{Document, MOST_COPIES, Paper};
use crate::screen::{Button, Row, Screen, Tile};
use crate::session::{Act, ROWS, Session, Stage, Task};
use crate::words::{day, masked};

/// What is around the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Around {
    pub(crate) hospital: String,
    pub(crate) card: reader::State,
    pub(crate) scanner: reader::State,
    /// Why the printer takes no jobs.
    pub(crate) printer: Option<String>,
    /// The line to the cloud stands.
    pub(crate) online: bool,
    pub(crate) patient_app: Option<String>,
}

/// Days, for headings.
pub(crate) fn screen(
    session: &Session,
    around: &Around,
    today: LocalDate,
    now: Instant,
    build: &'static str,
) -> Screen {
    let mut screen = Screen {
        session: session.number(),
        hospital: around.hospital.clone(),
        person: person(session),
        idle_ms: session
            .until()
            .map(|until| millis(until.saturating_duration_since(now))),
        notices: notices(around),
        build,
        ..Screen::default()
    };
    match session.stage() {
        Stage::Home => {
            screen.view = "home";
            screen.title = "自助服务".to_owned();
            screen.lead =
                "请选择要办理的事项，或直接出示身份证、就诊卡、手机就诊码、医保电子凭证，或电子处方上的二维码"
                    .to_owned();
            screen.tiles = tiles();
        }
        Stage::Identify { task, trouble } => {
            identify(&mut screen, *task, trouble.as_deref(), around);
            if session.awaits_patient() {
                screen.lead = format!("已找到处方，只打印给处方上的患者本人。{}", screen.lead);
            }
        }
        Stage::Waiting { words, .. } => {
            screen.view = "wait";
            screen.title = (*words).to_owned();
            screen.lead = "请稍候，不要离开".to_owned();
        }
        Stage::Menu => {
            screen.view = "menu";
            screen.title = format!("{}，您好", screen.person.clone().unwrap_or_default());
            screen.lead = "请选择要办理的事项".to_owned();
            if session.bare_card().is_some() {
                screen.title = "您好".to_owned();
            }
            screen.tiles = tiles();
            screen.buttons = vec![Button::new(Act::Leave, "退出", false)];
        }
        Stage::Prove { task, trouble } => prove::screen(&mut screen, session.second(), *task, trouble.as_deref()),
        Stage::Visits { visits, page } => {
            screen.view = "list";
            screen.title = format!("今天（{}）的挂号", day(today));
            screen.lead = if visits.is_empty() {
                "今天没有您的挂号。如已挂号，请到服务台咨询".to_owned()
            } else {
                "请选择要报到的挂号".to_owned()
            };
            screen.rows = rows(visits, *page, visit);
            paged(&mut screen, visits.len(), *page);
        }
        Stage::Ticket { visit, place, ticket } => {
            screen.view = "ticket";
            screen.title = "报到成功".to_owned();
            screen.lead = paper_words(&ticket.paper);
            screen.big = Some(place.queue_number.clone());
            let waiting = place.waiting.map(|n| format!("{n} 人")).unwrap_or_default();
            let facts = [
                ("科室", &visit.department),
                ("医生", &visit.doctor),
                ("诊室", &place.room),
                ("前面等候", &waiting),
            ];
            let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
            screen.facts = facts.map(|(label, value)| (label.to_owned(), value.clone())).collect();
            screen.buttons = vec![
                Button::new(Act::Back, "办理其他", false),
                Button::new(Act::Leave, "完成", true),
            ];
            if let Some(button) = paper_button(&ticket.paper, Act::PrintTicket, "打印号票") {
                screen.buttons.insert(1, button);
            }
        }
        Stage::Documents { task, documents, page } => {
            screen.view = "list";
            let (title, none) = match task {
                Task::Prescriptions => ("我的处方", "近期没有您的处方"),
                _ => ("我的报告", "近期没有可以打印的报告，报告未出时请稍后再来"),
            };
            screen.title = title.to_owned();
            screen.lead = match documents.as_slice() {
                [] => none,
                // Found by the code on it, it comes out by itself.
                [one] if matches!(one.paper, Paper::Printing | Paper::Printed(_)) => "请在出纸口取走",
                _ => "按“打印”后请在出纸口取走",
            }
            .to_owned();
            let first = *page * ROWS;
            let shown = documents.iter().enumerate().skip(first).take(ROWS);
            screen.rows = shown.map(|(n, d)| document(n, d)).collect();
            paged(&mut screen, documents.len(), *page);
        }
        Stage::Fees { bills, receipts, page } => {
            fees::list(&mut screen, bills, receipts, *page);
            if session.bare_card().is_some() {
                fees::by_card_alone(&mut screen);
            }
        }
        Stage::Fee { bills, at, paying, .. } => {
            if let Some(bill) = bills.get(*at) {
                fees::one(&mut screen, bill, paying, around, session.bare_card().is_some());
            }
        }
        Stage::Problem { trouble, task, .. } => problem(&mut screen, trouble, *task, session.person().is_some()),
    }
    screen
}

/// Who stands there, as bystanders may read it. A number tells nobody's name.
fn person(session: &Session) -> Option<String> {
    match (session.bare_card(), session.person()) {
        (Some(Token::HospitalCard(number)), _) => {
            let tail = number.len().saturating_sub(4);
            Some(format!("就诊卡 尾号 {}", number.get(tail..).unwrap_or_default()))
        }
        (_, person) => person.map(|p| masked(&p.name)),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What they came for, beside the heading.
fn name(task: Task) -> Option<String> {
    let name = tiles().into_iter().find(|t| t.act == Act::Task(task).to_string());
    name.map(|t| t.title.to_owned())
}

fn tiles() -> Vec<Tile> {
    let words = |task| match task {
        Task::CheckIn => ("报到取号", "已挂号，到诊室前先报到"),
        Task::Reports => ("打印报告", "检验、检查报告"),
        Task::Prescriptions => ("打印处方", "近期处方，可扫电子处方上的二维码"),
        Task::Fees => ("费用查询", "待缴费用，扫码支付，打印凭条"),
    };
    Task::ALL
        .into_iter()
        .map(|task| {
            let (title, hint) = words(task);
            Tile {
                act: Act::Task(task).to_string(),
                title,
                hint,
            }
        })
        .collect()
}

fn notices(around: &Around) -> Vec<String> {
    use reader::State::{Missing, Ready, Silent};
    let mut notices = Vec::new();
    let broken = |state| matches!(state, Missing | Silent);
    match (around.card, around.scanner) {
        (card, scanner) if card != Ready && scanner != Ready => {
            notices.push("读卡器和扫码器都不可用，请到服务台办理".to_owned())
        }
        (card, _) if broken(card) => {
            notices.push("身份证读卡器暂不可用，请扫就诊卡条码、手机就诊码或医保电子凭证".to_owned())
        }
        (_, scanner) if broken(scanner) => notices.push("扫码器暂不可用，请使用身份证".to_owned()),
        _ => {}
    }
    if let Some(words) = &around.printer {
        notices.push(format!("{words}，暂不能打印"));
    }
    notices
}

fn identify(screen: &mut Screen, task: Option<Task>, trouble: Option<&str>, around: &Around) {
    screen.view = "identify";
    screen.title = trouble.unwrap_or("请出示证件").to_owned();
    let mut ways = Vec::new();
    if around.card == reader::State::Ready {
        ways.push("把身份证平放在读卡区");
    }
    if around.scanner == reader::State::Ready {
        ways.push("把就诊卡条码、手机就诊码或医保电子凭证对准扫码口");
    }
    screen.lead = if ways.is_empty() {
        "本机暂时读不了证件，请到服务台办理".to_owned()
    } else {
        format!("请{}", ways.join("，或"))
    };
    screen.facts = ways.iter().map(|w| ((*w).to_owned(), String::new())).collect();
    screen.big = task.and_then(name);
    screen.buttons = vec![Button::new(Act::Back, "返回首页", false)];
}

fn visit(at: usize, visit: &Visit) -> Row {
    let (state, tone, button) = match visit.state {
        _ if visit.stopped => ("已停诊，请到窗口", "bad", None),
        HisOrderState::Paid => ("待报到", "plain", Some(Button::new(Act::Visit(at), "报到", true))),
        HisOrderState::CheckedIn => ("已报到", "good", Some(Button::new(Act::Visit(at), "查看号票", false))),
        HisOrderState::Unpaid => ("未缴费，请先缴费", "bad", None),
        _ => ("已就诊", "plain", None),
    };
    Row {
        title: visit.department.clone(),
        lines: vec![format!("{}　{}", visit.doctor, visit.time)],
        state: state.to_owned(),
        tone,
        button,
    }
}

fn rows(visits: &[Visit], page: usize, row: fn(usize, &Visit) -> Row) -> Vec<Row> {
    let shown = visits.iter().enumerate().skip(page * ROWS).take(ROWS);
    shown.map(|(n, v)| row(n, v)).collect()
}

fn document(at: usize, document: &Document) -> Row {
    let (state, tone) = match &document.paper {
        Paper::None => (String::new(), "plain"),
        Paper::Printing => ("正在打印".to_owned(), "plain"),
        Paper::Printed(copies) if *copies >= MOST_COPIES => ("已打印，再要请到服务台".to_owned(), "good"),
        Paper::Printed(_) => ("已打印".to_owned(), "good"),
        Paper::Down(words) => (words.clone(), "bad"),
        Paper::Unsure => ("请看出纸口，没有纸请到服务台".to_owned(), "bad"),
        Paper::GivenUp => ("上次没有打印".to_owned(), "plain"),
    };
    Row {
        title: document.title.clone(),
        lines: document.lines.clone(),
        state,
        tone,
        button: paper_button(&document.paper, Act::Print(at), "打印"),
    }
}

fn paper_button(paper: &Paper, act: Act, first: &'static str) -> Option<Button> {
    match paper {
        Paper::None | Paper::Down(_) | Paper::GivenUp => Some(Button::new(act, first, true)),
        Paper::Printed(copies) if *copies < MOST_COPIES => Some(Button::new(act, "补打", false)),
        Paper::Printed(_) | Paper::Printing | Paper::Unsure => None,
    }
}

fn paper_words(paper: &Paper) -> String {
    match paper {
        Paper::None | Paper::GivenUp => "请记下您的号码，在候诊区等候叫号".to_owned(),
        Paper::Printing => "正在打印号票，请稍候".to_owned(),
        Paper::Printed(_) => "号票已打印，请取走，在候诊区等候叫号".to_owned(),
        Paper::Down(words) => format!("{words}。已为您报到，请记下号码，或到服务台补打"),
        Paper::Unsure => "已为您报到。若没有出纸，请记下号码，或到服务台补打".to_owned(),
    }
}

fn paged(screen: &mut Screen, rows: usize, page: usize) {
    let pages = rows.div_ceil(ROWS);
    screen.buttons = vec![Button::new(Act::Back, "返回", false)];
    if pages > 1 {
        screen.pages = Some((page + 1, pages));
        if page > 0 {
            screen.buttons.push(Button::new(Act::Page(page - 1), "上一页", false));
        }
        if page + 1 < pages {
            screen.buttons.push(Button::new(Act::Page(page + 1), "下一页", true));
        }
    }
    screen.buttons.push(Button::new(Act::Leave, "退出", false));
}

fn problem(screen: &mut Screen, trouble: &Trouble, task: Option<Task>, known: bool) {
    screen.view = "problem";
    let again = Button::new(Act::Retry, "再试一次", true);
    let leave = Button::new(Act::Leave, "退出", false);
    match trouble {
        Trouble::Away => {
            screen.title = "医院系统暂时连接不上".to_owned();
            screen.lead = "没有办理任何业务。请稍后再试，或到窗口办理".to_owned();
            screen.buttons = vec![again, leave];
        }
        Trouble::Unsure if task == Some(Task::CheckIn) => {
            screen.title = "暂时无法确认是否已报到".to_owned();
            screen.lead = "请到服务台或分诊台核实；也可以再查一次，不会重复取号".to_owned();
            screen.buttons = vec![Button::new(Act::Retry, "再查一次", true), leave];
        }
        Trouble::Unsure => {
            screen.title = "医院系统没有答复".to_owned();
            screen.lead = "请稍后再试，或到窗口办理".to_owned();
            screen.buttons = vec![again, leave];
        }
        Trouble::Refused(words) => {
            screen.title = "暂时不能办理".to_owned();
            screen.lead.clone_from(words);
            screen.buttons = vec![leave];
        }
    }
    if known {
        screen.buttons.insert(0, Button::new(Act::Back, "返回", false));
    }
}
