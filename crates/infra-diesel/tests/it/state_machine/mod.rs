//! Random operations against SQLite, Postgres and a small model: all answer the same.
//!
//! `PARLANCE_TEST_SCALE` multiplies how many sequences are tried, `PARLANCE_TEST_SEED` picks others; a sequence that fails
//! is shrunk and printed.

mod model;
mod operation;
mod people;

use crate::world::open;
use domain::events::NoListeners;
use domain::users::ServerPolicy;
use infra_diesel::Store;
use model::Model;
use operation::{Known, Operation, operation};
use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::sync::Arc;
use test_support::TestDb;

/// How many sequences, and how long each is.
const SEQUENCES: u32 = 8;
const LENGTH: usize = 400;

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn sqlite_and_postgres_answer_as_the_model_does() {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&from_environment("PARLANCE_TEST_SEED", 1).to_be_bytes());
    let config = Config {
        cases: SEQUENCES * from_environment("PARLANCE_TEST_SCALE", 1),
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runner.run(&vec(operation(), LENGTH), |operations| runtime.block_on(compare(&operations)));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Runs the operations everywhere and compares what is answered.
async fn compare(operations: &[Operation]) -> Result<(), TestCaseError> {
    let databases: Vec<TestDb> = [Some(TestDb::sqlite()), TestDb::postgres()].into_iter().flatten().collect();
    let mut stores: Vec<Store> = Vec::new();
    for db in &databases {
        stores.push(open(db, ServerPolicy::default(), Arc::new(NoListeners)).await);
    }
    let (mut model, mut known) = (Model::default(), Known::default());
    for (index, operation) in operations.iter().enumerate() {
        let Some(call) = known.resolve(index, operation, &model) else { continue };
        let expected = model.answer(&call);
        for (db, store) in databases.iter().zip(&stores) {
            let answered = call.ask(store).await;
            if answered != expected {
                let backend = db.backend();
                let told = format!("{index}: {call:?}\n{backend:?} {answered}\n model {expected}");
                return Err(TestCaseError::fail(told));
            }
        }
    }
    for store in stores {
        store.close().await;
    }
    Ok(())
}
