//! Templates: how a kind of document looks, as data. `{患者}` stands for the value of the field of that label; `{抬头}`,
//! `{标题}`, `{合计}` and `{码}` for the document's header, title, total and symbol.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layout::{self, Element, SMALLEST_PT, Slip};

/// Placeholders every document has.
pub const COMMON: [&str; 4] = ["抬头", "标题", "合计", "码"];

const MOST_ELEMENTS: usize = 60;
const LARGEST_PT: u8 = 72;

/// How a kind of document looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// From top to bottom.
    pub elements: Vec<Element>,
}

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {words}")]
pub struct Invalid {
    /// The place, e.g. `elements[2].size_pt`.
    pub at: String,
    /// What is wrong and what to do, for people.
    pub words: String,
}

fn invalid(at: impl Into<String>, words: impl Into<String>) -> Invalid {
    Invalid {
        at: at.into(),
        words: words.into(),
    }
}

impl Template {
    /// Reads a template and checks it against the labels its documents carry and those that must be shown.
    ///
    /// # Errors
    /// [`Invalid`] names the place.
    pub fn parse(value: &Value, labels: &[&str], required: &[&str]) -> Result<Self, Invalid> {
        let Some(elements) = value.get("elements").and_then(Value::as_array) else {
            return Err(invalid("elements", "模板缺少内容列表"));
        };
        if let Some(other) = value.as_object().and_then(|o| o.keys().find(|k| *k != "elements")) {
            return Err(invalid(other, "模板没有这个字段"));
        }
        let mut read = Vec::new();
        for (n, element) in elements.iter().enumerate() {
            let element = Element::deserialize(element)
                .map_err(|e| invalid(format!("elements[{n}]"), format!("第{}项格式有误：{e}", n + 1)))?;
            read.push(element);
        }
        let template = Self { elements: read };
        template.check(labels, required)?;
        Ok(template)
    }

    /// Checks sizes, pictures and placeholders.
    ///
    /// # Errors
    /// [`Invalid`] names the place.
    pub fn check(&self, labels: &[&str], required: &[&str]) -> Result<(), Invalid> {
        if self.elements.is_empty() {
            return Err(invalid("elements", "模板是空的，请至少添加一项"));
        }
        if self.elements.len() > MOST_ELEMENTS {
            return Err(invalid("elements", format!("模板最多 {MOST_ELEMENTS} 项")));
        }
        for (n, element) in self.elements.iter().enumerate() {
            check_element(n, element, labels)?;
        }
        for label in required {
            if !self.elements.iter().any(|e| shows(e, label)) {
                return Err(invalid("elements", format!("这种单据必须印出“{label}”，请添加")));
            }
        }
        Ok(())
    }

    /// The elements with their placeholders replaced.
    pub fn fill(&self, slip: &Slip) -> Vec<Element> {
        self.elements.iter().map(|e| fill_element(e, slip)).collect()
    }

    /// Fills, and lays out on a sheet.
    pub fn render(&self, slip: &Slip, font: &crate::Font, sheet: &crate::Sheet) -> Vec<crate::Raster> {
        layout::render(&self.fill(slip), slip, font, sheet)
    }
}

/// Texts of an element that may hold placeholders, with the names of their fields.
fn texts(element: &Element) -> Vec<(&'static str, &str)> {
    match element {
        Element::Text { text, .. } => vec![("text", text)],
        Element::Pair { left, right, .. } => vec![("left", left), ("right", right)],
        Element::Qr { content, .. } | Element::Barcode { content, .. } => vec![("content", content)],
        _ => Vec::new(),
    }
}

fn shows(element: &Element, label: &str) -> bool {
    match element {
        Element::Fields { only, .. } => {
            !COMMON.contains(&label) && (only.is_empty() || only.iter().any(|o| o == label))
        }
        _ => texts(element).iter().any(|(_, text)| names(text).any(|n| n == label)),
    }
}

/// Names in braces.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn check_element(n: usize, element: &Element, labels: &[&str]) -> Result<(), Invalid> {
    let at = |field: &str| format!("elements[{n}].{field}");
    let item = n + 1;
    let known = |name: &str| COMMON.contains(&name) || labels.contains(&name);
    for (field, text) in texts(element) {
        if text.chars().count() > 500 {
            return Err(invalid(at(field), format!("第{item}项文字过长，最多 500 字")));
        }
        if text.matches('{').count() != text.matches('}').count() {
            return Err(invalid(at(field), format!("第{item}项的花括号不成对")));
        }
        if let Some(name) = names(text).find(|name| !known(name)) {
            return Err(invalid(
                at(field),
                format!("第{item}项使用了这种单据没有的字段“{name}”"),
            ));
        }
        if text.trim().is_empty() && !matches!(element, Element::Pair { .. }) {
            return Err(invalid(at(field), format!("第{item}项没有内容")));
        }
    }
    match element {
        Element::Text { size_pt, .. }
        | Element::Pair { size_pt, .. }
        | Element::Items { size_pt, .. }
        | Element::Footer { size_pt } => size(*size_pt, &at("size_pt"), item),
        Element::Fields { only, size_pt } => {
            if let Some(label) = only.iter().find(|l| !labels.contains(&l.as_str())) {
                return Err(invalid(
                    at("only"),
                    format!("第{item}项使用了这种单据没有的字段“{label}”"),
                ));
            }
            size(*size_pt, &at("size_pt"), item)
        }
        Element::Qr { side_mm, .. } => within(*side_mm, 10..=100, "二维码边长", &at("side_mm"), item),
        Element::Barcode { height_mm, .. } => within(*height_mm, 5..=50, "条码高度", &at("height_mm"), item),
        Element::Space { height_mm } => within(*height_mm, 1..=100, "空白高度", &at("height_mm"), item),
        Element::Rule { .. } => Ok(()),
        Element::Image { png, width_mm, .. } => {
            within(*width_mm, 5..=108, "图片宽度", &at("width_mm"), item)?;
            layout::decode(png).map_err(|e| invalid(at("png"), format!("第{item}项：{e}")))?;
            Ok(())
        }
    }
}

