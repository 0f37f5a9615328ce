//! Pages of messages, read by the conversation that the viewer shares with somebody.
//!
//! A caller may know the version of a page from an earlier read. Then the query that authorizes the viewer compares the
//! version as well, and reads no message if it is the same. On SQLite a statement costs no round trip, and this module
//! asks for the one after the other. On Postgres it asks for everything in one statement.

mod around;
mod postgres;
mod sqlite;

pub use around::read_around;

use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::queries::find_profile;
use domain::messages::{Cursor, Listing, PageRead, PageVersion, Recipient, Window};
use domain::{NotFound, Page, UserId};

/// Reads a page, unless its version is `known`.
pub fn read_page(
    conn: &mut AnyConnection,
    viewer: UserId,
    of: Recipient,
    listing: Listing,
    known: Option<PageVersion>,
) -> DbResult<PageRead> {
    match conn {
        AnyConnection::Postgres(_) => postgres::read(conn, viewer, of, listing, known),
        AnyConnection::Sqlite(_) => sqlite::read(conn, viewer, of, listing, known),
    }
}

/// The page of a conversation that does not exist.
fn of_nothing(conn: &mut AnyConnection, of: Recipient, window: Window) -> DbResult<PageRead> {
    match of {
        // A deleted user's messages stay readable.
        Recipient::User(other) if find_profile(conn, other)?.is_some() => {}
        _ => return Ok(of.not_found().err()?),
    }
    match window {
        // The message of the cursor does not exist either.
        Window::After { .. } | Window::Before { cursor: Cursor::Message(_), .. } => Ok(NotFound::Message.err()?),
        _ => Ok(PageRead::Read(Page { items: Vec::new(), more: false }, None)),
    }
}
