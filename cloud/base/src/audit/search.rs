//! Finding rows of the chain.

use records::{LocalDate, Timestamp};
use serde::Deserialize;
use store::{StoreError, ToValue, Tx};
use utoipa::IntoParams;

use super::Row;
use crate::{ApiError, Page};

/// What is looked for; conditions that are left out hold always.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Words anywhere in actor, action, subject or particulars.
    #[serde(default)]
    q: String,
    /// An id, whole.
    #[serde(default)]
    subject: String,
    /// An action (`visit.accept`) or the first part of one (`visit`).
    #[serde(default)]
    action: String,
    /// An id, or a staff member's login name or name.
    #[serde(default)]
    actor: String,
    /// First day, `YYYY-MM-DD`.
    #[serde(default)]
    from: String,
    /// Last day.
    #[serde(default)]
    to: String,
}

/// The same, checked.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    words: String,
    subject: String,
    action: String,
    action_parts: String,
    actor: String,
    from: Timestamp,
    until: Timestamp,
}

/// A text as LIKE takes it literally, with `\` for escape.
fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

impl Wanted {
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let day = |field: &'static str, text: &str| {
            if text.is_empty() {
                return Ok::<_, ApiError>(None);
            }
            let day = LocalDate::parse(text).map_err(|_| ApiError::field(field, "日期应为YYYY-MM-DD"))?;
            Ok(Some(day))
        };
        let (from, to) = (day("from", &self.from)?, day("to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(ApiError::field("to", "结束日期不能早于开始日期"));
        }
        let words = self.q.trim();
        Ok(Filter {
            words: match words {
                "" => String::new(),
                words => format!("%{}%", literally(words)),
            },
            subject: self.subject.trim().to_owned(),
            action: self.action.trim().to_owned(),
            action_parts: format!("{}.%", literally(self.action.trim())),
            actor: self.actor.trim().to_owned(),
            from: from.map_or(Timestamp::from_micros(0), LocalDate::start),
            until: to.map_or(Timestamp::from_micros(i64::MAX), |day| day.plus_days(1).start()),
        })
    }
}

const WHERE: &str = "tenant_id = $1 AND ($2 = '' OR subject = $2) AND ($3 = '' OR action = $3 OR action LIKE $4 ESCAPE '\\')
    AND ($5 = '' OR actor = $5 OR actor IN (SELECT s.id FROM base_staff s WHERE s.tenant_id = $1 AND (s.login = $5 OR s.name = $5)))
    AND at >= $6 AND at < $7
    AND ($8 = '' OR actor LIKE $8 ESCAPE '\\' OR action LIKE $8 ESCAPE '\\' OR subject LIKE $8 ESCAPE '\\' OR detail LIKE $8 ESCAPE '\\')";

impl Filter {
    /// How many rows there are, and a stretch of them, newest first.
    pub(super) async fn find(&self, tx: &mut Tx<'_>, limit: u32, offset: u64) -> Result<(Vec<Row>, u64), StoreError> {
        let tenant = tx.tenant().clone();
        let conditions: [&dyn ToValue; 8] = [
            &tenant,
            &self.subject,
            &self.action,
            &self.action_parts,
            &self.actor,
            &self.from,
            &self.until,
            &self.words,
        ];
        let (total,): (u64,) = tx
            .one(&format!("SELECT COUNT(*) FROM base_audit WHERE {WHERE}"), &conditions)
            .await?;
        let sql = format!(
            "SELECT seq, at, actor, action, subject, detail, hash FROM base_audit WHERE {WHERE}
             ORDER BY seq DESC LIMIT $9 OFFSET $10"
        );
        let mut params = conditions.to_vec();
        params.push(&limit);
        params.push(&offset);
        Ok((tx.all(&sql, &params).await?, total))
    }

    pub(super) async fn page(&self, tx: &mut Tx<'_>, page: Page) -> Result<crate::Paged<Row>, StoreError> {
        let (rows, total) = self.find(tx, page.limit(), page.offset()).await?;
        Ok(page.of(rows, total))
    }
}