fn size(pt: u8, at: &str, item: usize) -> Result<(), Invalid> {
    if (SMALLEST_PT..=LARGEST_PT).contains(&pt) {
        return Ok(());
    }
    Err(invalid(
        at,
        format!("第{item}项的字号应在 {SMALLEST_PT} 到 {LARGEST_PT} 之间"),
    ))
}

fn within(value: u8, range: std::ops::RangeInclusive<u8>, what: &str, at: &str, item: usize) -> Result<(), Invalid> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    Err(invalid(at, format!("第{item}项的{what}应在 {low} 到 {high} 毫米之间")))
}

fn value(name: &str, slip: &Slip) -> String {
    match name {
        "抬头" => slip.header.clone(),
        "标题" => slip.title.clone(),
        "合计" => slip.total.clone().unwrap_or_default(),
        "码" => slip.qr.clone().unwrap_or_default(),
        label => slip
            .fields
            .iter()
            .find(|(l, _)| l == label)
            .map(|(_, v)| v.clone())
            .unwrap_or_default(),
    }
}

/// Replaces placeholders in one pass, so that a brace inside a value stays a brace. A text that consists of nothing but
/// placeholders without a value, and the words beside them, comes out empty and is left out.
fn fill_text(text: &str, slip: &Slip) -> String {
    let (mut out, mut rest) = (String::new(), text);
    let (mut asked, mut given) = (false, false);
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        let value = value(name, slip);
        asked = true;
        given |= !value.is_empty();
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    if asked && !given { String::new() } else { out }
}

fn fill_element(element: &Element, slip: &Slip) -> Element {
    let mut filled = element.clone();
    match &mut filled {
        Element::Text { text, .. } => *text = fill_text(text, slip),
        Element::Pair { left, right, .. } => {
            let asks = [left.as_str(), right.as_str()]
                .iter()
                .any(|t| names(t).next().is_some());
            let (l, r) = (fill_text(left, slip), fill_text(right, slip));
            // 合计 alone says nothing.
            let empty = asks
                && [(left.as_str(), &l), (right.as_str(), &r)]
                    .iter()
                    .all(|(t, v)| names(t).next().is_none() || v.is_empty());
            (*left, *right) = if empty { (String::new(), String::new()) } else { (l, r) };
        }
        Element::Qr { content, .. } | Element::Barcode { content, .. } => *content = fill_text(content, slip),
        _ => {}
    }
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LABELS: [&str; 2] = ["患者", "取药码"];

    fn slip() -> Slip {
        Slip {
            header: "滨河医院".into(),
            fields: vec![("患者".into(), "{患者}".into())],
            ..Slip::default()
        }
    }

    #[test]
    fn placeholders_are_replaced_once_and_empty_lines_vanish() {
        assert_eq!(fill_text("{抬头} {患者}", &slip()), "滨河医院 {患者}");
        assert_eq!(fill_text("取药码 {取药码}", &slip()), "");
        assert_eq!(fill_text("凭此单取药", &slip()), "凭此单取药");
        let pair = Element::Pair {
            left: "合计".into(),
            right: "{合计}".into(),
            size_pt: 10,
            weight: layout::Weight::Normal,
        };
        let Element::Pair { left, right, .. } = fill_element(&pair, &slip()) else {
            panic!()
        };
        assert_eq!((left.as_str(), right.as_str()), ("", ""));
    }

    #[test]
    fn a_template_that_is_wrong_is_refused_with_the_place_named() {
        let text = |text: &str, size: u8| json!({"type": "text", "text": text, "size_pt": size});
        for (template, at) in [
            (json!({}), "elements"),
            (json!({"elements": []}), "elements"),
            (json!({"elements": [], "colour": 1}), "colour"),
            (json!({"elements": [{"type": "video"}]}), "elements[0]"),
            (json!({"elements": [{"type": "rule", "colour": 1}]}), "elements[0]"),
            (
                json!({"elements": [text("甲", 10), text("乙", 4)]}),
                "elements[1].size_pt",
            ),
            (json!({"elements": [text("{姓氏}", 10)]}), "elements[0].text"),
            (json!({"elements": [text("{患者", 10)]}), "elements[0].text"),
            (
                json!({"elements": [{"type": "fields", "only": ["身高"], "size_pt": 10}]}),
                "elements[0].only",
            ),
            (
                json!({"elements": [{"type": "qr", "content": "{码}", "side_mm": 3, "caption": true}]}),
                "elements[0].side_mm",
            ),
            (
                json!({"elements": [{"type": "image", "png": "AAAA", "width_mm": 20}]}),
                "elements[0].png",
            ),
            (json!({"elements": [text("{抬头}", 10)]}), "elements"),
        ] {
            let refused = Template::parse(&template, &LABELS, &["患者"]).unwrap_err();
            assert_eq!(refused.at, at, "{template}: {refused}");
        }
        let good = json!({"elements": [text("{患者}", 10), {"type": "barcode", "content": "{取药码}", "height_mm": 10, "caption": true}]});
        let read = Template::parse(&good, &LABELS, &["患者"]).unwrap();
        assert_eq!(
            Template::parse(&serde_json::to_value(&read).unwrap(), &LABELS, &["患者"]).unwrap(),
            read
        );
    }
}
