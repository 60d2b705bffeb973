//! Values and rows as both databases understand them: text, integer, float, bytes, null.

use std::borrow::Cow;

use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::StoreError;

type Cause = Box<dyn std::error::Error + Sync + Send>;

/// A value going to the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// TEXT.
    Text(Cow<'a, str>),
    /// BIGINT.
    Int(i64),
    /// DOUBLE PRECISION.
    Float(f64),
    /// BLOB.
    Bytes(Cow<'a, [u8]>),
}

/// What may stand for `$n`.
pub trait ToValue: Sync {
    /// This as a database value.
    fn to_value(&self) -> Value<'_>;
}

/// What a column may be read as.
pub trait FromValue: Sized {
    /// Reads a database value; the error says what was expected.
    fn from_value(value: Value<'static>) -> Result<Self, String>;
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Cause> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Text(text) => text.as_ref().to_sql(ty, out),
            Value::Bytes(bytes) => bytes.as_ref().to_sql(ty, out),
            Value::Float(float) => float.to_sql(ty, out),
            Value::Int(int) => match *ty {
                Type::INT4 => i32::try_from(*int)?.to_sql(ty, out),
                Type::INT2 => i16::try_from(*int)?.to_sql(ty, out),
                Type::BOOL => (*int != 0).to_sql(ty, out),
                #[expect(clippy::cast_precision_loss, reason = "the column is a float")]
                Type::FLOAT8 => (*int as f64).to_sql(ty, out),
                Type::INT8 => int.to_sql(ty, out),
                _ => Err(format!("integer given for a {ty}").into()),
            },
        }
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    to_sql_checked!();
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Float(float) => ValueRef::Real(*float),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A value coming from PostgreSQL.
struct Incoming(Value<'static>);

impl<'a> FromSql<'a> for Incoming {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Cause> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Float(f64::from_sql(ty, raw)?),
            Type::BYTEA => Value::Bytes(Cow::Owned(raw.to_vec())),
            Type::NUMERIC => Value::Int(whole_numeric(raw)?),
            _ => Value::Text(Cow::Owned(String::from_sql(ty, raw)?)),
        }))
    }
    fn from_sql_null(_: &Type) -> Result<Self, Cause> {
        Ok(Self(Value::Null))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// `SUM(BIGINT)` is NUMERIC on PostgreSQL; a whole one that fits is read as an integer.
fn whole_numeric(raw: &[u8]) -> Result<i64, Cause> {
    let word = |at: usize| {
        raw.get(at..at + 2)
            .and_then(|pair| <[u8; 2]>::try_from(pair).ok())
            .map(i16::from_be_bytes)
            .ok_or("short NUMERIC")
    };
    let (digits, weight, sign) = (word(0)?, word(2)?, word(4)?);
    let mut total: i128 = 0;
    for place in 0..=weight.max(-1) {
        let digit = if place < digits {
            word(8 + 2 * usize::try_from(place)?)?
        } else {
            0
        };
        total = total
            .checked_mul(10_000)
            .and_then(|t| t.checked_add(digit.into()))
            .ok_or("NUMERIC too large")?;
    }
    if digits > weight + 1 {
        return Err("NUMERIC with a fraction: cast it".into());
    }
    match sign {
        0x0000 => Ok(i64::try_from(total)?),
        0x4000 => Ok(i64::try_from(-total)?),
        _ => Err("NUMERIC is not a number".into()),
    }
}

/// A row of the answer, read by position.
pub enum Row<'r> {
    #[doc(hidden)]
    Lite(&'r rusqlite::Row<'r>),
    #[doc(hidden)]
    Pg(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// The column at `column`, from 0.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T, StoreError> {
        let wrong = |message: String| StoreError::Column { column, message };
        let value = match self {
            Row::Lite(row) => match row.get_ref(column).map_err(|e| wrong(e.to_string()))? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(int) => Value::Int(int),
                ValueRef::Real(float) => Value::Float(float),
                ValueRef::Text(text) => Value::Text(Cow::Owned(
                    String::from_utf8(text.to_vec()).map_err(|e| wrong(e.to_string()))?,
                )),
                ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
            },
            Row::Pg(row) => {
                row.try_get::<_, Incoming>(column)
                    .map_err(|e| wrong(crate::error::chain(&e)))?
                    .0
            }
        };
        T::from_value(value).map_err(wrong)
    }
}

/// What a row may be read as: tuples up to 16 columns, and structs made with [`crate::row!`].
pub trait FromRow: Sized + Send {
    /// Reads the row.
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError>;
}

