//! Prescriptions. States: 1 已开立 2 已审核 3 审核不通过 4 已撤销 5 已缴费 6 已发药 7 已退费.

use rusqlite::{OptionalExtension, params};

use super::recipe_line::{Line, drug_line, herb_line, whole};
use super::{bounds, diagnoses, items, known, need, patient_of};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

const DECOCTION_FEE: i64 = 300;

struct Recipe {
    id: String,
    rx_no: String,
    fee_id: String,
    status: i64,
    total: i64,
}

impl Recipe {
    fn item(&self) -> Item {
        Item::default()
            .with("rxNo", &self.rx_no)
            .with("hisRecipeId", &self.id)
            .with("mzFeeId", &self.fee_id)
            .with("recipeStatus", self.status)
            .with("totalAmout", self.total)
    }
}

fn recipe_of(call: &Call<'_>, asked: &Node) -> Result<Option<Recipe>, OpError> {
    Ok(call
        .tx
        .query_row(
            "SELECT id, rx_no, fee_id, status, total FROM recipe
              WHERE CASE WHEN ?1 <> '' THEN id = ?1 ELSE rx_no = ?2 AND ?2 <> '' END
              ORDER BY rowid DESC LIMIT 1",
            params![asked.get("hisRecipeId"), asked.get("rxNo")],
            |r| {
                Ok(Recipe {
                    id: r.get(0)?,
                    rx_no: r.get(1)?,
                    fee_id: r.get(2)?,
                    status: r.get(3)?,
                    total: r.get(4)?,
                })
            },
        )
        .optional()?)
}

/// #75 新增西/中药处方
pub(super) fn add(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let rx_no = need(asked, "rxNo")?;
    if call.options.honour_keys
        && let Some(known) = recipe_of(call, asked)?
    {
        return Ok(Reply::done(vec![known.item()]));
    }
    let (visit, patient) = visit_of(call, asked)?;
    let doctor = need(asked, "doctorCode")?;
    let dept: Option<String> = call
        .tx
        .query_row(
            "SELECT dept FROM doctor WHERE code = ?1 AND practice LIKE '1%'",
            [doctor],
            |r| r.get(0),
        )
        .optional()?;
    let Some(dept) = dept else {
        return refuse("医师不存在或无处方权");
    };
    check_diagnoses(call, asked)?;
    let herbal = asked.get("recipeType") == "2";
    let doses = if herbal {
        whole(asked.get("fuCount")).filter(|n| (1..=30).contains(n))
    } else {
        Some(1)
    };
    let Some(doses) = doses else {
        return refuse("中药付数应为1至30");
    };
    let wanted = asked.list("items");
    if wanted.is_empty() {
        return refuse("处方无药品明细");
    }
    if !herbal && wanted.len() > 5 {
        return refuse("西药处方不得超过5种药品");
    }
    let mut lines = Vec::new();
    for line in &wanted {
        lines.push(if herbal {
            herb_line(call, line, doses)?
        } else {
            drug_line(call, line)?
        });
    }
    let brewed = herbal && asked.get("decoction") == "1";
    let total = lines.iter().map(|line| line.amount).sum::<i64>() + if brewed { DECOCTION_FEE * doses } else { 0 };
    let n = call.number("recipe")?;
    let day = call.today().replace('-', "");
    let made = Recipe {
        id: format!("C{day}{n:06}"),
        rx_no: rx_no.into(),
        fee_id: format!("F{day}{n:06}"),
        status: 1,
        total,
    };
    call.tx.execute(
        "INSERT INTO recipe (id, rx_no, visit, patient, type, doctor, dept, at, status, fee_id, total, fu_count,
            herb_usage, decoction, ca_sign) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,1,?9,?10,?11,?12,?13,?14)",
        params![
            made.id,
            rx_no,
            visit,
            patient,
            if herbal { 2 } else { 1 },
            doctor,
            dept,
            call.moment(),
            made.fee_id,
            total,
            doses,
            asked.get("herbUsage"),
            brewed,
            asked.get("caSign")
        ],
    )?;
    for (n, (asked, line)) in (0_i64..).zip(wanted.iter().zip(&lines)) {
        write_line(call, &made.id, n, asked, line)?;
    }
    for (n, d) in (0_i64..).zip(asked.list("diagnosis")) {
        call.tx.execute(
            "INSERT INTO recipe_diagnosis VALUES (?1, ?2, ?3, ?4, ?5)",
            params![made.id, n, d.get("code"), d.get("name"), d.get("main") == "1" || n == 0],
        )?;
    }
    Ok(Reply::done(vec![made.item()]))
}

fn write_line(call: &Call<'_>, id: &str, n: i64, asked: &Node, line: &Line) -> Result<(), OpError> {
    call.tx.execute(
        "INSERT INTO recipe_item VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
        params![
            id,
            n,
            line.code,
            line.name,
            line.spec,
            asked.get("dose"),
            asked.get("doseUnit"),
            asked.get("routeCode"),
            asked.get("freqCode"),
            asked.get("days"),
            asked.get("qty"),
            line.qty_unit,
            line.price,
            line.amount,
            asked.get("remark"),
            line.stock
        ],
    )?;
    Ok(())
}

