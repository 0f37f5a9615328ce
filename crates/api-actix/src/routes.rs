//! The URL map.

use crate::http::extract::{ActingField, Needs};
use crate::http::web as web_client;
use crate::http::{
    accounts, admin, api_tokens, conversations, docs, export, files, gochat, groups, health, members, mentions,
    messages, metrics, openapi, pins, reactions, receipts, search, server_info, sessions, threads, views,
};
use crate::limits::Costs;
use crate::live::{event_stream, socket};
use actix_web::web::{ServiceConfig, delete, patch, post, put, resource};
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use domain::{Need, Scope};
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

/// Generates the served routes, their list, what each needs of a token, and their documentation from one table. A
/// handler in the table without `#[utoipa::path]` does not compile.
macro_rules! routes {
    ($($path:literal: $($method:ident($need:ident) $module:ident::$handler:ident),+;)+) => {
        /// Every route: its method as in OpenAPI, and its path. (Every GET route also answers HEAD.)
        pub const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),+];

        /// What each route needs of the token that a request comes with, in the order of [`ROUTES`].
        pub const NEEDS: &[Need] = &[$($(routes!(@need $need)),+),+];

        /// Adds every route.
        pub fn routes(to: &mut ServiceConfig) {
            to$(.service(
                resource($path)
                    .app_data(Costs::of_path($path))
                    .app_data(ActingField::of_path($path))
                    .app_data(Needs(&[$((stringify!($method), routes!(@need $need))),+]))
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
    (@need open) => { Need::Nothing };
    (@need read) => { Need::Scope(Scope::Read) };
    (@need send) => { Need::Scope(Scope::Send) };
    (@need manage) => { Need::Scope(Scope::Manage) };
    (@need login) => { Need::Login };
}

// The router tries routes in this order, so the busiest come first. In brackets is what a route needs: `read`, `send`
// and `manage` are scopes of a token of a program; `login` takes no such token, and `open` needs none.
routes! {
    // Messages
    "/messages": post(send) messages::send, get(read) messages::list;
    "/messages/upload": post(send) files::send;
    "/messages/unseen/{user_id}": get(read) receipts::count_unseen;
    "/messages/{id}": get(read) messages::show, put(send) messages::edit, delete(send) messages::delete;
    "/messages/{id}/seen": post(send) receipts::mark_seen, get(read) receipts::list;
    "/messages/{id}/reactions": get(read) reactions::list;
    "/messages/{id}/reactions/{emoji}": put(send) reactions::add, delete(send) reactions::take_back;
    "/messages/{id}/pin": put(send) pins::pin, delete(send) pins::unpin;
    "/messages/{id}/thread": get(read) threads::list;
    "/messages/{id}/edits": get(read) messages::edits;
    "/search": get(read) search::find;
    "/mentions": get(read) mentions::list;
    "/conversations": get(read) conversations::list, post(manage) conversations::open;
    "/conversations/{id}/read": post(send) receipts::mark_read;
    "/conversations/{id}/unread": post(send) receipts::mark_unread;
    "/conversations/{id}/settings": patch(manage) views::change_settings;
    "/conversations/{id}/draft": put(send) views::set_draft, delete(send) views::drop_draft;
    "/conversations/{id}/changes": get(read) conversations::changes;
    "/conversations/{id}/digest": get(read) conversations::digest;
    "/conversations/{id}/pins": get(read) pins::list;
    // The gochat surface
    "/dm/send": post(send) gochat::send_direct;
    "/dm/history": get(read) gochat::direct_history;
    "/group/create": post(manage) gochat::create_group;
    "/group/send": post(send) gochat::send_to_group;
    "/group/history": get(read) gochat::group_history;
    "/broadcast/send": post(send) gochat::broadcast;
    "/broadcast/history": get(read) gochat::broadcast_history;
    // Groups
    "/groups": post(manage) groups::create, get(read) groups::list;
    "/groups/{id}": get(read) groups::show, put(manage) groups::edit, delete(manage) groups::delete;
    "/groups/{id}/members": post(manage) members::add, get(read) members::list;
    "/groups/{id}/members/{user_id}": patch(manage) members::change_role, delete(manage) members::remove;
    "/groups/{id}/leave": post(manage) members::leave;
    // Files
    "/upload": post(send) files::upload;
    "/uploads/{id}/{name}": get(read) files::download;
    // Accounts
    "/signup": post(open) accounts::sign_up;
    "/login": post(open) sessions::log_in;
    "/token": post(open) sessions::renew;
    "/logout": post(login) sessions::log_out;
    "/sessions": get(login) sessions::list;
    "/sessions/{id}": delete(login) sessions::end;
    "/tokens": post(login) api_tokens::create, get(login) api_tokens::list;
    "/tokens/{id}": delete(login) api_tokens::end;
    "/users": post(open) accounts::create, get(read) accounts::list;
    "/users/{id}": get(read) accounts::show;
    "/me": get(read) accounts::show_own, patch(manage) accounts::edit_own, delete(login) accounts::delete_own;
    "/me/export": get(read) export::export;
    // Running the server
    "/admin/users": get(login) admin::users;
    "/admin/users/{id}/disable": post(login) admin::disable;
    "/admin/users/{id}/enable": post(login) admin::enable;
    "/admin/users/{id}/sessions": delete(login) admin::end_sessions;
    "/admin/groups/{id}": delete(login) admin::delete_group;
    "/admin/audit": get(login) admin::audit;
    // Live
    "/ws": get(read) socket::upgrade;
    "/events": get(read) event_stream::events;
    // Operations
    "/health": get(open) health::alive;
    "/ready": get(open) health::ready;
    "/server": get(open) server_info::show;
    "/metrics": get(read) metrics::show;
    "/openapi.json": get(open) openapi::show;
    "/": get(open) web_client::page;
    "/assets/{path:.*}": get(open) web_client::asset;
    "/docs": get(open) docs::index;
    "/docs/": get(open) docs::folder;
    "/docs/{file}": get(open) docs::file;
}
