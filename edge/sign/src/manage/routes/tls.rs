//! TLS certificates of the interfaces.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, CertificateView, Done, Door, file};
use crate::manage::failure::Refused;
use crate::manage::tls::{Interface, Source};

/// An interface's certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TlsView {
    interface: Interface,
    source: Source,
    /// The certificate, then those above it; empty while the TPM does not give its key.
    chain: Vec<CertificateView>,
}

/// Certificates of the interfaces that are served.
#[utoipa::path(get, path = "/manage/v1/tls", tag = "tls", responses((status = 200, body = Vec<TlsView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<TlsView>> {
    let views = door.act(|manage| {
        let views = manage.tls.iter().map(|watched| {
            let (source, chain) = watched.shown(manage.engine())?;
            Ok(TlsView {
                interface: watched.interface,
                source,
                chain: chain.iter().map(CertificateView::of).collect(),
            })
        });
        views.collect()
    });
    Ok(Json(views.await?))
}

/// A certificate and its key, made elsewhere.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportTls {
    /// Files (PEM, DER, P7B) with the certificate and those above it, Base64, in any order; a PFX has its own.
    #[serde(default)]
    files: Vec<String>,
    /// The private key (PEM, or DER of PKCS#8, without password; or a PFX, PKCS#12, with its certificates), Base64.
    key: String,
    /// The password of a PFX.
    password: Option<String>,
}

/// Puts a certificate and key in the place of those in use; new connections take them at once.
#[utoipa::path(post, path = "/manage/v1/tls/{interface}/import", tag = "tls", params(("interface" = Interface, Path)),
    request_body = ImportTls, responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn import(
    State(door): State<Door>,
    signed: Signed,
    Path(interface): Path<Interface>,
    Asked(asked): Asked<ImportTls>,
) -> Answer<Done> {
    door.act(move |manage| {
        let mut files = Vec::new();
        for text in &asked.files {
            files.push(file(text)?);
        }
        let key = zeroize::Zeroizing::new(file(&asked.key)?);
        let password = zeroize::Zeroizing::new(asked.password.unwrap_or_default());
        manage
            .watched(interface)?
            .import(manage.engine(), &signed.who.name, &files, &key, &password)
    })
    .await?;
    Ok(Json(Done {}))
}

/// Makes a new key and a certificate for it, signed by itself.
#[utoipa::path(post, path = "/manage/v1/tls/{interface}/renew", tag = "tls", params(("interface" = Interface, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn renew(State(door): State<Door>, signed: Signed, Path(interface): Path<Interface>) -> Answer<Done> {
    door.act(move |manage| manage.watched(interface)?.renew(manage.engine(), &signed.who.name))
        .await?;
    Ok(Json(Done {}))
}
