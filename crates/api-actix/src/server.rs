//! The HTTP server: the routes over the use cases.

use crate::connection::{Connection, ConnectionLimits, Rules, finish};
use crate::features::Features;
use crate::http::docs::Docs;
use crate::http::export::ExportSemaphore;
use crate::http::origin::Origins;
use crate::http::pace::MinUploadRate;
use crate::http::page_cache::{self, PageCache};
use crate::http::{bodies, cors, middleware, openapi, server_info};
use crate::limits::{Limits, Rates};
use crate::listener;
use crate::operations::Operations;
use crate::proxies::Proxies;
use crate::readiness::Readiness;
use crate::use_cases::UseCases;
use crate::{document, routes};
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use domain::sessions::TokenService;
use infra_live::{Hub, Shard};
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wire::PublicUrl;

/// The name of the one service among those of a server.
const NAME: &str = "http";

/// Deadlines for clients, and for the server's shutdown.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// The time for the head of a request.
    pub head: Duration,
    /// The time for a JSON body, or between two pieces of an upload.
    pub body: Duration,
    /// The time between two requests.
    pub idle: Duration,
    /// How long a client may take to read an answer that refuses its body; the server discards the rest of the body
    /// meanwhile.
    pub linger: Duration,
    /// How long running requests may take after the server stopped accepting connections, in whole seconds.
    pub drain: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            linger: Duration::from_secs(3),
            drain: Duration::from_secs(3),
        }
    }
}

/// The operator's settings for the edge.
#[derive(Clone)]
pub struct Settings {
    /// `HOST:PORT`.
    pub listen: String,
    /// The rate limits.
    pub rates: Rates,
    /// The most connections at once.
    pub max_connections: usize,
    /// The most connections at once from one network.
    pub max_connections_per_address: usize,
    /// The minimum speed of an upload, in bytes per second.
    pub min_upload_speed: u64,
    /// The largest upload, in bytes.
    pub max_file_bytes: u64,
    /// The proxies whose `X-Forwarded-For` the server trusts.
    pub proxies: Proxies,
    /// The URL under which clients reach the server.
    pub public_url: PublicUrl,
    /// Origins, besides the server's own, whose web pages may use the server.
    pub origins: Origins,
    /// The deadlines for clients.
    pub deadlines: Deadlines,
}

/// The services behind the server.
pub struct Services {
    /// The use cases.
    pub use_cases: UseCases,
    /// Verifies tokens.
    pub tokens: Arc<dyn TokenService>,
    /// Answers operators.
    pub operations: Arc<dyn Operations>,
    /// The hub of live events.
    pub hub: Arc<Hub>,
    /// Tells whether the server is ready or stopping.
    pub readiness: web::Data<Readiness>,
    /// The optional features that the server has.
    pub features: Features,
}

/// Binds the port and builds the server. The server answers once the caller polls it.
///
/// # Errors
/// An I/O error if the system refuses the port.
pub fn bind(settings: Settings, services: Services) -> io::Result<(Server, SocketAddr)> {
    let Services { use_cases, tokens, operations, hub, readiness, features } = services;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let document = web::Data::new(openapi::Served::new(document::text(&settings.public_url)?));
    let docs = web::Data::new(Docs::new());
    let described = web::Data::new(server_info::describe(features, settings.max_file_bytes));
    let turns = web::Data::new(ExportSemaphore::default());
    let origins = web::Data::new(settings.origins.with_own(settings.public_url.origin().cloned()));
    let public = web::Data::new(settings.public_url);
    let places = Arc::new(ConnectionLimits::new(settings.max_connections_per_address, settings.proxies.clone()));
    let edge = (web::Data::new(Limits::new(&settings.rates)), web::Data::new(settings.proxies), origins, public);
    let Deadlines { head, body, idle, linger: linger_time, drain } = settings.deadlines;
    let pace = MinUploadRate { timeout: body, bytes_per_second: settings.min_upload_speed };
    let (use_cases, tokens, operations) =
        (web::Data::new(use_cases), web::Data::from(tokens), web::Data::from(operations));
    let pages = web::Data::new(PageCache::new(page_cache::MAX_BYTES));
    let shared = (use_cases, tokens, edge, readiness, document, docs, operations, turns, pages, described);

    let listener = listener::bind(&settings.listen)?;
    let address = listener.local_addr()?;
    let max_file_bytes = settings.max_file_bytes;
    let builder = Server::build();
    let draining = builder.graceful_shutdown_signal();
    let service = move || {
        let (use_cases, tokens, edge, readiness, document, docs, operations, turns, pages, described) = shared.clone();
        let (limits, proxies, origins, public) = edge;
        // Each worker has its own, on its own thread.
        let shard = Shard::new(Arc::clone(&hub));
        actix_web::rt::spawn(Rc::clone(&shard).run());
        let app = App::new()
            .app_data(shard)
            .app_data(limits)
            .app_data(proxies)
            .app_data(pace)
            .app_data(origins)
            .app_data(public)
            .app_data(use_cases)
            .app_data(tokens)
            .app_data(readiness)
            .app_data(document)
            .app_data(docs)
            .app_data(operations)
            .app_data(turns)
            .app_data(pages)
            .app_data(described)
            .wrap(from_fn(cors::preflight))
            .wrap(from_fn(middleware::request_context))
            .wrap(from_fn(bodies::settle))
            .configure(routes::routes);
        let app = map_config(app.into_factory(), |()| AppConfig::default());
        let app = app.map_err(|fault: actix_web::Error| fault.error_response());

        let rules = Rc::new(Rules::new(head, linger_time, max_file_bytes));
        let (places, draining) = (Arc::clone(&places), draining.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(idle)
            .client_request_timeout(head)
            .client_disconnect_timeout(linger_time)
            .local_addr(address)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(Rc::clone(connection.gate()));
            })
            .h1(app);
        let http = apply_fn_factory(http, move |accepted: (Connection, Option<SocketAddr>), http| {
            let left = accepted.0.left();
            // Boxed, so that a WebSocket does not keep the memory that HTTP needs.
            let answered = Box::pin(http.call(accepted));
            async move {
                let outcome = answered.await;
                finish(left, linger_time).await;
                outcome
            }
        });
        fn_service(move |stream: TcpStream| ready(admit(stream, &places, &rules))).and_then(http)
    };
    let server = builder
        .workers(cores)
        .max_concurrent_connections((settings.max_connections / cores).max(1))
        .shutdown_timeout(drain.as_secs())
        .disable_signals()
        .listen(NAME, listener, service)?
        .run();
    Ok((server, address))
}

/// Accepts a new connection, or refuses it if its network has too many.
fn admit(
    stream: TcpStream,
    places: &Arc<ConnectionLimits>,
    rules: &Rc<Rules>,
) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().ok();
    let Some(place) = places.take(peer.map(|peer| peer.ip())) else {
        listener::refuse(&stream);
        return Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()));
    };
    listener::set_up(&stream);
    Ok((Connection::new(stream, rules, place), peer))
}
