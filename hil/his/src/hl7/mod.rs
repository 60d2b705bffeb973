//! HL7 v2.5 over MLLP.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::house::House;
use crate::notice::Stopped;

pub(crate) async fn serve(_house: Arc<House>, _listener: TcpListener) -> std::io::Result<()> {
    std::future::pending().await
}

pub(crate) async fn announce(_house: &House, _target: &str, _stopped: &Stopped) -> Result<String, String> {
    Err("not yet".into())
}
