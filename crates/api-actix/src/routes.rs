//! The URL map.

use crate::http::extract::ActingField;
use crate::http::web as web_client;
use crate::http::{
    accounts, admin, conversations, docs, export, files, gochat, groups, health, members, mentions, messages, metrics,
    openapi, pins, reactions, receipts, search, server_info, sessions, threads,
};
use crate::limits::Costs;
use crate::live::{event_stream, socket};
use actix_web::web::{ServiceConfig, delete, patch, post, put, resource};
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use utoipa::OpenApi as _;

/// Answers GET and HEAD.
fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler)
}

/// Generates the served routes, their list and their documentation from one table. A handler in the table without
/// `#[utoipa::path]` does not compile.
macro_rules! routes {
    ($($path:literal: $($method:ident $module:ident::$handler:ident),+;)+) => {
        /// Every route: its method as in OpenAPI, and its path. (Every GET route also answers HEAD.)
        pub const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),+];

        /// Adds every route.
        pub fn routes(to: &mut ServiceConfig) {
            to$(.service(
                resource($path)
                    .app_data(Costs::of_path($path))
                    .app_data(ActingField::of_path($path))
                    $(.route(routes!(@route $method $module::$handler)))+
            ))+;
        }

        /// The handlers' annotations.
        pub fn documented() -> utoipa::openapi::OpenApi {
            #[derive(utoipa::OpenApi)]
            #[openapi(paths($($($module::$handler),+),+))]
            struct Paths;
            Paths::openapi()
        }
    };
    (@route get $module:ident::$handler:ident) => { get($module::$handler) };
    (@route $method:ident $module:ident::$handler:ident) => { $method().to($module::$handler) };
}

// The router tries routes in this order, so the busiest come first.
routes! {
    // Messages
    "/messages": post messages::send, get messages::list;
    "/messages/upload": post files::send;
    "/messages/unseen/{user_id}": get receipts::count_unseen;
    "/messages/{id}": get messages::show, put messages::edit, delete messages::delete;
    "/messages/{id}/seen": post receipts::mark_seen, get receipts::list;
    "/messages/{id}/reactions": get reactions::list;
    "/messages/{id}/reactions/{emoji}": put reactions::add, delete reactions::take_back;
    "/messages/{id}/pin": put pins::pin, delete pins::unpin;
    "/messages/{id}/thread": get threads::list;
    "/messages/{id}/edits": get messages::edits;
    "/search": get search::find;
    "/mentions": get mentions::list;
    "/conversations": get conversations::list;
    "/conversations/{id}/read": post receipts::mark_read;
    "/conversations/{id}/changes": get conversations::changes;
    "/conversations/{id}/digest": get conversations::digest;
    "/conversations/{id}/pins": get pins::list;
    // The gochat surface
    "/dm/send": post gochat::send_direct;
    "/dm/history": get gochat::direct_history;
    "/group/create": post gochat::create_group;
    "/group/send": post gochat::send_to_group;
    "/group/history": get gochat::group_history;
    "/broadcast/send": post gochat::broadcast;
    "/broadcast/history": get gochat::broadcast_history;
    // Groups
    "/groups": post groups::create, get groups::list;
    "/groups/{id}": get groups::show, put groups::edit, delete groups::delete;
    "/groups/{id}/members": post members::add, get members::list;
    "/groups/{id}/members/{user_id}": patch members::change_role, delete members::remove;
    "/groups/{id}/leave": post members::leave;
    // Files
    "/upload": post files::upload;
    "/uploads/{id}/{name}": get files::download;
    // Accounts
    "/signup": post accounts::sign_up;
    "/login": post sessions::log_in;
    "/token": post sessions::renew;
    "/logout": post sessions::log_out;
    "/sessions": get sessions::list;
    "/sessions/{id}": delete sessions::end;
    "/users": post accounts::create, get accounts::list;
    "/users/{id}": get accounts::show;
    "/me": get accounts::show_own, patch accounts::edit_own, delete accounts::delete_own;
    "/me/export": get export::export;
    // Running the server
    "/admin/users": get admin::users;
    "/admin/users/{id}/disable": post admin::disable;
    "/admin/users/{id}/enable": post admin::enable;
    "/admin/users/{id}/sessions": delete admin::end_sessions;
    "/admin/groups/{id}": delete admin::delete_group;
    "/admin/audit": get admin::audit;
    // Live
    "/ws": get socket::upgrade;
    "/events": get event_stream::events;
    // Operations
    "/health": get health::alive;
    "/ready": get health::ready;
    "/server": get server_info::show;
    "/metrics": get metrics::show;
    "/openapi.json": get openapi::show;
    "/": get web_client::page;
    "/assets/{path:.*}": get web_client::asset;
    "/docs": get docs::index;
    "/docs/": get docs::folder;
    "/docs/{file}": get docs::file;
}
