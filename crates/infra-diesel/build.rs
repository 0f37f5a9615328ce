//! The migrations are embedded: a changed one has to be compiled in again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
