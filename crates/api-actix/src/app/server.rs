//! What answers at the port: the routes, over the use cases, over what is kept.

use super::{Adapters, DRAIN_SECONDS, Readiness, Storage, UseCases, listener};
use crate::clock::UuidV7;
use crate::config::{Config, Uploads};
use crate::connection::{Connection, Places, Rules, linger};
use crate::http::docs::Docs;
use crate::http::export::Turns;
use crate::http::metrics::Gauges;
use crate::http::pace::Pace;
use crate::http::{bodies, cors, middleware, openapi, routes};
use crate::limits::Limits;
use crate::passwords::BcryptPool;
use crate::telemetry::Telemetry;
use crate::tokens::Tokens;
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use anyhow::Context as _;
use infra_live::{Hub, Shard};
use std::future::ready;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// The name of the one service among those of a server.
const NAME: &str = "http";

/// The disks of this machine that are written to.
fn disks(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let database = config.database_folder().map(|folder| ("database", folder.to_owned()));
    let uploads = match &config.uploads {
        Uploads::Directory(directory) => Some(("uploads", directory.clone())),
        Uploads::Bucket(_) => None,
    };
    database.into_iter().chain(uploads).collect()
}

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
    let disks = disks(&config);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let hasher = Arc::new(BcryptPool::start(config.bcrypt_cost, cores)?);
    let adapters = Adapters::over(&store, blobs, hasher, config.clock, Arc::new(UuidV7));
    let app = web::Data::new(UseCases::new(adapters, Arc::new(config.policy), config.max_file_bytes));
    let tokens = web::Data::new(Tokens::new(secret.expose()));
    let gauges = web::Data::new(Gauges::new(telemetry, store, disks, config.disk_reserve));
    let document =
        web::Data::new(openapi::Served::new(&config.public_url).context("the OpenAPI document cannot be made")?);
    let docs = web::Data::new(Docs::new());
    let turns = web::Data::new(Turns::default());
    let origins = web::Data::new(config.origins.with_own(config.public_url.origin().cloned()));
    let public = web::Data::new(config.public_url);
    let places = Arc::new(Places::new(config.max_connections_per_address, config.proxies.clone()));
    let edge = (web::Data::new(Limits::new(&config.rates)), web::Data::new(config.proxies), origins, public);
    let pace = Pace { patience: config.body_deadline, least_a_second: config.min_upload_speed };
    let shared = (app, tokens, edge, readiness, document, docs, gauges, turns);

    let listener = listener::bind(&config.listen)?;
    let address = listener.local_addr().context("the port cannot be told")?;
    let live = Arc::clone(hub);
    let builder = Server::build();
    let draining = builder.graceful_shutdown_signal();
    let service = move || {
        let (app, tokens, (limits, proxies, origins, public), readiness, document, docs, gauges, turns) =
            shared.clone();
        // One a worker, on the worker's thread.
        let shard = Shard::new(Arc::clone(&live));
        actix_web::rt::spawn(Rc::clone(&shard).run());
        let app = App::new()
            .app_data(shard)
            .app_data(limits)
            .app_data(proxies)
            .app_data(pace)
            .app_data(origins)
            .app_data(public)
            .app_data(app)
            .app_data(tokens)
            .app_data(readiness)
            .app_data(document)
            .app_data(docs)
            .app_data(gauges)
            .app_data(turns)
            .wrap(from_fn(cors::preflight))
            .wrap(from_fn(middleware::around))
            .wrap(from_fn(bodies::settle))
            .configure(routes::routes);
        let app = map_config(app.into_factory(), |()| AppConfig::default());
        let app = app.map_err(|fault: actix_web::Error| fault.error_response());

        let rules = Rc::new(Rules::new(config.head_deadline, config.linger, config.max_file_bytes));
        let (places, draining) = (Arc::clone(&places), draining.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(config.idle_deadline)
            .client_request_timeout(config.head_deadline)
            .client_disconnect_timeout(config.linger)
            .local_addr(address)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(Rc::clone(connection.gate()));
            })
            .h1(app);
        let patience = config.linger;
        let http = apply_fn_factory(http, move |accepted: (Connection, Option<SocketAddr>), http| {
            let left = accepted.0.left();
            let answered = http.call(accepted);
            async move {
                let outcome = answered.await;
                linger(left, patience).await;
                outcome
            }
        });
        fn_service(move |stream: TcpStream| ready(admit(stream, &places, &rules))).and_then(http)
    };
    let server = builder
        .workers(cores)
        .max_concurrent_connections((config.max_connections / cores).max(1))
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .listen(NAME, listener, service)
        .context("the port cannot be listened on")?
        .run();
    Ok((server, address))
}

/// Takes a new connection, or refuses it where its network has too many.
fn admit(
    stream: TcpStream,
    places: &Arc<Places>,
    rules: &Rc<Rules>,
) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().ok();
    let Some(place) = places.take(peer.map(|peer| peer.ip())) else {
        listener::refuse(&stream);
        return Err(DispatchError::Io(std::io::ErrorKind::ConnectionRefused.into()));
    };
    listener::set_up(&stream);
    Ok((Connection::new(stream, rules, place), peer))
}
