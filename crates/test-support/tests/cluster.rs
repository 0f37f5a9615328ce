//! The cluster really is one, comes back after a crash, and leaves nothing behind.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use test_support::{Cluster, TestDb};

#[test]
fn a_cluster_comes_back_after_a_crash_and_goes_when_dropped() {
    let Some(cluster) = Cluster::start() else { return };
    let url = cluster.url("postgres");
    let mut conn = PgConnection::establish(&url).unwrap();
    conn.batch_execute("CREATE TABLE kept (); DO $$ BEGIN ASSERT current_setting('fsync') = 'on'; END $$").unwrap();
    cluster.crash_and_restart();
    assert!(conn.batch_execute("SELECT 1").is_err(), "the crash has cut connections");
    PgConnection::establish(&url).unwrap().batch_execute("SELECT * FROM kept").unwrap();
    cluster.stop();
    assert!(PgConnection::establish(&url).is_err());
    cluster.start_again();
    PgConnection::establish(&url).unwrap();
    drop(cluster);
    assert!(PgConnection::establish(&url).is_err());
}

#[test]
fn every_database_is_ones_own() {
    let (Some(one), Some(other)) = (TestDb::postgres(), TestDb::postgres()) else { return };
    assert_ne!(one.url(), other.url());
    PgConnection::establish(one.url()).unwrap().batch_execute("DELETE FROM server").unwrap();
    let mut conn = PgConnection::establish(other.url()).unwrap();
    conn.batch_execute("DO $$ BEGIN ASSERT (SELECT count(*) FROM server) = 1; END $$").unwrap();
}
