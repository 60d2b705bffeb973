use rusqlite::{OptionalExtension, params};

use super::{Movement, book, fen, items, need, patient_of};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

/// #32 线上处方待缴费列表
pub(super) fn pending(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let found = items(
        call,
        "SELECT r.fee_id, r.audit_at, r.dept, d.name, r.doctor, p.name, 1, r.total, 0, r.total, r.id, r.rx_no,
                (SELECT pat_type = '2' FROM patient WHERE id = r.patient)
           FROM recipe r JOIN dept d ON d.code = r.dept JOIN doctor p ON p.code = r.doctor
          WHERE r.patient = ?1 AND r.status = 2 ORDER BY r.rowid",
        &[&patient.id],
        &[
            "mzFeeId",
            "time",
            "deptCode",
            "deptName",
            "doctorCode",
            "doctorName",
            "payType",
            "payAmout",
            "medicareAmout",
            "totalAmout",
            "recipeId",
            "rxNo",
            "canUseInsurance",
        ],
    )?;
    Ok(Reply::found(found))
}

/// #33 线上处方待缴费详情
pub(super) fn detail(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let fee = need(asked, "mzFeeId")?;
    let found = items(
        call,
        "SELECT i.recipe || '-' || (i.n + 1), i.name, CASE r.type WHEN 2 THEN '中草药费' ELSE '西药费' END,
                i.price, i.spec, i.qty_unit, CASE r.type WHEN 2 THEN i.dose ELSE i.qty END, i.amount, d.name, r.doctor, p.name,
                coalesce((SELECT insurance_code FROM drug WHERE code = i.drug),
                         (SELECT insurance_code FROM herb WHERE code = i.drug))
           FROM recipe r JOIN recipe_item i ON i.recipe = r.id
           JOIN dept d ON d.code = r.dept JOIN doctor p ON p.code = r.doctor
          WHERE r.patient = ?1 AND r.fee_id = ?2
          UNION ALL
         SELECT r.id || '-D', '代煎费', '治疗费', '300', '付', '付', r.fu_count, 300 * r.fu_count, '', r.doctor, '', ''
           FROM recipe r WHERE r.patient = ?1 AND r.fee_id = ?2 AND r.decoction = 1",
        &[&patient.id, &fee],
        &[
            "itemId", "itemName", "itemType", "itemPrice", "itemSpec", "itemUnit", "itemNumber",
            "itemTotalFee", "deptName", "doctorCode", "doctorName", "medicareItemId",
        ],
    )?;
    Ok(Reply::found(found))
}

/// #34 线上处方缴费支付
pub(super) fn pay(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let (ps_ord, agt_ord) = (need(asked, "psOrdNum")?, need(asked, "agtOrdNum")?);
    let amount = fen(asked, "payAmout")?;
    let fees: Vec<&str> = need(asked, "mzFeeIdList")?.split(',').map(str::trim).collect();
    let mut total = 0;
    for fee in &fees {
        let bill: Option<(i64, i64, Option<String>)> = call
            .tx
            .query_row(
                "SELECT status, total, his_pay FROM recipe WHERE fee_id = ?1 AND patient = ?2",
                params![fee, patient.id],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
            )
            .optional()?;
        match bill {
            Some((2, price, _)) => total += price,
            Some((5 | 6, _, Some(paid))) if call.options.honour_keys => return receipt(call, &paid),
            Some((5 | 6, ..)) => return refuse("费用已缴"),
            Some((4, ..)) => return refuse("处方已撤销"),
            Some((7, ..)) => return refuse("费用已退"),
            Some((1 | 3, ..)) => return refuse("处方未通过审核"),
            _ => return refuse(format!("费用单{fee}不存在")),
        }
    }
    if amount != total {
        return refuse(format!("金额不符，应付{total}分"));
    }
    let n = call.number("bill")?;
    let day = call.today().replace('-', "");
    let his_ord = format!("B{day}{n:06}");
    call.tx.execute(
        "INSERT INTO bill_pay VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            his_ord,
            ps_ord,
            agt_ord,
            patient.id,
            fees.join(","),
            amount,
            format!("S{n:08}"),
            format!("Q{day}{n:06}"),
            call.moment()
        ],
    )?;
    for fee in &fees {
        call.tx.execute(
            "UPDATE recipe SET status = 5, his_pay = ?2 WHERE fee_id = ?1",
            params![fee, his_ord],
        )?;
        move_stock(call, fee, -1)?;
    }
    book(
        call,
        &Movement {
            kind: "pay",
            subject: "bill",
            his_ord: &his_ord,
            ps_ord,
            agt_ord,
            ps_ref: "",
            agt_ref: "",
            his_ref: "",
            amount,
        },
    )?;
    receipt(call, &his_ord)
}