/// The paid registration a prescription belongs to: its visit number and patient.
pub(super) fn visit_of(call: &Call<'_>, asked: &Node) -> Result<(String, String), OpError> {
    let found: Option<(String, String)> = call
        .tx
        .query_row(
            "SELECT serial, patient FROM reg WHERE status IN (2, 5, 6) AND ?1 <> '' AND ?1 IN (serial, his_ord, ps_ord)
              ORDER BY rowid DESC LIMIT 1",
            [asked.get("visitId")],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let Some((visit, patient)) = found else {
        return refuse("就诊不存在或挂号未支付");
    };
    if patient_of(call, asked)?.id != patient {
        return refuse("患者与就诊不符");
    }
    Ok((visit, patient))
}

pub(super) fn check_diagnoses(call: &Call<'_>, asked: &Node) -> Result<(), OpError> {
    let given = asked.list("diagnosis");
    if given.is_empty() {
        return refuse("处方无诊断");
    }
    for diagnosis in given {
        known(call, "icd", diagnosis.get("code"), "未知诊断")?;
    }
    Ok(())
}

/// #76 处方审核
pub(super) fn audit(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let Some(mut recipe) = recipe_of(call, asked)? else {
        return refuse("处方不存在");
    };
    let target = match asked.get("auditResult") {
        "1" => 2,
        "2" => 3,
        _ => return refuse("审核结果应为1通过或2不通过"),
    };
    known(call, "doctor", asked.get("pharmacistCode"), "未知药师")?;
    match recipe.status {
        4 => return refuse("处方已撤销"),
        5 | 6 if target == 2 => return Ok(Reply::done(vec![recipe.item()])),
        5..=7 => return refuse("已缴费，不可更改审核"),
        _ => {}
    }
    recipe.status = target;
    call.tx.execute(
        "UPDATE recipe SET status = ?2, pharmacist = ?3, audit_reason = ?4, audit_at = ?5, audit_sign = ?6 WHERE id = ?1",
        params![
            recipe.id, target, asked.get("pharmacistCode"), asked.get("auditReason"), call.moment(),
            asked.get("caSign")
        ],
    )?;
    Ok(Reply::done(vec![recipe.item()]))
}

/// #77 处方撤销
pub(super) fn revoke(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let Some(mut recipe) = recipe_of(call, asked)? else {
        return refuse("处方不存在");
    };
    match recipe.status {
        5 => return refuse("已缴费，请先退费"),
        6 => return refuse("已发药，不可撤销"),
        _ => {}
    }
    recipe.status = 4;
    call.tx
        .execute("UPDATE recipe SET status = 4 WHERE id = ?1", [&recipe.id])?;
    Ok(Reply::done(vec![recipe.item()]))
}

/// 处方状态
pub(super) fn status(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let found = items(
        call,
        "SELECT rx_no, id, fee_id, status, total FROM recipe
          WHERE (?1 = '' OR id = ?1) AND (?2 = '' OR rx_no = ?2) AND ?1 || ?2 <> '' ORDER BY rowid",
        &[&asked.get("hisRecipeId"), &asked.get("rxNo")],
        &["rxNo", "hisRecipeId", "mzFeeId", "recipeStatus", "totalAmout"],
    )?;
    Ok(Reply::found(found))
}

/// 既往处方
pub(super) fn records(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let patient = patient_of(call, asked)?;
    let (begin, end) = bounds(asked);
    let heads = items(
        call,
        "SELECT r.id, r.visit, r.at, r.type, d.name, p.name FROM recipe r
           JOIN dept d ON d.code = r.dept JOIN doctor p ON p.code = r.doctor
          WHERE r.patient = ?1 AND r.at BETWEEN ?2 AND ?3 AND r.status NOT IN (3, 4) ORDER BY r.at DESC",
        &[&patient.id, &begin, &end],
        &[
            "recipeId",
            "visitId",
            "recipeTime",
            "recipeType",
            "deptName",
            "doctorName",
        ],
    )?;
    let mut found = Vec::new();
    for head in heads {
        let id = head.text("recipeId").to_owned();
        let lines = items(
            call,
            "SELECT i.drug, i.name, i.spec, i.dose, i.dose_unit, coalesce(t.name, i.route), coalesce(f.name, i.freq),
                    i.days, i.qty, i.qty_unit
               FROM recipe_item i LEFT JOIN route t ON t.code = i.route LEFT JOIN freq f ON f.code = i.freq
              WHERE i.recipe = ?1 ORDER BY i.n",
            &[&id],
            &[
                "drugCode",
                "drugName",
                "spec",
                "dose",
                "doseUnit",
                "routeName",
                "freqName",
                "days",
                "qty",
                "qtyUnit",
            ],
        )?;
        let why = diagnoses(call, "recipe_diagnosis", "recipe", &id)?;
        found.push(head.with_list("diagnosis", why).with_list("items", lines));
    }
    Ok(Reply::found(found))
}
