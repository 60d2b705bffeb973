//! Devices that keep keys. Which there are stands in the settings file alone.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::gate::Signed;
use super::{Answer, Asked, Done, Door};
use crate::keys::device::{DeviceKey, DeviceView};
use crate::manage::failure::Refused;

/// The devices as they are now.
#[utoipa::path(get, path = "/manage/v1/devices", tag = "devices", responses((status = 200, body = Vec<DeviceView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<DeviceView>> {
    Ok(Json(door.service.devices()))
}

/// The keys in a device, asked now.
#[utoipa::path(get, path = "/manage/v1/devices/{name}/keys", tag = "devices", params(("name" = String, Path)),
    responses((status = 200, body = Vec<DeviceKey>), (status = 422, body = Refused)))]
pub(super) async fn keys(State(door): State<Door>, Path(name): Path<String>) -> Answer<Vec<DeviceKey>> {
    Ok(Json(door.act(move |manage| manage.engine().device_keys(&name)).await?))
}

/// Has a device tried now: after it was plugged in again or repaired.
#[utoipa::path(post, path = "/manage/v1/devices/{name}/retry", tag = "devices", params(("name" = String, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn retry(State(door): State<Door>, signed: Signed, Path(name): Path<String>) -> Answer<Done> {
    door.act(move |manage| manage.engine().retry_device(&signed.who.name, &name))
        .await?;
    Ok(Json(Done {}))
}

/// The PIN of a token, or the password of a device's private keys. Not printed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicePin {
    pin: String,
}

/// Gives a device its PIN; kept in memory until the server ends. A wrong one is tried once.
#[utoipa::path(post, path = "/manage/v1/devices/{name}/pin", tag = "devices", params(("name" = String, Path)),
    request_body = DevicePin, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn give_pin(
    State(door): State<Door>,
    signed: Signed,
    Path(name): Path<String>,
    Asked(asked): Asked<DevicePin>,
) -> Answer<Done> {
    let pin = Zeroizing::new(asked.pin);
    door.act(move |manage| manage.engine().give_device_pin(&signed.who.name, &name, pin))
        .await?;
    Ok(Json(Done {}))
}
