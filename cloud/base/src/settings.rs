//! Settings of a hospital: named JSON documents, each with a type in the context that uses it.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{StoreError, Tx};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::permission::Configures;
use crate::{ApiError, Ctx, Json, Staff, audit};

/// A group of settings with defaults. Field names are part of the API.
pub trait Setting: Serialize + DeserializeOwned + Default + Send + 'static {
    /// Its name, e.g. `care.booking`.
    const NAME: &'static str;
    /// What is wrong with these values, in plain Chinese.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
    /// Whether an administrator may make these values out of `before`, in plain Chinese; else what the audit keeps of the
    /// change.
    ///
    /// # Errors
    /// When this may not be changed so.
    fn change(&self, before: &Self) -> Result<Value, String> {
        let _ = before;
        serde_json::to_value(self).map_err(|e| e.to_string())
    }
    /// A field's name in plain Chinese, as the administrator's page shows it.
    fn label(_field: &str) -> Option<&'static str> {
        None
    }
}

/// The hospital's setting, or its default.
pub async fn get<T: Setting>(tx: &mut Tx<'_>) -> Result<T, StoreError> {
    let tenant = tx.tenant().clone();
    let row: Option<(Value,)> = tx
        .opt(
            "SELECT body FROM base_setting WHERE tenant_id = $1 AND name = $2",
            &[&tenant, &T::NAME],
        )
        .await?;
    let Some((body,)) = row else {
        return Ok(T::default());
    };
    serde_json::from_value(body).map_err(|e| StoreError::Column {
        column: 0,
        message: format!("setting {}: {e}", T::NAME),
    })
}

/// Sets it.
pub async fn put<T: Setting>(tx: &mut Tx<'_>, value: &T) -> Result<(), StoreError> {
    let body = serde_json::to_value(value).map_err(|e| StoreError::Constraint { message: e.to_string() })?;
    put_raw(tx, T::NAME, &body).await
}

/// A setting known to this build, for the page that shows and changes them all.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The default.
    pub default: fn() -> Value,
    /// What is wrong with these values.
    pub check: fn(Value) -> Result<(), String>,
    /// Whether the first may become the second; what the audit keeps.
    pub change: fn(Value, Value) -> Result<Value, String>,
}

/// The [`Kind`] of a setting type.
pub const fn kind<T: Setting>() -> Kind {
    Kind {
        name: T::NAME,
        default: || serde_json::to_value(T::default()).unwrap_or_default(),
        check: |value| match serde_json::from_value::<T>(value.clone()) {
            // A list is a struct to the parser, its fields by position; nobody means that.
            Ok(setting) if value.is_object() => setting.check(),
            _ => Err(misread::<T>(&value)),
        },
        change: |before, wanted| {
            let read = |value| serde_json::from_value::<T>(value).map_err(|e| format!("设置内容有误：{e}"));
            read(wanted)?.change(&read(before)?)
        },
    }
}

/// Which field of a setting cannot be read and what it should be. The parser's own words are for programmers.
fn misread<T: Setting>(given: &Value) -> String {
    let Value::Object(given) = given else {
        return "设置应为一组“名称：值”".to_owned();
    };
    let Ok(Value::Object(defaults)) = serde_json::to_value(T::default()) else {
        return "设置内容有误".to_owned();
    };
    let readable = |fields: serde_json::Map<String, Value>| serde_json::from_value::<T>(Value::Object(fields)).is_ok();
    for (field, value) in given {
        let name = match T::label(field) {
            Some(label) => format!("“{label}”（{field}）"),
            None => format!("“{field}”"),
        };
        let mut alone = defaults.clone();
        alone.insert(field.clone(), value.clone());
        if readable(alone) {
            continue;
        }
        return match defaults.get(field) {
            None => format!("没有{name}这一项设置"),
            Some(default) => format!("{name}{}", should_be(default, value)),
        };
    }
    let missing = defaults.keys().find(|field| !given.contains_key(*field));
    match missing {
        Some(field) => format!("缺少“{}”这一项设置", T::label(field).unwrap_or(field)),
        None => "设置内容有误，请检查各项的值".to_owned(),
    }
}

fn should_be(default: &Value, given: &Value) -> &'static str {
    match (default, given) {
        (Value::Number(n), Value::Number(given)) if n.is_u64() && given.is_u64() => "数值过大",
        (Value::Number(n), _) if n.is_u64() => "应为不小于0的整数",
        (Value::Number(_), _) => "应为数字",
        (Value::Bool(_), _) => "应为“是”或“否”（true或false）",
        (Value::String(_), Value::String(_)) => "不是可选的值",
        (Value::String(_), _) => "应为文字",
        (Value::Array(_), Value::Array(_)) => "中有一项内容不正确",
        (Value::Array(_), _) => "应为列表",
        (Value::Object(_) | Value::Null, _) => "内容不正确",
    }
}

/// The kinds of all contexts; the application adds it to the router as an extension.
#[derive(Clone, Default)]
pub struct Kinds(pub Vec<Kind>);

