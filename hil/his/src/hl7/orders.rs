//! Prescriptions and their review as OMP^O09 and RDE^O11.

use super::message::{Message, Segment, escape};
use super::work::{Asked, Done};
use crate::wire::{Item, Node, Reply};

/// The prescription number of an ORC: its group number, or the placer number up to the dot.
fn rx_no(orc: &Segment) -> String {
    match orc.get(4, 1) {
        group if group.is_empty() => orc.get(2, 1).split('.').next().unwrap_or("").to_owned(),
        group => group,
    }
}

fn named(name: &str, children: Vec<Node>) -> Node {
    Node {
        name: name.into(),
        text: String::new(),
        children,
    }
}

pub(super) fn prescribe(asked: &Asked<'_>) -> Done {
    let Some(orc) = asked.message.first("ORC") else {
        return Done {
            reply: Reply::of("2", "缺少参数ORC"),
            key: String::new(),
            segments: Vec::new(),
        };
    };
    let key = rx_no(orc);
    if orc.get(1, 1) == "CA" {
        let mut params = Node::default();
        params.put("rxNo", key.clone());
        params.put("reason", orc.get(16, 2));
        let reply = asked.call("revokeRecipe", &params);
        let segments = reply.items.first().map_or_else(Vec::new, |item| {
            vec![format!(
                "ORC|CR|{}|{}|{}",
                orc.raw(2),
                item.text("hisRecipeId"),
                escape(&key)
            )]
        });
        return Done { reply, key, segments };
    }
    let mut params = Node::default();
    asked.patient(&mut params);
    params.put("rxNo", key.clone());
    params.put("visitId", asked.get("PV1", 19, 1));
    params.put("doctorCode", orc.get(12, 1));
    params.put("deptCode", orc.get(17, 1));
    let (items, diagnoses) = lines(asked.message, &mut params);
    params.children.push(named("items", items));
    params.children.push(named("diagnosis", diagnoses));
    let reply = asked.call("addRecipe", &params);
    let segments = reply.items.first().map_or_else(Vec::new, |item| {
        let mut segments = vec![note(item)];
        for (n, line) in (1..).zip(asked.message.segments.iter().filter(|s| s.name == "ORC")) {
            let his = format!("{}.{n}", item.text("hisRecipeId"));
            segments.push(format!("ORC|OK|{}|{his}|{}", line.raw(2), escape(&key)));
        }
        segments
    });
    Done { reply, key, segments }
}

fn note(item: &Item) -> String {
    format!(
        "NTE|1|P|mzFeeId={};totalAmout={}",
        item.text("mzFeeId"),
        item.text("totalAmout")
    )
}

/// The lines of a prescription and its diagnoses; a herbal one sets its head fields.
fn lines(message: &Message, params: &mut Node) -> (Vec<Node>, Vec<Node>) {
    let (mut items, mut diagnoses): (Vec<Node>, Vec<Node>) = (Vec::new(), Vec::new());
    let (mut freq, mut days, mut herbal) = (String::new(), String::new(), false);
    for segment in &message.segments {
        match segment.name.as_str() {
            "TQ1" => (freq, days) = (segment.get(3, 1), segment.get(6, 1)),
            "RXO" => {
                if diagnoses.is_empty() {
                    diagnoses = indications(segment);
                }
                herbal = segment.get(1, 1) == "HERB";
                if herbal {
                    params.put("recipeType", "2");
                    params.put("fuCount", segment.get(11, 1));
                    params.put("decoction", segment.get(7, 1));
                    params.put("herbUsage", segment.get(7, 2));
                    continue;
                }
                let mut item = named("item", Vec::new());
                item.put("drugCode", segment.get(1, 1));
                item.put("dose", segment.get(2, 1));
                item.put("doseUnit", segment.get(4, 1));
                item.put("qty", segment.get(11, 1));
                item.put("qtyUnit", segment.get(12, 1));
                item.put("freqCode", freq.clone());
                item.put("days", days.clone());
                items.push(item);
            }
            "RXR" if !herbal => {
                if let Some(item) = items.last_mut() {
                    item.put("routeCode", segment.get(1, 1));
                }
            }
            "RXC" => {
                let mut item = named("item", Vec::new());
                item.put("drugCode", segment.get(2, 1));
                item.put("dose", segment.get(3, 1));
                item.put("doseUnit", "g");
                items.push(item);
            }
            _ => {}
        }
    }
    (items, diagnoses)
}

fn indications(rxo: &Segment) -> Vec<Node> {
    rxo.repeats(20)
        .into_iter()
        .filter(|parts| parts.first().is_some_and(|code| !code.is_empty()))
        .map(|parts| {
            let mut diagnosis = named("item", Vec::new());
            diagnosis.put("code", parts.first().cloned().unwrap_or_default());
            diagnosis.put("name", parts.get(1).cloned().unwrap_or_default());
            diagnosis
        })
        .collect()
}

pub(super) fn review(asked: &Asked<'_>) -> Done {
    let Some(orc) = asked.message.first("ORC") else {
        return Done {
            reply: Reply::of("2", "缺少参数ORC"),
            key: String::new(),
            segments: Vec::new(),
        };
    };
    let key = rx_no(orc);
    let result = match orc.get(5, 1).as_str() {
        "IP" | "CM" => "1",
        "CA" => "2",
        _ => "",
    };
    let mut params = Node::default();
    params.put("rxNo", key.clone());
    params.put("auditResult", result);
    params.put("auditReason", orc.get(16, 2));
    params.put(
        "pharmacistCode",
        match orc.get(11, 1) {
            code if code.is_empty() => asked.get("RXE", 14, 1),
            code => code,
        },
    );
    let reply = asked.call("auditRecipe", &params);
    let segments = reply.items.first().map_or_else(Vec::new, |item| {
        vec![
            note(item),
            format!("ORC|OK|{}|{}|{}", orc.raw(2), item.text("hisRecipeId"), escape(&key)),
        ]
    });
    Done { reply, key, segments }
}
