//! `cloud serve`: opens everything, says `ready`, and stops cleanly when asked.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::response::IntoResponse;
use base::{ApiError, Ctx};
use documents::press::{FontFiles, Press};
use fleet::Fleet;
use link::blob::FolderSink;
use link::cloud::CloudLink;
use link::https::HttpsListener;
use link::tls::ClientCertificate;
use nursing::footage::derived::{self, Lane, Workshop};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::authority::Authorities;
use crate::config::Config;
use crate::contexts::{self, Desks, Timer};
use crate::line::{Line, Post, Register};
use crate::printing::PreviewFont;
use crate::{broker, calls, merchants, messages, port, start, uploads, web};

/// How long requests under way may take after we were asked to stop.
const LEAVE: Duration = Duration::from_secs(3);
/// Largest file an appliance may send.
const FOOTAGE: u64 = 8 << 30;

pub(crate) async fn serve(config: Config) -> Result<()> {
    let store = start::store(&config).await?;
    let files = Arc::new(FolderSink::new(config.files.folder.join("appliances"), FOOTAGE));
    let line = Line::new(store.clone(), files.clone());
    let ids = start::ids();
    let sms = messages::sender(&config, store.clock().clone())?;
    let ctx = start::ctx(&config, store.clone(), Arc::new(line.clone()), sms).await?;
    // The relay lives as long as we do.
    let (rooms, _relay) = calls::open(&config, &ctx).await?;
    let desks = contexts::desks(&ctx, merchants::tills(&ctx).await?, rooms, press(&config).await?);
    let authorities = Authorities::open(&config.edge, ctx.now())?;
    let fleet = Fleet::new(store.clone(), authorities.classic.clone(), ids);
    let stop = CancellationToken::new();

    line.connect(open_line(&config, &ctx, &desks, &fleet, &authorities).await?);
    let appliances = HttpsListener::bind(
        config.edge.https,
        authorities.server_tls(ctx.now(), ClientCertificate::Optional)?,
    )
    .await
    .context("opening the appliances' port")?;
    let people = TcpListener::bind(config.web.listen)
        .await
        .with_context(|| format!("listening on {}", config.web.listen))?;

    let mut tasks = JoinSet::new();
    for timer in contexts::timers(&ctx, &desks) {
        tasks.spawn(run(timer, stop.clone()));
    }
    tasks.spawn(keep_out(fleet.clone(), line.clone(), stop.clone()));
    tasks.spawn(uploads::forget_stale(
        files.clone(),
        fleet.clone(),
        ctx.clone(),
        config.files.unfinished_hours,
        stop.clone(),
    ));
    let shop = workshop(&config, &ctx)?;
    for n in 0..shop.as_ref().map_or(0, |_| config.media.jobs) {
        // One lane is never behind a long export.
        let lane = if n == 0 && config.media.jobs > 1 {
            Lane::Quick
        } else {
            Lane::Any
        };
        if let Some(shop) = shop.clone() {
            tasks.spawn(make_media(ctx.clone(), shop, lane, stop.clone()));
        }
    }
    let edge_router = fleet::routes(fleet.clone()).merge(link::blob::routes(files));
    let leaving = stop.clone();
    tasks.spawn(async move {
        if let Err(error) = appliances.serve(edge_router, leaving).await {
            tracing::error!(%error, "the appliances' port ended");
        }
    });
    let mut router = router(&config, ctx, &desks, line.clone(), fleet);
    if let Some(shop) = shop {
        router = router.layer(axum::Extension(shop));
    }
    let leaving = stop.clone();
    tasks.spawn(async move { port::serve(people, router, port::HEADERS, leaving).await });

    let mut out = std::io::stdout();
    writeln!(out, "ready")
        .and_then(|()| out.flush())
        .context("saying ready")?;
    asked_to_stop().await?;
    tracing::info!("stopping");
    stop.cancel();
    // Streams of events never end by themselves.
    let _ = tokio::time::timeout(LEAVE, async { while tasks.join_next().await.is_some() {} }).await;
    tasks.shutdown().await;
    store.close();
    Ok(())
}

fn font_files(config: &Config) -> FontFiles {
    let (own, usual) = (config.documents.clone(), FontFiles::default());
    FontFiles {
        regular: own.regular.unwrap_or(usual.regular),
        bold: own.bold.unwrap_or(usual.bold),
        face: own.face.unwrap_or(usual.face),
    }
}

/// The press of prescriptions. Without letters everything else goes on.
async fn press(config: &Config) -> Result<Option<Press>> {
    let files = font_files(config);
    let loaded = tokio::task::spawn_blocking(move || Press::load(&files)).await?;
    Ok(loaded
        .inspect_err(|error| tracing::error!(%error, "prescriptions are not printed as PDF"))
        .ok())
}

