use rusqlite::params;

use super::{items, text};
use crate::house::{Call, OpError, refuse};
use crate::wire::{Item, Node, Reply};

struct Page {
    keyword: String,
    size: i64,
    offset: i64,
}

fn page(asked: &Node) -> Result<Page, OpError> {
    let number = |field: &str, default: i64| match asked.get(field) {
        "" => Ok(default),
        given => given.parse().or_else(|_| refuse(format!("参数{field}应为整数"))),
    };
    let (at, size) = (number("page", 1)?.max(1), number("pageSize", 100)?.clamp(1, 500));
    Ok(Page {
        keyword: asked.get("keyword").to_lowercase(),
        size,
        offset: (at - 1) * size,
    })
}

/// One page of a dictionary table; the last column of `select` must be the total.
pub(super) fn paged(
    call: &Call<'_>,
    asked: &Node,
    select: &str,
    name: &str,
    fields: &[&'static str],
) -> Result<Reply, OpError> {
    let page = page(asked)?;
    let from = select.split_once(" FROM ").map_or("", |(_, table)| table);
    let filter = format!("instr({name}, ?1) > 0 OR instr(lower(code), ?1) > 0 OR instr(pinyin, ?1) > 0");
    let sql = format!("{select} WHERE {filter} ORDER BY instr({name}, ?1), code LIMIT ?2 OFFSET ?3");
    let count = format!("SELECT count(*) FROM {from} WHERE {filter}");
    let total: i64 = call.tx.query_row(&count, [&page.keyword], |r| r.get(0))?;
    let mut statement = call.tx.prepare_cached(&sql)?;
    let rows = statement.query_map(params![page.keyword, page.size, page.offset], |row| {
        let mut item = Item::default();
        for (at, field) in fields.iter().enumerate() {
            item = item.with(field, text(row, at)?);
        }
        Ok(item.with("total", total))
    })?;
    Ok(Reply::found(rows.collect::<Result<_, _>>()?))
}

/// #59 诊断项目列表
pub(super) fn diagnoses(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let select = "SELECT code, name, pinyin, type FROM icd";
    paged(call, asked, select, "name", &["code", "name", "pinyin", "type"])
}

/// #68 用药途径列表
pub(super) fn routes(call: &Call<'_>, _: &Node) -> Result<Reply, OpError> {
    let sql = "SELECT code, name, type FROM route ORDER BY code";
    Ok(Reply::found(items(call, sql, &[], &["code", "name", "type"])?))
}

/// #69 用药频率列表
pub(super) fn frequencies(call: &Call<'_>, _: &Node) -> Result<Reply, OpError> {
    let sql = "SELECT code, name, times FROM freq ORDER BY rowid";
    Ok(Reply::found(items(call, sql, &[], &["code", "name", "timesPerDay"])?))
}

/// #70 中药药品查询
pub(super) fn herbs(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let select = "SELECT code, name, pinyin, '饮片', 'g',
        CASE WHEN price_tenths % 10 = 0 THEN price_tenths / 10 ELSE (price_tenths / 10) || '.' || (price_tenths % 10) END,
        decoction, max_dose, toxic, stock, insurance_code, status FROM herb";
    let fields = &[
        "drugCode",
        "name",
        "pinyin",
        "spec",
        "unit",
        "price",
        "decoction",
        "maxDose",
        "toxic",
        "stock",
        "medListCodg",
        "status",
    ];
    paged(call, asked, select, "name", fields)
}

/// Tenths of a fen as decimal text.
pub(super) fn tenths(value: i64) -> String {
    if value % 10 == 0 {
        (value / 10).to_string()
    } else {
        format!("{}.{}", value / 10, value % 10)
    }
}

/// #71 西药药品查询
pub(super) fn drugs(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let select = "SELECT code, common, goods, pinyin, form, spec, unit, min_unit, pack, dose_unit, dose_per_min, price,
        maker, route, freq, routes, insurance_code, flags, class, stock, status FROM drug";
    let fields = &[
        "drugCode",
        "commonName",
        "goodsName",
        "pinyin",
        "form",
        "spec",
        "unit",
        "minUnit",
        "packSize",
        "doseUnit",
        "dosePerMin",
        "price",
        "manufacturer",
        "routeCode",
        "freqCode",
        "routes",
        "medListCodg",
        "flags",
        "insuranceClass",
        "stock",
        "status",
    ];
    paged(call, asked, select, "common", fields)
}

/// #72 药品库存查询
pub(super) fn stock(call: &Call<'_>, asked: &Node) -> Result<Reply, OpError> {
    let list = format!(",{},", asked.get("drugCodes").replace(' ', ""));
    let found = items(
        call,
        "SELECT code, stock, unit FROM drug WHERE instr(?1, ',' || code || ',') > 0
          UNION ALL SELECT code, stock, 'g' FROM herb WHERE instr(?1, ',' || code || ',') > 0 ORDER BY 1",
        &[&list],
        &["drugCode", "quantity", "unit"],
    )?;
    Ok(Reply::found(found))
}