fn move_stock(call: &Call<'_>, fee: &str, sign: i64) -> Result<(), OpError> {
    for table in ["drug", "herb"] {
        let sql = format!(
            "UPDATE {table} SET stock = stock + ?2 * (SELECT coalesce(sum(i.stock_qty), 0) FROM recipe_item i
               JOIN recipe r ON r.id = i.recipe WHERE r.fee_id = ?1 AND i.drug = {table}.code)
              WHERE code IN (SELECT i.drug FROM recipe_item i JOIN recipe r ON r.id = i.recipe WHERE r.fee_id = ?1)"
        );
        call.tx.execute(&sql, params![fee, sign])?;
    }
    Ok(())
}

fn receipt(call: &Call<'_>, his_ord: &str) -> Result<Reply, OpError> {
    let found = items(
        call,
        "SELECT his_ord, receipt, barcode, '请凭取药码到门诊楼一层门诊药房3号窗口取药' FROM bill_pay WHERE his_ord = ?1",
        &[&his_ord],
        &["hisOrdNum", "receiptNum", "barCode", "hisMessage"],
    )?;
    Ok(Reply::done(found))
}

/// #35 线上处方缴费退款
pub(super) fn refund(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (ps_ref, agt_ref) = (need(asked, "psRefOrdNum")?, asked.get("agtRefOrdNum"));
    let amount = fen(asked, "refundAmout")?;
    let payment: Option<(String, String, String, String, i64)> = call
        .tx
        .query_row(
            "SELECT his_ord, ps_ord, agt_ord, fee_ids, amount FROM bill_pay
              WHERE CASE WHEN ?1 <> '' THEN his_ord = ?1 ELSE ps_ord = ?2 END ORDER BY rowid DESC LIMIT 1",
            params![asked.get("hisOrdNum"), asked.get("psOrdNum")],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)),
        )
        .optional()?;
    let Some((his_ord, ps_ord, agt_ord, fee_ids, paid)) = payment else {
        return refuse("费用未缴");
    };
    let done = |his_ref: &str| Reply::done(vec![Item::default().with("hisRefOrdNum", his_ref)]);
    let earlier: Option<String> = call
        .tx
        .query_row(
            "SELECT his_ref FROM bill_refund WHERE ps_ref = ?1 AND his_ord = ?2",
            params![ps_ref, his_ord],
            |r| r.get(0),
        )
        .optional()?;
    if let (Some(his_ref), true) = (&earlier, call.options.honour_keys) {
        return Ok(done(his_ref));
    }
    let (back, handed_out): (i64, i64) = call.tx.query_row(
        "SELECT (SELECT coalesce(sum(amount), 0) FROM bill_refund WHERE his_ord = ?1),
                (SELECT count(*) FROM recipe WHERE his_pay = ?1 AND status = 6)",
        [&his_ord],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )?;
    if handed_out > 0 {
        return refuse("已发药，不可退费");
    }
    if amount <= 0 || back + amount > paid {
        return refuse("超过可退金额");
    }
    let his_ref = format!("U{:08}", call.number("refund")?);
    call.tx.execute(
        "INSERT INTO bill_refund VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            his_ref,
            his_ord,
            asked.get("mzFeeId"),
            ps_ref,
            agt_ref,
            amount,
            asked.get("refundReason"),
            call.moment()
        ],
    )?;
    if back + amount == paid {
        call.tx
            .execute("UPDATE recipe SET status = 7 WHERE his_pay = ?1", [&his_ord])?;
        for fee in fee_ids.split(',') {
            move_stock(call, fee, 1)?;
        }
    }
    book(
        call,
        &Movement {
            kind: "refund",
            subject: "bill",
            his_ord: &his_ord,
            ps_ord: &ps_ord,
            agt_ord: &agt_ord,
            ps_ref,
            agt_ref,
            his_ref: &his_ref,
            amount,
        },
    )?;
    Ok(done(&his_ref))
}

