//! Certificate chains.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::gate::Signed;
use super::{Answer, Asked, CertificateView, Done, Door, file, fingerprint};
use crate::application::{ApplicationId, ChainId};
use crate::manage::bundle;
use crate::manage::failure::Refused;
use crate::wrap;

/// A chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChainView {
    id: ChainId,
    name: String,
    /// Roots and intermediates.
    certificates: Vec<CertificateView>,
    /// Applications whose policy names it.
    used_by: Vec<ApplicationId>,
}

/// All chains.
#[utoipa::path(get, path = "/manage/v1/chains", tag = "chains", responses((status = 200, body = Vec<ChainView>)))]
pub(super) async fn list(State(door): State<Door>) -> Answer<Vec<ChainView>> {
    let state = door.service.state();
    let views = state.chains.values().map(|chain| {
        let users = state
            .applications
            .values()
            .filter(|application| application.policy.chains.contains(&chain.id));
        ChainView {
            id: chain.id.clone(),
            name: chain.name.clone(),
            certificates: chain.certificates.iter().map(CertificateView::of).collect(),
            used_by: users.map(|application| application.id.clone()).collect(),
        }
    });
    Ok(Json(views.collect()))
}

/// Certificates of one authority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportChain {
    /// The chain to add to; a new one when absent.
    #[serde(default)]
    id: Option<ChainId>,
    name: String,
    /// Files (PEM, DER, P7B) with roots and intermediates, Base64, in any order.
    files: Vec<String>,
}

/// A chain's id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Imported {
    id: ChainId,
}

/// Makes a chain of files, or adds to one.
#[utoipa::path(post, path = "/manage/v1/chains", tag = "chains", request_body = ImportChain,
    responses((status = 200, body = Imported), (status = 422, body = Refused)))]
pub(super) async fn import(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<ImportChain>,
) -> Answer<Imported> {
    let id = door.change(move |manage| {
        let mut certificates = Vec::new();
        for text in &asked.files {
            certificates.extend(bundle::certificates(&file(text)?)?);
        }
        let id = match asked.id {
            Some(id) => manage.known_chain(id)?,
            None => fresh()?,
        };
        manage.import_chain(&signed.who.name, &id, &asked.name, &certificates)?;
        Ok(id)
    });
    Ok(Json(Imported { id: id.await? }))
}

/// The hospital.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnChain {
    /// The hospital's name.
    organization: String,
}

/// Makes a chain of the hospital's own authority.
#[utoipa::path(post, path = "/manage/v1/chains/own", tag = "chains", request_body = OwnChain,
    responses((status = 200, body = Imported), (status = 422, body = Refused)))]
pub(super) async fn import_own(
    State(door): State<Door>,
    signed: Signed,
    Asked(asked): Asked<OwnChain>,
) -> Answer<Imported> {
    let id = door.change(move |manage| {
        let id = fresh()?;
        manage
            .engine()
            .import_own_chain(&signed.who.name, &id, &asked.organization)?;
        Ok(id)
    });
    Ok(Json(Imported { id: id.await? }))
}

/// Forgets a chain that no application uses.
#[utoipa::path(delete, path = "/manage/v1/chains/{id}", tag = "chains", params(("id" = String, Path)),
    responses((status = 200, body = Done), (status = 409, body = Refused)))]
pub(super) async fn remove(State(door): State<Door>, signed: Signed, Path(id): Path<String>) -> Answer<Done> {
    door.change(move |manage| manage.engine().remove_chain(&signed.who.name, &ChainId(id)))
        .await?;
    Ok(Json(Done {}))
}

/// Forgets one certificate of a chain; a chain keeps a root.
#[utoipa::path(delete, path = "/manage/v1/chains/{id}/certificates/{fingerprint}", tag = "chains",
    params(("id" = String, Path), ("fingerprint" = String, Path)),
    responses((status = 200, body = Done), (status = 422, body = Refused)))]
pub(super) async fn remove_certificate(
    State(door): State<Door>,
    signed: Signed,
    Path((id, print)): Path<(String, String)>,
) -> Answer<Done> {
    door.change(move |manage| {
        let print = fingerprint(&print)?;
        manage
            .engine()
            .remove_chain_certificate(&signed.who.name, &ChainId(id), &print)
    })
    .await?;
    Ok(Json(Done {}))
}

fn fresh() -> Result<ChainId, crate::Refusal> {
    Ok(ChainId(format!("chn_{}", hex::encode(wrap::random::<10>()?))))
}
