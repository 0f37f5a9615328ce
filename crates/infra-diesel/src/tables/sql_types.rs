//! Ids and times as each database stores them: one Rust type, one SQL type, two encodings.
//!
//! Diesel's own `Uuid` is for Postgres only, and its timestamps are text on SQLite. These are 16 bytes and
//! microseconds.

use crate::connection::MultiBackend;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, HasSqlType, SqlType};
use diesel::sqlite::Sqlite;
use domain::messages::Digest;
use domain::{ConversationId, FileId, GroupId, MessageId, SessionId, Timestamp, UserId};
use std::io::Write;
use uuid::Uuid;

/// A UUID: `BLOB` of 16 bytes in SQLite, `uuid` in Postgres.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Binary"))]
pub struct SqlId;

/// A moment: microseconds since the epoch in SQLite, `timestamptz` in Postgres.
#[derive(Debug, Clone, Copy, SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub struct SqlTime;

/// A UUID in a row. Converts from and to the ids of the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlId)]
pub struct Id(pub Uuid);

/// A moment in a row, in microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = SqlTime)]
pub struct Time(pub i64);

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl From<$id> for Id {
            fn from(id: $id) -> Self {
                Self(id.0)
            }
        }
        impl From<Id> for $id {
            fn from(id: Id) -> Self {
                Self(id.0)
            }
        }
    )*};
}
ids!(UserId, SessionId, ConversationId, GroupId, MessageId, FileId);

/// The digest of a conversation in a row: 32 bytes. Fewer are a digest that is still to be made, which nothing reads
/// once a server has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct StoredDigest(pub Digest);

impl StoredDigest {
    fn read(bytes: &[u8]) -> deserialize::Result<Self> {
        Ok(Self(Digest::from_bytes(bytes.try_into()?)))
    }
}

impl ToSql<Binary, Sqlite> for StoredDigest {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_bytes().to_vec());
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Sqlite> for StoredDigest {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Self::read(&<Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?)
    }
}

impl ToSql<Binary, Pg> for StoredDigest {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0.to_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Pg> for StoredDigest {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Self::read(value.as_bytes())
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros())
    }
}

impl From<Time> for Timestamp {
    /// Every stored time was a [`Timestamp`]. A value out of range (somebody has edited the database) reads as the
    /// epoch, so that the row stays readable.
    fn from(time: Time) -> Self {
        Self::from_micros(time.0).unwrap_or_else(|| Self::from(chrono::DateTime::UNIX_EPOCH))
    }
}

impl ToSql<SqlId, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(&self.0.as_bytes()[..]);
        Ok(IsNull::No)
    }
}

impl FromSql<SqlId, Sqlite> for Id {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
        Ok(Self(Uuid::from_slice(&bytes)?))
    }
}

impl ToSql<SqlId, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<SqlId, Pg> for Id {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.as_bytes())?))
    }
}

impl ToSql<SqlTime, Sqlite> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTime, Sqlite> for Time {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
    }
}

/// Postgres counts microseconds from 2000-01-01; this many lie between that and the epoch.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl ToSql<SqlTime, Pg> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(&self.0.saturating_sub(POSTGRES_EPOCH_MICROS).to_be_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<SqlTime, Pg> for Time {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let bytes: [u8; 8] = value.as_bytes().try_into()?;
        Ok(Self(i64::from_be_bytes(bytes).saturating_add(POSTGRES_EPOCH_MICROS)))
    }
}

macro_rules! type_on_both {
    ($sql:ident) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$sql>(lookup)
            }
        }
    };
}
type_on_both!(SqlId);
type_on_both!(SqlTime);

macro_rules! on_both {
    ($sql:ident, $rust:ident) => {
        impl FromSql<$sql, MultiBackend> for $rust {
            fn from_sql(value: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                value.from_sql::<$rust, $sql>()
            }
        }

        impl ToSql<$sql, MultiBackend> for $rust {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value(($sql, self));
                Ok(IsNull::No)
            }
        }
    };
}
on_both!(SqlId, Id);
on_both!(SqlTime, Time);
on_both!(Binary, StoredDigest);