fn unlike<T>(expected: &str, value: &Value<'_>) -> Result<T, String> {
    let got = match value {
        Value::Null => "NULL",
        Value::Text(_) => "text",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Bytes(_) => "bytes",
    };
    Err(format!("expected {expected}, got {got}"))
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}
impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}
impl FromValue for String {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text.into_owned()),
            other => unlike("text", &other),
        }
    }
}
impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}
impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(Cow::Borrowed(self))
    }
}
impl FromValue for Vec<u8> {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.into_owned()),
            other => unlike("bytes", &other),
        }
    }
}
impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Int((*self).into())
    }
}
impl FromValue for bool {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Int(int) => Ok(int != 0),
            other => unlike("0 or 1", &other),
        }
    }
}
impl ToValue for f64 {
    fn to_value(&self) -> Value<'_> {
        Value::Float(*self)
    }
}
impl FromValue for f64 {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Float(float) => Ok(float),
            #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
            Value::Int(int) => Ok(int as f64),
            other => unlike("a number", &other),
        }
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl FromValue for $ty {
            fn from_value(value: Value<'static>) -> Result<Self, String> {
                match value {
                    Value::Int(int) => <$ty>::try_from(int).map_err(|_| format!("{int} does not fit")),
                    other => unlike("an integer", &other),
                }
            }
        }
    )*};
}
integers!(i64 i32 u64 u32 u16 u8 usize);

macro_rules! small_integers {
    ($($ty:ty)*) => {$(
        impl ToValue for $ty {
            fn to_value(&self) -> Value<'_> {
                Value::Int(i64::from(*self))
            }
        }
    )*};
}
small_integers!(i64 i32 u32 u16 u8);

macro_rules! saturating_integers {
    ($($ty:ty)*) => {$(
        /// Above `i64::MAX` (never met: counters and sizes) it saturates.
        impl ToValue for $ty {
            fn to_value(&self) -> Value<'_> {
                Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}
saturating_integers!(u64 usize);

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}
impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}
impl ToValue for serde_json::Value {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Owned(self.to_string()))
    }
}
impl FromValue for serde_json::Value {
    fn from_value(value: Value<'static>) -> Result<Self, String> {
        match value {
            Value::Text(text) => serde_json::from_str(&text).map_err(|e| e.to_string()),
            other => unlike("JSON text", &other),
        }
    }
}

macro_rules! tuples {
    ($($name:ident $at:tt),+) => {
        impl<$($name: FromValue + Send),+> FromRow for ($($name,)+) {
            fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
                Ok(($(row.get::<$name>($at)?,)+))
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);

/// Declares a struct read from a row by position, and `COLUMNS`, its column list for the SELECT.
///
/// ```
/// store::row! {
///     /// A slot.
///     pub struct Slot { pub id: String, pub fee_fen: i64 }
/// }
/// assert_eq!(Slot::COLUMNS, "id, fee_fen");
/// ```
#[macro_export]
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $fvis:vis $field:ident : $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$fmeta])* $fvis $field: $ty),+ }
        impl $name {
            /// The columns in the order the row is read.
            #[expect(clippy::allow_attributes, reason = "some structs use it, some write their own list")]
            #[allow(dead_code, reason = "some structs use it, some write their own list")]
            $vis const COLUMNS: &'static str = $crate::columns!($($field),+);
        }
        impl $crate::FromRow for $name {
            #[expect(unused_assignments, reason = "the last column needs no successor")]
            fn from_row(row: &$crate::Row<'_>) -> Result<Self, $crate::StoreError> {
                let mut column = 0;
                $( let $field: $ty = row.get(column)?; column += 1; )+
                Ok(Self { $($field),+ })
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! columns {
    ($first:ident $(, $rest:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($rest))*) };
}

/// Implements [`ToValue`] and [`FromValue`] for a type with `as_str()` and `FromStr` (ids, states).
#[macro_export]
macro_rules! text_value {
    ($($ty:ty),+ $(,)?) => {$(
        impl $crate::ToValue for $ty {
            fn to_value(&self) -> $crate::Value<'_> {
                $crate::Value::Text(::std::borrow::Cow::Borrowed(self.as_str()))
            }
        }
        impl $crate::FromValue for $ty {
            fn from_value(value: $crate::Value<'static>) -> Result<Self, String> {
                let text = <String as $crate::FromValue>::from_value(value)?;
                text.parse::<$ty>().map_err(|e| e.to_string())
            }
        }
    )+};
}

/// Implements [`ToValue`] and [`FromValue`] for a type with `as_str()` and `parse(&str) -> Option<Self>`
/// (identifiers made with `records::id_type!`).
#[macro_export]
macro_rules! id_value {
    ($($ty:ty),+ $(,)?) => {$(
        impl $crate::ToValue for $ty {
            fn to_value(&self) -> $crate::Value<'_> {
                $crate::Value::Text(::std::borrow::Cow::Borrowed(self.as_str()))
            }
        }
        impl $crate::FromValue for $ty {
            fn from_value(value: $crate::Value<'static>) -> Result<Self, String> {
                let text = <String as $crate::FromValue>::from_value(value)?;
                <$ty>::parse(&text).ok_or_else(|| format!("not an identifier: {text}"))
            }
        }
    )+};
}