/// Sets a setting by name. The caller has checked the value.
pub async fn put_raw(tx: &mut Tx<'_>, name: &str, body: &Value) -> Result<(), StoreError> {
    let (tenant, now, by) = (tx.tenant().clone(), tx.now(), tx.actor().to_string());
    tx.exec(
        "INSERT INTO base_setting(tenant_id, name, body, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, name) DO UPDATE SET body = EXCLUDED.body, changed_at = EXCLUDED.changed_at,
            changed_by = EXCLUDED.changed_by",
        &[&tenant, &name, body, &now, &by],
    )
    .await
    .map(drop)
}

async fn all(tx: &mut Tx<'_>, kinds: &[Kind]) -> Result<BTreeMap<String, Value>, StoreError> {
    let tenant = tx.tenant().clone();
    let rows: Vec<(String, Value)> = tx
        .all("SELECT name, body FROM base_setting WHERE tenant_id = $1", &[&tenant])
        .await?;
    let mut settings: BTreeMap<String, Value> = kinds.iter().map(|k| (k.name.to_owned(), (k.default)())).collect();
    for (name, body) in rows {
        if let Some(value) = settings.get_mut(&name) {
            *value = body;
        }
    }
    Ok(settings)
}

/// All settings of the hospital by name.
#[utoipa::path(get, path = "/admin/settings", tag = "admin", responses((status = 200, body = BTreeMap<String, Value>)))]
async fn show(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    axum::Extension(kinds): axum::Extension<Kinds>,
) -> Result<Json<BTreeMap<String, Value>>, ApiError> {
    let settings = ctx
        .store
        .read(&staff.scope(), move |tx| {
            let kinds = kinds.clone();
            Box::pin(async move { all(tx, &kinds.0).await })
        })
        .await?;
    Ok(Json(settings))
}

/// Changes the settings named in the body; the others stay.
#[utoipa::path(put, path = "/admin/settings", tag = "admin", request_body = BTreeMap<String, Value>,
    responses((status = 200, body = BTreeMap<String, Value>)))]
async fn change(
    State(ctx): State<Ctx>,
    staff: Staff<Configures>,
    axum::Extension(kinds): axum::Extension<Kinds>,
    Json(wanted): Json<BTreeMap<String, Value>>,
) -> Result<Json<BTreeMap<String, Value>>, ApiError> {
    for (name, value) in &wanted {
        let Some(kind) = kinds.0.iter().find(|k| k.name == name) else {
            return Err(ApiError::field(name.clone(), "没有这项设置"));
        };
        (kind.check)(value.clone()).map_err(|why| ApiError::field(name.clone(), why))?;
    }
    let settings = ctx
        .store
        .write(&staff.scope(), move |tx| {
            let (kinds, wanted) = (kinds.clone(), wanted.clone());
            Box::pin(async move {
                let mut before = all(tx, &kinds.0).await?;
                for kind in &kinds.0 {
                    let Some(value) = wanted.get(kind.name) else {
                        continue;
                    };
                    let before = before.remove(kind.name).unwrap_or_default();
                    let kept = (kind.change)(before, value.clone()).map_err(|why| ApiError::field(kind.name, why))?;
                    put_raw(tx, kind.name, value).await?;
                    audit::record(tx, "settings.change", kind.name, kept).await?;
                }
                Ok::<_, ApiError>(all(tx, &kinds.0).await?)
            })
        })
        .await?;
    Ok(Json(settings))
}

pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    OpenApiRouter::new().routes(routes!(show, change))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Way {
        Short,
        Long,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Rules {
        minutes: u32,
        open: bool,
        way: Way,
        places: Vec<String>,
        note: String,
    }

    impl Default for Rules {
        fn default() -> Self {
            Self {
                minutes: 5,
                open: true,
                way: Way::Short,
                places: Vec::new(),
                note: String::new(),
            }
        }
    }

    impl Setting for Rules {
        const NAME: &'static str = "test.rules";
        fn check(&self) -> Result<(), String> {
            if self.minutes > 60 && !matches!(self.way, Way::Long) {
                return Err("太久".to_owned());
            }
            Ok(())
        }
        fn label(field: &str) -> Option<&'static str> {
            (field == "minutes").then_some("时长")
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_in_plain_words() {
        let check = kind::<Rules>().check;
        assert_eq!(check(json!({ "minutes": 61, "way": "long" })), Ok(()));
        let cases = [
            (json!({ "minutes": 61 }), "太久"),
            (
                json!({ "open": false, "minutes": -5 }),
                "“时长”（minutes）应为不小于0的整数",
            ),
            (json!({ "minutes": 1.5 }), "“时长”（minutes）应为不小于0的整数"),
            (json!({ "minutes": 5_000_000_000_u64 }), "“时长”（minutes）数值过大"),
            (json!({ "open": "ja" }), "“open”应为“是”或“否”（true或false）"),
            (json!({ "way": "sideways" }), "“way”不是可选的值"),
            (json!({ "places": [1] }), "“places”中有一项内容不正确"),
            (json!({ "places": "K01" }), "“places”应为列表"),
            (json!({ "note": 1 }), "“note”应为文字"),
            (json!({ "x": 1 }), "没有“x”这一项设置"),
            (json!([]), "设置应为一组“名称：值”"),
        ];
        for (given, words) in cases {
            assert_eq!(check(given.clone()), Err(words.to_owned()), "{given}");
        }
    }
}
