//! The passes over all tables: counting, filling, comparing.

use super::report::{Progress, Report, TableReport};
use super::tables::{Copied, EachTable, TableDigest, digest, for_each_table};
use crate::connection::AnyConnection;
use crate::error::DbResult;
use crate::tables::sql_types::Id;
use std::collections::{BTreeMap, BTreeSet};

/// The tables, each with its number of rows.
pub fn count(conn: &mut AnyConnection) -> DbResult<Vec<(&'static str, u64)>> {
    struct Counting<'a>(&'a mut AnyConnection, Vec<(&'static str, u64)>);

    impl EachTable for Counting<'_> {
        fn table<T: Copied>(&mut self) -> DbResult<()> {
            self.1.push((T::TABLE, T::count(self.0)?));
            Ok(())
        }
    }

    let mut counting = Counting(conn, Vec::new());
    for_each_table(&mut counting)?;
    Ok(counting.1)
}

/// Copies the rows that the target does not have yet.
pub fn fill(
    source: &mut AnyConnection,
    target: &mut AnyConnection,
    progress: &mut impl FnMut(Progress),
) -> DbResult<()> {
    struct Filling<'a, P> {
        source: &'a mut AnyConnection,
        target: &'a mut AnyConnection,
        progress: &'a mut P,
    }

    impl<P: FnMut(Progress)> EachTable for Filling<'_, P> {
        fn table<T: Copied>(&mut self) -> DbResult<()> {
            let (of, mut rows) = (T::count(self.source)?, T::count(self.target)?);
            let mut last = T::last(self.target)?;
            loop {
                (self.progress)(Progress { doing: "copying", table: T::TABLE, rows, of });
                let batch = T::behind(self.source, last.as_ref())?;
                if batch.is_empty() {
                    return Ok(());
                }
                self.target.begin_write()?;
                T::insert(self.target, &batch)?;
                self.target.commit()?;
                rows += batch.len() as u64;
                last = batch.into_iter().next_back();
            }
        }
    }

    for_each_table(&mut Filling { source, target, progress })
}

/// Reads both sides and reports where they differ.
pub fn compare(
    source: &mut AnyConnection,
    target: &mut AnyConnection,
    progress: &mut impl FnMut(Progress),
) -> DbResult<Report> {
    struct Comparing<'a, P> {
        source: &'a mut AnyConnection,
        target: &'a mut AnyConnection,
        progress: &'a mut P,
        tables: Vec<TableReport>,
        conversations: BTreeSet<Id>,
        differing: BTreeSet<Id>,
    }

    impl<P: FnMut(Progress)> EachTable for Comparing<'_, P> {
        fn table<T: Copied>(&mut self) -> DbResult<()> {
            let (there, here) = (T::count(self.source)?, T::count(self.target)?);
            let of = there + here;
            let mut tell = |rows| (self.progress)(Progress { doing: "comparing", table: T::TABLE, rows, of });
            let from = digest::<T>(self.source, &mut tell)?;
            let to = digest::<T>(self.target, |rows| tell(there + rows))?;
            self.conversations.extend(from.by_conversation.iter().map(|(id, _)| *id));
            self.differing.extend(differing(&from, &to));
            self.tables.push(TableReport { table: T::TABLE, from: (from.rows, from.hash), to: (to.rows, to.hash) });
            Ok(())
        }
    }

    let mut comparing = Comparing {
        source,
        target,
        progress,
        tables: Vec::new(),
        conversations: BTreeSet::new(),
        differing: BTreeSet::new(),
    };
    for_each_table(&mut comparing)?;
    let Comparing { tables, conversations, differing, .. } = comparing;
    let differing = differing.into_iter().map(Into::into).collect();
    Ok(Report { tables, conversations: conversations.len(), differing })
}

/// The conversations that differ.
fn differing(from: &TableDigest, to: &TableDigest) -> Vec<Id> {
    let mut expected: BTreeMap<Id, [u8; 32]> = from.by_conversation.iter().copied().collect();
    let mut differing = Vec::new();
    for (id, hash) in &to.by_conversation {
        if expected.remove(id) != Some(*hash) {
            differing.push(*id);
        }
    }
    differing.extend(expected.into_keys());
    differing
}
