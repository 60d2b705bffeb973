//! Reads the seal of a PDF: the newest signature of the file must cover every byte of it ([`gm::pdf`] accepts one shape only),
//! lead to the hospital's root, and carry a time stamp that holds where it carries one.

use gm::Trust;
use gm::pdf::{self, Finding, Verdict};
use records::Timestamp;

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The hospital's seal holds over every byte.
    Valid {
        /// The time that its time stamp proves; older files have none.
        stamped_at: Option<Timestamp>,
    },
    /// There is a seal, and it does not hold: for a person.
    Broken(String),
    /// No seal of our shape.
    Absent,
}

/// Checks the seal of a file.
pub(crate) fn check(file: &[u8], trust: &Trust, now: Timestamp) -> Seal {
    let newest = match pdf::verify(file, trust, trust, now.offset()) {
        Ok(all) => all.into_iter().next_back(),
        Err(refused) => return Seal::Broken(refused.person().to_owned()),
    };
    let Some(newest) = newest else {
        return Seal::Absent;
    };
    for finding in &newest.findings {
        match finding {
            Finding::UpdatedAfter(_) | Finding::CoveredByLater => {
                return Seal::Broken("文件在盖章之后被修改过".to_owned());
            }
            Finding::StampRefused(reason) => {
                return Seal::Broken(format!("签章的时间戳无效：{}", reason.person()));
            }
            Finding::NotStamped => {}
        }
    }
    match newest.verdict {
        Ok(Verdict::Signed { stamp, .. }) => Seal::Valid {
            stamped_at: stamp.map(|stamp| Timestamp::from_offset(stamp.info.at)),
        },
        Ok(Verdict::Stamped(_)) => Seal::Absent,
        Err(reason) => Seal::Broken(reason.person().to_owned()),
    }
}
