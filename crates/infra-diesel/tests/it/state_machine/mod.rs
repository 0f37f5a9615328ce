//! Random operations against SQLite, Postgres and a small model: all answer the same.
//!
//! `PARLANCE_TEST_SCALE` multiplies how many sequences are tried, `PARLANCE_TEST_SEED` picks others. Of a sequence that
//! fails is printed what is left when all is taken out that can be.

mod call;
mod digests;
mod model;
mod operation;
mod parts;
mod people;
mod reading;
mod views;

use crate::world::open;
use call::KeptPages;
use digests::wrong_digest;
use domain::events::NoListeners;
use domain::users::ServerPolicy;
use infra_diesel::Store;
use model::Model;
use operation::{Known, Operation, operation};
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Arc;
use test_support::TestDb;

/// How many sequences, and how long each is.
const SEQUENCES: u32 = 8;
const LENGTH: usize = 400;
/// How many shorter sequences are tried of one that fails.
const SHRINKS: usize = 150;

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[tokio::test]
async fn sqlite_and_postgres_answer_as_the_model_does() {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&from_environment("PARLANCE_TEST_SEED", 1).to_be_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let sequence = vec(operation(), LENGTH);
    for _ in 0..SEQUENCES * from_environment("PARLANCE_TEST_SCALE", 1) {
        let operations = sequence.new_tree(&mut runner).unwrap().current();
        if let Err(failure) = compare(&operations).await {
            let Failure { calls, told } = shrunk(operations, failure).await;
            panic!("after\n{}\n{told}", calls.join("\n"));
        }
    }
}

/// What was asked up to a wrong answer.
struct Failure {
    /// Of each operation, the last one being that which failed.
    calls: Vec<String>,
    told: String,
}

/// Runs the operations everywhere and compares what is answered.
async fn compare(operations: &[Operation]) -> Result<(), Failure> {
    let databases: Vec<TestDb> = [Some(TestDb::sqlite()), TestDb::postgres()].into_iter().flatten().collect();
    let mut stores: Vec<(Store, KeptPages)> = Vec::new();
    for db in &databases {
        let store = open(db, ServerPolicy::default(), Arc::new(NoListeners)).await;
        stores.push((store, KeptPages::default()));
    }
    let (mut model, mut known, mut calls) = (Model::default(), Known::default(), Vec::new());
    for (index, operation) in operations.iter().enumerate() {
        let call = known.resolve(index, operation, &model);
        calls.push(format!("{call:?}"));
        let Some(call) = call else { continue };
        let before = model.counters();
        let expected = model.answer(&call);
        let changed = model.changed_since(&before);
        for (db, (store, kept)) in databases.iter().zip(&mut stores) {
            let answered = call.ask(store, kept).await;
            if answered != expected {
                let told = format!("{:?} answers\n{answered}\nthe model\n{expected}", db.backend());
                return Err(Failure { calls, told });
            }
            if let Some(told) = wrong_digest(store, &model, &changed).await {
                return Err(Failure { calls, told: format!("{:?} {told}", db.backend()) });
            }
        }
    }
    for (store, _) in stores {
        store.close().await;
    }
    Ok(())
}

/// A shorter sequence that fails: takes out ever smaller parts as long as it still does.
async fn shrunk(mut operations: Vec<Operation>, mut failure: Failure) -> Failure {
    operations.truncate(failure.calls.len());
    let (mut part, mut tried) = (operations.len() / 2, 0);
    while part > 0 {
        let mut from = 0;
        while from < operations.len() && tried < SHRINKS {
            tried += 1;
            let to = (from + part).min(operations.len());
            let shorter = [&operations[..from], &operations[to..]].concat();
            match compare(&shorter).await {
                Ok(()) => from = to,
                Err(still) => {
                    operations = shorter;
                    operations.truncate(still.calls.len());
                    failure = still;
                }
            }
        }
        part /= 2;
    }
    failure
}
