//! What answers at the port: the routes, over the use cases, over what is kept.

use super::{Adapters, DRAIN_SECONDS, Readiness, Storage, UseCases, listener};
use crate::clock::UuidV7;
use crate::config::Config;
use crate::http::docs::Docs;
use crate::http::export::Turns;
use crate::http::metrics::Gauges;
use crate::http::pace::Pace;
use crate::http::{cors, middleware, openapi, routes};
use crate::limits::Limits;
use crate::live::closing::Wire;
use crate::passwords::BcryptPool;
use crate::telemetry::Telemetry;
use crate::tokens::Tokens;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use infra_live::{Hub, Shard};
use std::net::SocketAddr;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may take for its request's headers.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may be idle.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Binds the port, and makes the server that answers there once it is polled.
///
/// # Errors
/// In words for the operator.
pub fn bind(
    config: Config,
    Storage { store, blobs, secret }: Storage,
    telemetry: Telemetry,
    hub: &Arc<Hub>,
    readiness: web::Data<Readiness>,
) -> anyhow::Result<(Server, SocketAddr)> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let hasher = Arc::new(BcryptPool::start(config.bcrypt_cost, cores)?);
    let adapters = Adapters::over(&store, blobs, hasher, config.clock, Arc::new(UuidV7));
    let app = web::Data::new(UseCases::new(adapters, Arc::new(config.policy), config.max_file_bytes));
    let tokens = web::Data::new(Tokens::new(secret.expose()));
    let gauges = web::Data::new(Gauges::new(telemetry, store));
    let document = web::Data::new(openapi::Served::new().context("the OpenAPI document cannot be made")?);
    let docs = web::Data::new(Docs::new());
    let turns = web::Data::new(Turns::default());
    let origins = web::Data::new(config.origins);
    let edge = (web::Data::new(Limits::new(&config.rates)), web::Data::new(config.proxies), origins);
    let pace = Pace { least_a_second: config.min_upload_speed };
    let shared = (app, tokens, edge, readiness, document, docs, gauges, turns);

    let listener = listener::bind(&config.listen)?;
    let address = listener.local_addr().context("the port cannot be told")?;
    let live = Arc::clone(hub);
    let server = HttpServer::new(move || {
        let (app, tokens, (limits, proxies, origins), readiness, document, docs, gauges, turns) = shared.clone();
        // One a worker, on the worker's thread.
        let shard = Shard::new(Arc::clone(&live));
        actix_web::rt::spawn(Rc::clone(&shard).run());
        App::new()
            .app_data(shard)
            .app_data(limits)
            .app_data(proxies)
            .app_data(pace)
            .app_data(origins)
            .app_data(app)
            .app_data(tokens)
            .app_data(readiness)
            .app_data(document)
            .app_data(docs)
            .app_data(gauges)
            .app_data(turns)
            .wrap(from_fn(cors::allow))
            .wrap(from_fn(middleware::around))
            .configure(routes::routes)
    })
    .on_connect(|connection, data| {
        listener::cut_stalled_readers(connection);
        Wire::note(connection, data);
    })
    .workers(cores)
    .max_connections(config.max_connections.div_ceil(cores))
    .tcp_nodelay(true)
    .client_request_timeout(HEADER_DEADLINE)
    .client_disconnect_timeout(config.linger)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(DRAIN_SECONDS)
    .disable_signals()
    .listen(listener)
    .context("the port cannot be listened on")?
    .run();
    Ok((server, address))
}
