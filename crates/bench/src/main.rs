//! `cargo run --release -p bench -- table`: see the library.

fn main() -> anyhow::Result<()> {
    bench::run(std::env::args_os())
}
