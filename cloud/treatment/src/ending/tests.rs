//! What would be signed, and in which order.

use super::{EndingDocument, Kind, Papers, Seen};

fn paper(kind: Kind, id: &str, edition: u32, signed: bool) -> EndingDocument {
    EndingDocument {
        seen: Seen {
            kind,
            id: id.into(),
            edition,
        },
        title: String::new(),
        summary: String::new(),
        signed,
        state_text: String::new(),
    }
}

#[test]
fn the_record_is_signed_before_the_orders_and_what_is_signed_is_not_signed_again() {
    let papers = Papers {
        documents: vec![
            paper(Kind::Prescription, "rx_2", 1, false),
            paper(Kind::Prescription, "rx_1", 3, true),
            paper(Kind::Order, "ord_1", 1, false),
            paper(Kind::Record, "con_1", 2, false),
        ],
        missing: Vec::new(),
    };
    let order: Vec<_> = papers.unsigned().iter().map(|d| d.seen.id.clone()).collect();
    assert_eq!(order, ["con_1", "ord_1", "rx_2"]);
}

#[test]
fn nothing_is_signed_that_was_not_on_the_list_as_it_is_now() {
    let papers = Papers {
        documents: vec![
            paper(Kind::Record, "con_1", 2, false),
            paper(Kind::Prescription, "rx_1", 4, false),
        ],
        missing: Vec::new(),
    };
    let mut seen: Vec<Seen> = papers.documents.iter().map(|d| d.seen.clone()).collect();
    assert_eq!(papers.unseen(&seen), None);
    // Saved once more in another window.
    seen[1].edition = 3;
    assert_eq!(papers.unseen(&seen).map(|d| d.seen.id.as_str()), Some("rx_1"));
    assert_eq!(papers.unseen(&[]).map(|d| d.seen.id.as_str()), Some("con_1"));
    // What was seen and is signed meanwhile, or gone, is no hindrance: the same request may be sent again.
    let signed = Papers {
        documents: vec![paper(Kind::Record, "con_1", 2, true)],
        missing: Vec::new(),
    };
    assert_eq!(signed.unseen(&seen), None);
}
