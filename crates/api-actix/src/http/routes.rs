//! The whole URL map.

use super::{accounts, conversations, files, gochat, groups, health, members, messages, receipts, sessions};
use actix_web::web::{ServiceConfig, delete, patch, post, put, resource};
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};

/// GET, and HEAD wherever GET is.
fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler)
}

/// Adds every route. What is called most is found first.
#[rustfmt::skip]
pub fn routes(to: &mut ServiceConfig) {
    to
        // Messages
        .service(resource("/messages").route(post().to(messages::send)).route(get(messages::list)))
        .service(resource("/messages/upload").route(post().to(files::send)))
        .service(resource("/messages/unseen/{user_id}").route(get(receipts::count_unseen)))
        .service(resource("/messages/{id}").route(get(messages::show)).route(put().to(messages::edit)).route(delete().to(messages::delete)))
        .service(resource("/messages/{id}/seen").route(post().to(receipts::mark_seen)).route(get(receipts::list)))
        .service(resource("/conversations").route(get(conversations::list)))
        .service(resource("/conversations/{id}/read").route(post().to(receipts::mark_read)))
        .service(resource("/conversations/{id}/changes").route(get(conversations::changes)))
        // The gochat surface
        .service(resource("/dm/send").route(post().to(gochat::send_direct)))
        .service(resource("/dm/history").route(get(gochat::direct_history)))
        .service(resource("/group/create").route(post().to(gochat::create_group)))
        .service(resource("/group/send").route(post().to(gochat::send_to_group)))
        .service(resource("/group/history").route(get(gochat::group_history)))
        .service(resource("/broadcast/send").route(post().to(gochat::broadcast)))
        .service(resource("/broadcast/history").route(get(gochat::broadcast_history)))
        // Groups
        .service(resource("/groups").route(post().to(groups::create)).route(get(groups::list)))
        .service(resource("/groups/{id}").route(get(groups::show)).route(put().to(groups::edit)).route(delete().to(groups::delete)))
        .service(resource("/groups/{id}/members").route(post().to(members::add)).route(get(members::list)))
        .service(resource("/groups/{id}/members/{user_id}").route(patch().to(members::change_role)).route(delete().to(members::remove)))
        .service(resource("/groups/{id}/leave").route(post().to(members::leave)))
        // Files
        .service(resource("/upload").route(post().to(files::upload)))
        .service(resource("/uploads/{id}/{name}").route(get(files::download)))
        // Accounts
        .service(resource("/signup").route(post().to(accounts::sign_up)))
        .service(resource("/login").route(post().to(sessions::log_in)))
        .service(resource("/logout").route(post().to(sessions::log_out)))
        .service(resource("/sessions").route(get(sessions::list)))
        .service(resource("/sessions/{id}").route(delete().to(sessions::end)))
        .service(resource("/users").route(post().to(accounts::create)).route(get(accounts::list)))
        .service(resource("/users/{id}").route(get(accounts::show)))
        .service(resource("/me").route(get(accounts::show_own)).route(patch().to(accounts::edit_own)).route(delete().to(accounts::delete_own)))
        // Operations
        .service(resource("/health").route(get(health::alive)))
        .service(resource("/ready").route(get(health::ready)));
}
