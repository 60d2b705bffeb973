//! Topics and client names on the broker.

use engine::Channel;
use records::id::EdgeId;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// `yq/v1/{edge_id}/{up|dn}/{ctl|bulk}`.
pub(crate) fn topic(edge: &EdgeId, way: Way, channel: Channel) -> String {
    let way = if way == Way::Up { "up" } else { "dn" };
    format!("yq/v1/{edge}/{way}/{}", word(channel))
}

pub(crate) const fn word(channel: Channel) -> &'static str {
    match channel {
        Channel::Ctl => "ctl",
        Channel::Bulk => "bulk",
    }
}

/// Takes a topic apart; `None` when it is none of ours.
pub(crate) fn parse(topic: &str) -> Option<(EdgeId, Way, Channel)> {
    let mut parts = topic.strip_prefix("yq/v1/")?.split('/');
    let edge = EdgeId::parse(parts.next()?)?;
    let way = match parts.next()? {
        "up" => Way::Up,
        "dn" => Way::Down,
        _ => return None,
    };
    let channel = match parts.next()? {
        "ctl" => Channel::Ctl,
        "bulk" => Channel::Bulk,
        _ => return None,
    };
    parts.next().is_none().then_some((edge, way, channel))
}

/// What an appliance may subscribe to: its own downward topics, one by one or both.
pub(crate) fn downward(filter: &str, edge: &EdgeId) -> Option<Vec<Channel>> {
    if let Some((named, Way::Down, channel)) = parse(filter) {
        return (named == *edge).then(|| vec![channel]);
    }
    let rest = filter.strip_prefix("yq/v1/")?.strip_prefix(edge.as_str())?;
    matches!(rest, "/dn/#" | "/dn/+").then(|| vec![Channel::Ctl, Channel::Bulk])
}

/// The filter of all frames of all appliances, for the cloud's own subscription at an external broker.
pub const fn up_filter() -> &'static str {
    "yq/v1/+/up/+"
}

/// The filter an appliance subscribes to, for an external broker's access list.
pub fn down_filter(edge: &EdgeId) -> String {
    format!("yq/v1/{edge}/dn/#")
}

/// The client identifier of one of an appliance's two connections.
pub fn client_id(edge: &EdgeId, channel: Channel) -> String {
    format!("{edge}:{}", word(channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appliance_may_only_hear_its_own_topics() {
        let edge = EdgeId::parse("edg_1").unwrap();
        assert_eq!(downward("yq/v1/edg_1/dn/ctl", &edge), Some(vec![Channel::Ctl]));
        assert_eq!(downward("yq/v1/edg_1/dn/#", &edge).map(|c| c.len()), Some(2));
        for foreign in [
            "yq/v1/edg_2/dn/ctl",
            "yq/v1/edg_12/dn/#",
            "yq/v1/edg_1/up/ctl",
            "yq/v1/+/dn/ctl",
            "#",
            "$share/a/yq/v1/edg_1/dn/#",
        ] {
            assert_eq!(downward(foreign, &edge), None, "{foreign}");
        }
        assert_eq!(parse("yq/v1/edg_1/up/ctl/more"), None);
    }
}
