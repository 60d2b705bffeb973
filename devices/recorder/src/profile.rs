//! What differs from one model of recorder to the next, as data.

use serde::{Deserialize, Serialize};

/// How a model shows itself on its storage. The defaults fit recorders that write `DEVICE.INF` and take their time from
/// `SETTIME.TXT`, as most of those sold as mass storage do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// File in the root that says who the recorder is: lines `key=value` or `key: value`, `[sections]` passed over.
    pub info_file: String,
    /// Keys of the serial number, any case; the first that is there counts.
    pub serial_keys: Vec<String>,
    /// Keys of make and model.
    pub model_keys: Vec<String>,
    /// Keys of the charge in percent.
    pub battery_keys: Vec<String>,
    /// Keys of the recorder's own time, `YYYY-MM-DD HH:MM:SS` in UTC+8.
    pub clock_keys: Vec<String>,
    /// File in the root from which the recorder takes its time at its next start; empty when it takes none.
    pub clock_file: String,
    /// Names (in the root) that are the recorder's own, never footage.
    pub own_files: Vec<String>,
    /// Pattern of file names, see [`crate::names::Pattern`].
    pub name_pattern: String,
    /// Seconds a file must have rested before it is taken: longer for recorders that upload over a network.
    pub settle_s: u64,
}

impl Default for Profile {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Self {
            info_file: "DEVICE.INF".to_owned(),
            serial_keys: words(&["serial", "sn", "device_id", "cserial"]),
            model_keys: words(&["model", "type", "product"]),
            battery_keys: words(&["battery", "power"]),
            clock_keys: words(&["time", "clock", "datetime"]),
            clock_file: "SETTIME.TXT".to_owned(),
            own_files: words(&["System Volume Information", "autorun.inf", "VERSION.TXT"]),
            name_pattern: "{serial}_{user}_{time}_{number}".to_owned(),
            settle_s: 0,
        }
    }
}

impl Profile {
    /// Whether a name in the root is the recorder's own.
    pub fn is_own(&self, name: &str) -> bool {
        let same = |own: &str| !own.is_empty() && own.eq_ignore_ascii_case(name);
        same(&self.info_file) || same(&self.clock_file) || self.own_files.iter().any(|own| same(own))
    }
}

/// What the info file says; keys in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info(Vec<(String, String)>);

impl Info {
    /// Largest info file that is read.
    pub const MOST: u64 = 64 << 10;

    /// Reads what can be read of it; nothing else is an error.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.trim_start_matches('\u{feff}').lines();
        let pairs = lines.filter_map(|line| {
            let (key, value) = line.split_once(['=', ':'])?;
            let value: String = value.trim().chars().filter(|c| !c.is_control()).take(120).collect();
            (!value.is_empty()).then(|| (key.trim().to_ascii_lowercase(), value))
        });
        Self(pairs.take(500).collect())
    }

    /// The value of the first of these keys that is there.
    pub fn get(&self, keys: &[String]) -> Option<&str> {
        keys.iter().find_map(|key| {
            let found = self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
            found.map(|(_, value)| value.as_str())
        })
    }
}

/// A serial number as people may read it: letters, digits, `-` and `_`, 3 to 40 of them.
pub fn serial(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (3..=40).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    fits.then(|| text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_file_is_read_in_any_case_and_a_serial_that_is_none_is_refused() {
        let info = Info::parse("\u{feff}[device]\r\nSerial = zfy0001\r\nModel: DSJ-A9\nnonsense\nempty=\n".as_bytes());
        let profile = Profile::default();
        assert_eq!(info.get(&profile.serial_keys), Some("zfy0001"));
        assert_eq!(info.get(&profile.model_keys), Some("DSJ-A9"));
        assert_eq!(info.get(&profile.battery_keys), None);
        assert_eq!(serial("zfy0001").as_deref(), Some("ZFY0001"));
        for none in ["", "ab", "../../etc", "a b c", "序列号", &"9".repeat(41)] {
            assert_eq!(serial(none), None, "{none}");
        }
        assert!(profile.is_own("device.inf") && !profile.is_own("0001.mp4") && !profile.is_own(""));
    }
}
