//! Lines of prescriptions: what they hold, what they cost, whether there is enough.

use rusqlite::OptionalExtension;

use super::{known, need};
use crate::house::{Call, OpError, refuse};
use crate::wire::Node;

/// A priced line of a prescription.
pub(super) struct Line {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) spec: String,
    pub(super) qty_unit: String,
    pub(super) price: String,
    pub(super) amount: i64,
    pub(super) stock: i64,
}

/// A western line at the price list.
pub(super) fn drug_line(call: &Call<'_>, asked: &Node) -> Result<Line, OpError> {
    let code = need(asked, "drugCode")?;
    known(call, "route", asked.get("routeCode"), "未知用法")?;
    known(call, "freq", asked.get("freqCode"), "未知频次")?;
    type Drug = (String, String, String, String, i64, i64, String, i64, i64);
    let drug: Option<Drug> = call
        .tx
        .query_row(
            "SELECT common, spec, unit, min_unit, pack, price, flags, stock, status FROM drug WHERE code = ?1",
            [code],
            |r| {
                Ok((
                    r.get(0)?,
                    r.get(1)?,
                    r.get(2)?,
                    r.get(3)?,
                    r.get(4)?,
                    r.get(5)?,
                    r.get(6)?,
                    r.get(7)?,
                    r.get(8)?,
                ))
            },
        )
        .optional()?;
    let Some((name, spec, unit, min_unit, pack, price, flags, stock, status)) = drug else {
        return refuse(format!("药品{code}不存在"));
    };
    if status == 0 {
        return refuse(format!("{name}已停用"));
    }
    if flags.contains("narcotic") || flags.contains("psychotropic") {
        return refuse(format!("{name}属麻醉/精神药品，不得线上开具"));
    }
    let Some(qty) = whole(asked.get("qty")).filter(|n| *n > 0) else {
        return refuse(format!("{name}数量应为正整数"));
    };
    let qty_unit = asked.get("qtyUnit");
    let (amount, units) = if qty_unit == unit {
        (price * qty, qty)
    } else if qty_unit == min_unit && pack > 0 {
        ((price * qty + pack - 1) / pack, (qty + pack - 1) / pack)
    } else {
        return refuse(format!("{name}数量单位应为{unit}或{min_unit}"));
    };
    if units > stock {
        return refuse(format!("{name}库存不足"));
    }
    Ok(Line {
        code: code.into(),
        name,
        spec,
        qty_unit: qty_unit.into(),
        price: price.to_string(),
        amount,
        stock: units,
    })
}

/// A herbal line at the price list.
pub(super) fn herb_line(call: &Call<'_>, asked: &Node, doses: i64) -> Result<Line, OpError> {
    let code = need(asked, "drugCode")?;
    let herb: Option<(String, i64, i64, i64)> = call
        .tx
        .query_row(
            "SELECT name, price_tenths, stock, status FROM herb WHERE code = ?1",
            [code],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)),
        )
        .optional()?;
    let Some((name, tenths, stock, status)) = herb else {
        return refuse(format!("饮片{code}不存在"));
    };
    if status == 0 {
        return refuse(format!("{name}已停用"));
    }
    let Some(milligrams) = thousandths(asked.get("dose")).filter(|mg| (1..=500_000).contains(mg)) else {
        return refuse(format!("{name}剂量应为克数"));
    };
    let grams = (milligrams * doses + 999) / 1000;
    if grams > stock {
        return refuse(format!("{name}库存不足"));
    }
    // mg × tenths of a fen per g × doses, to whole fen.
    let amount = (milligrams * tenths * doses + 5_000) / 10_000;
    Ok(Line {
        code: code.into(),
        name,
        spec: "饮片".into(),
        qty_unit: "g".into(),
        price: super::dictionary::tenths(tenths),
        amount,
        stock: grams,
    })
}

/// A whole number, also written with decimals.
pub(super) fn whole(text: &str) -> Option<i64> {
    let cut = text
        .strip_suffix(".0")
        .or_else(|| text.strip_suffix(".00"))
        .unwrap_or(text);
    cut.parse().ok()
}

/// Decimal text to thousandths: `7.5` → 7500.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: i64 = format!("{part:0<3}").parse().ok()?;
    Some(whole.parse::<u32>().ok().map(i64::from)? * 1000 + part)
}

#[cfg(test)]
mod tests {
    use super::{thousandths, whole};

    #[test]
    fn doses_are_decimal_text() {
        assert_eq!(thousandths("7.5"), Some(7500));
        assert_eq!(thousandths("15"), Some(15_000));
        assert_eq!(thousandths("0.0001"), None);
        assert_eq!(thousandths("-3"), None);
        assert_eq!(thousandths("1.-5"), None);
        assert_eq!(whole("2.0"), Some(2));
    }
}
