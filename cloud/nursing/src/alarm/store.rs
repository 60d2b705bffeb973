//! SQL of alarms.

use records::{Ids, Timestamp};
use store::{StoreError, Tx};

use super::{AlarmId, State};

store::row! {
    /// An alarm as stored.
    #[derive(Clone, Debug)]
    pub(crate) struct Alarm {
        pub(crate) id: AlarmId,
        /// Name the phone gave to the press of its button.
        pub(crate) press: String,
        /// The order under way; empty: none.
        pub(crate) order_id: String,
        pub(crate) nurse_id: String,
        pub(crate) nurse_name: String,
        pub(crate) state: State,
        /// Where the nurse is, sealed; latest known.
        pub(crate) place_sealed: Option<Vec<u8>>,
        /// When the button was pressed, by the hospital's time.
        pub(crate) pressed_at: Timestamp,
        /// When it reached us.
        pub(crate) raised_at: Timestamp,
        pub(crate) acknowledged_at: Option<Timestamp>,
        pub(crate) acknowledged_by: String,
        pub(crate) closed_at: Option<Timestamp>,
        pub(crate) closed_by: String,
        pub(crate) note: String,
    }
}

/// What a phone says of a press.
#[derive(Clone, Debug)]
pub(crate) struct Pressed<'a> {
    pub(crate) press: &'a str,
    pub(crate) order: &'a str,
    pub(crate) nurse: (&'a str, &'a str),
    pub(crate) pressed_at: Timestamp,
    pub(crate) place: Option<Vec<u8>>,
}

/// Keeps a press: a new alarm, or the place of one that is known. Answers whether it is new.
pub(crate) async fn press(tx: &mut Tx<'_>, ids: &Ids, said: &Pressed<'_>) -> Result<(Alarm, bool), StoreError> {
    let (tenant, now) = (tx.tenant().clone(), tx.now());
    let id = AlarmId::generate(ids, now);
    let made = tx
        .exec(
            "INSERT INTO nursing_alarm(tenant_id, id, press, order_id, nurse_id, nurse_name, state, place_sealed, pressed_at,
                raised_at, acknowledged_by, closed_by, note)
             VALUES ($1, $2, $3, $4, $5, $6, 'raised', $7, $8, $9, '', '', '')
             ON CONFLICT (tenant_id, nurse_id, press) DO NOTHING",
            &[
                &tenant,
                &id,
                &said.press,
                &said.order,
                &said.nurse.0,
                &said.nurse.1,
                &said.place,
                &said.pressed_at,
                &now,
            ],
        )
        .await?;
    if made == 0 && said.place.is_some() {
        tx.exec(
            "UPDATE nursing_alarm SET place_sealed = $4 WHERE tenant_id = $1 AND nurse_id = $2 AND press = $3 AND state <> 'closed'",
            &[&tenant, &said.nurse.0, &said.press, &said.place],
        )
        .await?;
    }
    let sql = format!(
        "SELECT {} FROM nursing_alarm WHERE tenant_id = $1 AND nurse_id = $2 AND press = $3",
        Alarm::COLUMNS
    );
    let alarm = tx.one(&sql, &[&tenant, &said.nurse.0, &said.press]).await?;
    Ok((alarm, made > 0))
}

pub(crate) async fn get(tx: &mut Tx<'_>, id: &AlarmId) -> Result<Option<Alarm>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_alarm WHERE tenant_id = $1 AND id = $2",
        Alarm::COLUMNS
    );
    tx.opt(&sql, &[&tenant, id]).await
}

/// Writes how an alarm stands.
pub(crate) async fn put(tx: &mut Tx<'_>, alarm: &Alarm) -> Result<(), StoreError> {
    let tenant = tx.tenant().clone();
    tx.exec(
        "UPDATE nursing_alarm SET state = $3, acknowledged_at = $4, acknowledged_by = $5, closed_at = $6, closed_by = $7,
            note = $8 WHERE tenant_id = $1 AND id = $2",
        &[
            &tenant,
            &alarm.id,
            &alarm.state,
            &alarm.acknowledged_at,
            &alarm.acknowledged_by,
            &alarm.closed_at,
            &alarm.closed_by,
            &alarm.note,
        ],
    )
    .await
    .map(drop)
}

/// Alarms that are not over, oldest first, then the latest that are.
pub(crate) async fn all(tx: &mut Tx<'_>, open_only: bool) -> Result<Vec<Alarm>, StoreError> {
    let tenant = tx.tenant().clone();
    let of = |wanted: &str, order: &str, limit: u32| {
        format!(
            "SELECT {} FROM nursing_alarm WHERE tenant_id = $1 AND {wanted} ORDER BY raised_at {order} LIMIT {limit}",
            Alarm::COLUMNS
        )
    };
    let mut all: Vec<Alarm> = tx.all(&of("state <> 'closed'", "ASC", 200), &[&tenant]).await?;
    if !open_only {
        let over: Vec<Alarm> = tx.all(&of("state = 'closed'", "DESC", 50), &[&tenant]).await?;
        all.extend(over);
    }
    Ok(all)
}

/// Of an order, latest first.
pub(crate) async fn of_order(tx: &mut Tx<'_>, order: &str) -> Result<Vec<Alarm>, StoreError> {
    let tenant = tx.tenant().clone();
    let sql = format!(
        "SELECT {} FROM nursing_alarm WHERE tenant_id = $1 AND order_id = $2 ORDER BY raised_at DESC LIMIT 50",
        Alarm::COLUMNS
    );
    tx.all(&sql, &[&tenant, &order]).await
}