async fn asked_to_stop() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

async fn open_line(
    config: &Config,
    ctx: &Ctx,
    desks: &Desks,
    fleet: &Fleet,
    authorities: &Authorities,
) -> Result<CloudLink> {
    let options = link::cloud::Options {
        broker: broker::choice(config, ctx, authorities)?,
        registry: Arc::new(Register(fleet.clone())),
        ids: start::ids(),
        tuning: link::Tuning::default(),
    };
    let post = Arc::new(Post {
        ctx: ctx.clone(),
        desks: desks.clone(),
    });
    CloudLink::start(ctx.store.clone(), options, post)
        .await
        .context("opening the line")
}

/// Runs a timer until we stop. A round that panics is logged, and the next one comes all the same.
async fn run(timer: Timer, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = tokio::spawn((timer.round)()).await {
            tracing::error!(timer.name = timer.name, %error, "a round failed");
        }
        tokio::select! {
            () = tokio::time::sleep(timer.every) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Where media is made of footage; none where this replica makes none.
fn workshop(config: &Config, ctx: &Ctx) -> Result<Option<Workshop>> {
    let own = &config.media;
    if own.jobs == 0 {
        return Ok(None);
    }
    let program = match &own.worker {
        Some(program) => program.clone(),
        None => std::env::current_exe()
            .context("finding this program")?
            .with_file_name("media-worker"),
    };
    let worker = media::Worker {
        memory: own.memory_mb << 20,
        threads: own.threads,
        ..media::Worker::new(program)
    };
    // What is made moves among the kept files, so it is made beside them.
    let folder = config.files.folder.join("making");
    let letters = font_files(config).regular;
    let shop = Workshop::open(worker, letters, folder.clone(), ctx.now());
    shop.map(Some).with_context(|| format!("opening {}", folder.display()))
}

/// Makes media until we stop; a job under way is then given up and taken up anew later.
async fn make_media(ctx: Ctx, shop: Workshop, lane: Lane, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let (ctx, shop) = (ctx.clone(), shop.clone());
        let mut round = tokio::spawn(async move { derived::round(&ctx, &shop, lane).await });
        tokio::select! {
            ended = &mut round => if let Err(error) = ended {
                tracing::error!(%error, "a round of media failed");
            },
            () = stop.cancelled() => round.abort(),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Ends the lines of appliances that were suspended or revoked while connected.
async fn keep_out(fleet: Fleet, line: Line, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match fleet.list(None).await {
            Ok(listed) => {
                let barred = listed
                    .into_iter()
                    .map(|l| l.appliance)
                    .filter(|a| matches!(a.state, fleet::State::Suspended(_) | fleet::State::Revoked(_)));
                for appliance in barred {
                    if let Some(link) = line.link().filter(|link| link.online(&appliance.edge_id)) {
                        link.expel(&appliance.edge_id);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "fleet not read"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// The API document.
pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    let (_, mut document) = utoipa_axum::router::OpenApiRouter::new()
        .nest("/api/v1", contexts::routes())
        .split_for_parts();
    document.info.title = "医桥互联网医院".to_owned();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    // Handlers are named by their verb (`list`, `show`); in the document each operation needs a name of its own.
    for (path, item) in &mut document.paths.paths {
        let words: Vec<_> = path
            .trim_start_matches("/api/v1")
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let noun = words.join("_");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("delete", &mut item.delete),
        ];
        for (verb, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{verb}_{noun}"));
            }
        }
    }
    document
}

fn router(config: &Config, ctx: Ctx, desks: &Desks, line: Line, fleet: Fleet) -> Router {
    let (api, _) = utoipa_axum::router::OpenApiRouter::new()
        .nest("/api/v1", contexts::routes())
        .split_for_parts();
    let document = serde_json::to_value(openapi()).unwrap_or_default();
    let api = api
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || async move { axum::Json(document) }),
        )
        .route("/api/{*rest}", axum::routing::any(|| async { ApiError::not_found() }))
        .layer(axum::Extension(line))
        .layer(axum::Extension(fleet))
        .layer(axum::Extension(PreviewFont::from(&font_files(config))))
        .layer(axum::middleware::from_fn_with_state(
            ctx.clone(),
            base::http::with_request_id,
        ))
        .with_state(ctx);
    contexts::extend(api, desks)
        .merge(web::routes(&config.web.apps))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
            ApiError::internal("a handler panicked").into_response()
        }))
}
