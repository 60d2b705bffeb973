//! What a hospital's own authorities have revoked: asked of its appliance and kept, so that a look at a document does not
//! depend on the line. A list proves itself by its signature wherever it is used; here it is only kept.

use std::time::Duration;

use ::store::Scope;
use base::hospital::call as ask;
use base::settings::Setting;
use base::{ApiError, Ctx};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gm::trust::Stapled;
use records::sign::{ListsRequest, RevocationLists};
use records::{Outcome, Timestamp};
use serde::{Deserialize, Serialize};

/// Lists that came so long ago are asked for again.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// An appliance that could not tell any is left alone for so long: who looks at a page does not wait for it each time.
const AGAIN: Duration = Duration::from_secs(60);
/// Somebody waits for the page.
const DEADLINE: Duration = Duration::from_secs(3);
/// More than a hospital's own lists ever are, in Base64.
const LARGEST: usize = 1 << 20;

/// The lists as they came last. Not a setting that anybody sets: it lies beside the roots that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// DER, base64.
    lists: Vec<String>,
    /// When they came.
    came_at: Option<Timestamp>,
    /// When they were asked for in vain.
    missed_at: Option<Timestamp>,
}

impl Setting for Kept {
    const NAME: &'static str = "treatment.signing.lists";
}

/// The newest lists of the hospital's authorities that are at hand: of the appliance where it answers, else as they came
/// last. None when it has never told any.
pub(crate) async fn lists(ctx: &Ctx, scope: &Scope) -> Result<Stapled, ApiError> {
    let kept = ctx
        .store
        .read(scope, |tx| {
            Box::pin(async move { Ok::<_, ApiError>(base::settings::get::<Kept>(tx).await?) })
        })
        .await?;
    let now = ctx.now();
    let within = |at: Option<Timestamp>, time: Duration| at.is_some_and(|at| at <= now && now < at.plus(time));
    if within(kept.came_at, FRESH) || within(kept.missed_at, AGAIN) {
        return Ok(kept.stapled());
    }
    let asked = ListsRequest::default();
    let told = ask::<RevocationLists>(&*ctx.hospital, &scope.tenant, &asked, None, DEADLINE).await;
    let size = |lists: &[String]| lists.iter().map(String::len).sum::<usize>();
    let now_kept = match told {
        // An appliance that has none yet takes nothing back.
        Outcome::Done(told) if !told.lists.is_empty() && size(&told.lists) <= LARGEST => Kept {
            lists: told.lists,
            came_at: Some(now),
            missed_at: None,
        },
        _ => Kept {
            missed_at: Some(now),
            ..kept
        },
    };
    let keeping = now_kept.clone();
    ctx.store
        .write(&Scope::system(scope.tenant.clone()), move |tx| {
            let kept = keeping.clone();
            Box::pin(async move { Ok::<_, ApiError>(base::settings::put(tx, &kept).await?) })
        })
        .await?;
    Ok(now_kept.stapled())
}

impl Kept {
    fn stapled(&self) -> Stapled {
        let ders = self.lists.iter().filter_map(|list| BASE64.decode(list).ok());
        Stapled {
            crls: ders.collect(),
            answers: Vec::new(),
        }
    }
}