/// #36 线上处方缴费状态查询
pub(super) fn status(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (his, ps, fee) = (asked.get("hisOrdNum"), asked.get("psOrdNum"), asked.get("mzFeeId"));
    let paid = items(
        call,
        "SELECT b.his_ord, b.ps_ord, b.agt_ord,
                CASE WHEN coalesce(sum(f.amount), 0) >= b.amount THEN 2 ELSE 1 END, b.amount, b.receipt,
                coalesce(max(f.his_ref), ''), coalesce(max(f.ps_ref), ''), coalesce(sum(f.amount), 0), b.fee_ids
           FROM bill_pay b LEFT JOIN bill_refund f ON f.his_ord = b.his_ord
          WHERE (?1 = '' OR b.his_ord = ?1) AND (?2 = '' OR b.ps_ord = ?2)
            AND (?3 = '' OR ',' || b.fee_ids || ',' LIKE '%,' || ?3 || ',%') AND ?1 || ?2 || ?3 <> ''
          GROUP BY b.his_ord ORDER BY b.rowid",
        &[&his, &ps, &fee],
        &[
            "hisOrdNum",
            "psOrdNum",
            "agtOrdNum",
            "payStatus",
            "payAmout",
            "receiptNum",
            "hisRefOrdNum",
            "psRefOrdNum",
            "refundAmout",
            "mzFeeIdList",
        ],
    )?;
    if !paid.is_empty() || fee.is_empty() {
        return Ok(Reply::found(paid));
    }
    let open = items(
        call,
        "SELECT '', '', '', 0, total, '', '', '', 0, fee_id FROM recipe WHERE fee_id = ?1",
        &[&fee],
        &[
            "hisOrdNum",
            "psOrdNum",
            "agtOrdNum",
            "payStatus",
            "payAmout",
            "receiptNum",
            "hisRefOrdNum",
            "psRefOrdNum",
            "refundAmout",
            "mzFeeIdList",
        ],
    )?;
    Ok(Reply::found(open))
}

/// #78 快递信息推送
pub(super) fn delivery(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let (rx_no, his_ord) = (asked.get("rxNo"), asked.get("hisOrdNum"));
    let known: i64 = call.tx.query_row(
        "SELECT (SELECT count(*) FROM recipe WHERE rx_no = ?1 AND ?1 <> '')
              + (SELECT count(*) FROM bill_pay WHERE his_ord = ?2 AND ?2 <> '')",
        params![rx_no, his_ord],
        |r| r.get(0),
    )?;
    if known == 0 {
        return refuse("处方或缴费单不存在");
    }
    call.tx.execute(
        "INSERT INTO delivery VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        params![
            rx_no,
            his_ord,
            need(asked, "company")?,
            need(asked, "waybillNo")?,
            need(asked, "status")?,
            asked.get("receiver"),
            asked.get("receiverMobile"),
            asked.get("address"),
            asked.get("time")
        ],
    )?;
    Ok(Reply::done(Vec::new()))
}
