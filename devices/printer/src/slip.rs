//! A document as it travels and lies in a spool: JSON with money in integer fen. Read here and nowhere else, so that a
//! preview, a first copy and a reprint say the same.

use serde::Deserialize;
use serde_json::Value;

use crate::layout::{Item, Slip};

#[derive(Deserialize)]
struct Sent {
    header: String,
    title: String,
    fields: Vec<(String, String)>,
    items: Vec<SentItem>,
    total_fen: Option<i64>,
    qr: Option<String>,
    footer: Vec<String>,
}

#[derive(Deserialize)]
struct SentItem {
    name: String,
    quantity: String,
    amount_fen: Option<i64>,
    note: String,
}

/// Yuan with two decimals.
fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen / 100, fen % 100)
}

impl Slip {
    /// Reads a document; a copy beyond the first says so above everything.
    ///
    /// # Errors
    /// When it is no document.
    pub fn read(sent: &Value, copy: u32) -> Result<Self, serde_json::Error> {
        let sent = Sent::deserialize(sent)?;
        let item = |i: SentItem| Item {
            name: i.name,
            quantity: i.quantity,
            amount: i.amount_fen.map(yuan).unwrap_or_default(),
            note: i.note,
        };
        Ok(Self {
            mark: (copy > 1).then(|| format!("【补打 第{copy}份】")),
            header: sent.header,
            title: sent.title,
            fields: sent.fields,
            items: sent.items.into_iter().map(item).collect(),
            total: sent.total_fen.map(|fen| format!("{} 元", yuan(fen))),
            qr: sent.qr,
            footer: sent.footer,
        })
    }

    /// What is printed in place of a document that cannot be read.
    pub fn unreadable() -> Self {
        Self {
            mark: Some("打印内容无法读取".to_owned()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn money_is_yuan_and_a_copy_says_so() {
        let sent = json!({"header": "医院", "title": "收费凭条", "fields": [["姓名", "张三"]], "total_fen": 6_165, "qr": null, "footer": [],
            "items": [{"name": "药", "quantity": "2盒", "amount_fen": 5, "note": ""}, {"name": "退", "quantity": "", "amount_fen": -1_200, "note": ""},
                      {"name": "赠", "quantity": "", "amount_fen": null, "note": ""}]});
        let slip = Slip::read(&sent, 1).unwrap();
        let amounts: Vec<&str> = slip.items.iter().map(|i| i.amount.as_str()).collect();
        assert_eq!(amounts, ["0.05", "-12.00", ""]);
        assert_eq!((slip.total.as_deref(), slip.mark), (Some("61.65 元"), None));
        assert_eq!(Slip::read(&sent, 3).unwrap().mark.as_deref(), Some("【补打 第3份】"));
        assert!(Slip::read(&Value::Null, 1).is_err());
    }
}
