//! Bills, their payment, receipts.

use records::Fen;
use records::his::{Bill, BillItem};

use super::{Around, paged, paper_button};
use crate::money::Paying;
use crate::paper::{Document, MOST_COPIES, Paper};
use crate::screen::{Button, Row, Screen, Symbol};
use crate::session::{Act, ROWS, Task};
use crate::words::yuan;

/// Lines of a bill that fit.
const MOST_LINES: usize = 8;

/// Of a bill's lines and of receipts a card alone shows nothing.
pub(super) fn by_card_alone(screen: &mut Screen) {
    if screen.rows.is_empty() {
        "没有待缴的费用。已支付的凭条，核对身份后可以打印".clone_into(&mut screen.lead);
    }
    screen.buttons.insert(1, verify("核对身份，看明细和凭条"));
}

fn verify(label: &'static str) -> Button {
    Button::new(Act::Verify, label, false)
}

/// What is to be paid, then what was paid of late.
pub(super) fn list(screen: &mut Screen, bills: &[Bill], receipts: &[Document], page: usize) {
    screen.view = "list";
    screen.title = "待缴费用".to_owned();
    let total = Fen(bills.iter().fold(0, |sum: i64, b| sum.saturating_add(b.total_fen.0)));
    screen.lead = match (bills.is_empty(), receipts.is_empty()) {
        (true, true) => "没有待缴的费用".to_owned(),
        (true, false) => "没有待缴的费用。近期已支付的可以打印凭条".to_owned(),
        (false, _) => format!("共 {} 笔，合计 {}", bills.len(), yuan(total)),
    };
    let owed = bills.iter().enumerate().map(|(n, bill)| {
        let names: Vec<&str> = bill.items.iter().map(|i| i.name.as_str()).collect();
        Row {
            title: yuan(bill.total_fen),
            lines: vec![names.join("、")],
            tone: "plain",
            button: Some(Button::new(Act::Bill(n), "查看", true)),
            ..Row::default()
        }
    });
    let paid = receipts.iter().enumerate().map(|(n, receipt)| {
        let (state, tone) = match &receipt.paper {
            Paper::Down(words) => (words.clone(), "bad"),
            Paper::Printing => ("正在打印".to_owned(), "plain"),
            Paper::Printed(copies) if *copies >= MOST_COPIES => ("已打印，再要请到服务台".to_owned(), "good"),
            Paper::Printed(_) => ("已打印".to_owned(), "good"),
            Paper::Unsure => ("请看出纸口，没有纸请到服务台".to_owned(), "bad"),
            Paper::None | Paper::GivenUp => ("已支付".to_owned(), "good"),
        };
        Row {
            title: receipt.title.clone(),
            lines: receipt.lines.clone(),
            state,
            tone,
            button: paper_button(&receipt.paper, Act::Receipt(n), "打印凭条"),
        }
    });
    screen.rows = owed.chain(paid).skip(page * ROWS).take(ROWS).collect();
    paged(screen, bills.len() + receipts.len(), page);
}

/// One bill, and how its payment stands.
pub(super) fn one(screen: &mut Screen, bill: &Bill, paying: &Paying, around: &Around, bare: bool) {
    screen.view = "fee";
    screen.big = Some(yuan(bill.total_fen));
    let line = |i: &BillItem| {
        (
            format!("{} {}", i.name, i.specification).trim().to_owned(),
            format!("{}　{}", i.quantity, yuan(i.amount_fen)),
        )
    };
    screen.facts = bill.items.iter().take(MOST_LINES).map(line).collect();
    if bill.items.len() > MOST_LINES {
        let more = format!("另有 {} 项", bill.items.len() - MOST_LINES);
        screen.facts.push((more, String::new()));
    }
    if bare {
        screen.facts = vec![("费用明细".to_owned(), "核对身份后显示".to_owned())];
    }
    let back = |label| Button::new(Act::Back, label, false);
    let leave = |main| Button::new(Act::Leave, if main { "完成" } else { "退出" }, main);
    match paying {
        Paying::Open => {
            screen.title = "费用明细".to_owned();
            (screen.qr, screen.lead) = payment(bill.prescription_number.as_deref(), around);
            screen.buttons = vec![
                back("返回"),
                Button::new(Act::Task(Task::Fees), "刷新", false),
                leave(false),
            ];
            if bare {
                screen.title = "待缴费用".to_owned();
                screen.buttons.insert(2, verify("核对身份，看明细"));
            }
        }
        Paying::Arrived => {
            screen.title = "已收到支付，正在入账".to_owned();
            screen.lead = "请稍候，结果会自动显示；可以离开，凭条下次可补打。请勿重复支付".to_owned();
            screen.buttons = vec![back("返回"), leave(false)];
        }
        Paying::Asking => {
            screen.title = "已收到支付，正在与医院核对".to_owned();
            screen.lead = "医院系统的答复没有收到，正在查询；款项不会丢失，请勿重复支付".to_owned();
            screen.buttons = vec![back("返回"), leave(false)];
        }
        Paying::Paid(receipt) => {
            screen.title = "支付成功".to_owned();
            let next = receipt.lines.get(1).map(|at| format!("。{at}")).unwrap_or_default();
            screen.lead = match &receipt.paper {
                Paper::None | Paper::GivenUp => format!("已入账{next}"),
                Paper::Printing => "正在打印收费凭条，请稍候".to_owned(),
                Paper::Printed(_) => format!("收费凭条已打印，请取走{next}"),
                Paper::Down(words) => format!("{words}。已支付成功，凭条可稍后在“费用查询”中打印"),
                Paper::Unsure => "已支付成功。若没有出纸，请到服务台补打凭条".to_owned(),
            };
            screen.buttons = vec![back("办理其他"), leave(true)];
            if let Some(button) = paper_button(&receipt.paper, Act::Receipt(0), "打印凭条") {
                screen.buttons.insert(1, button);
            }
        }
        Paying::Refused(words) => {
            screen.title = "医院未能入账，款项将原路退回".to_owned();
            screen.lead = format!("{words}。请勿重复支付，退款进度可在手机患者端查看");
            screen.buttons = vec![back("返回"), leave(true)];
        }
        Paying::Hand => {
            screen.title = "已收到支付，需人工核对".to_owned();
            screen.lead = "款项已收到，医院入账结果待人工核实。请到收费窗口，请勿重复支付".to_owned();
            screen.buttons = vec![back("返回"), leave(true)];
        }
    }
}

/// A bill of a prescription of ours is paid in the patient's app, as always; others at the window.
fn payment(prescription: Option<&str>, around: &Around) -> (Option<Symbol>, String) {
    let (Some(app), Some(prescription)) = (&around.patient_app, prescription) else {
        return (None, "这笔费用请到收费窗口缴纳".to_owned());
    };
    if !around.online {
        let words = "网络中断，暂不能扫码支付，请到收费窗口缴纳。刚才已支付的，款项不会丢失，请勿重复支付";
        return (None, words.to_owned());
    }
    let address = format!("{}/prescriptions/{prescription}", app.trim_end_matches('/'));
    match Symbol::of(&address) {
        Some(symbol) => (
            Some(symbol),
            "请用手机扫码，在患者端确认并支付；付款后本屏自动显示结果".to_owned(),
        ),
        None => (None, "请在手机患者端“我的处方”中支付".to_owned()),
    }
}
