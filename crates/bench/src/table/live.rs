//! Live connections: how fast events reach them, and what they cost while nothing happens.

use super::figures::{Fact, Section, median};
use super::population::{Kind, id};
use super::rows::Row;
use super::stock::{Database, Stock, tokens};
use super::{Options, section, serve, start};
use crate::deployment::Backend;
use crate::fanout::{self, Figures, Pace};
use crate::idle::settled;
use crate::server::{Server, User, descriptor_limit, raise_descriptors};
use crate::stats::thousands;
use anyhow::ensure;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many sockets are to be held.
const IDLE: usize = 20_000;
/// Files that a server keeps for other things than connections, and some more.
const OTHER_FILES: usize = 1024 + 300;
/// Connections besides the sockets: of who sends, and of who has just gone.
const OTHER_CONNECTIONS: usize = 200;
/// Of the paced row: messages a second, and how many.
const RATE: f64 = 20.0;
const PACED: usize = 120;

/// What needs no messages to be there, for each program.
pub async fn sections(
    stock: &Stock,
    backend: Backend,
    programs: &[PathBuf],
    options: &Options,
) -> anyhow::Result<Vec<Section>> {
    let chosen = options.rows();
    let fan_outs = chosen.iter().filter_map(|row| pace(*row).map(|(sockets, pace)| (*row, sockets, pace)));
    let fan_outs: Vec<_> = fan_outs.collect();
    let mut sections: Vec<Section> = programs.iter().map(|binary| section(backend, None, binary)).collect();
    for (row, sockets, pace) in fan_outs {
        raise_descriptors(sockets + OTHER_FILES);
        let mut turns: Vec<Vec<Figures>> = programs.iter().map(|_| Vec::new()).collect();
        for _ in 0..options.rounds {
            for (binary, turns) in programs.iter().zip(&mut turns) {
                turns.push(fan_out(stock, binary, sockets, pace).await?);
            }
        }
        for (section, turns) in sections.iter_mut().zip(&turns) {
            section.facts.push(fact(row, turns));
        }
    }
    for (section, binary) in sections.iter_mut().zip(programs) {
        if chosen.contains(&Row::Idle) {
            section.facts.push(idle(stock, binary).await?);
        }
        if chosen.contains(&Row::Start) {
            section.facts.push(start::on_nothing(binary, stock).await?);
        }
        if chosen.contains(&Row::Size) {
            section.facts.push(size(binary)?);
        }
    }
    sections.retain(|section| !section.facts.is_empty());
    Ok(sections)
}

/// How many sockets a row of the fan-out has, and what it sends them.
fn pace(row: Row) -> Option<(usize, Pace)> {
    let saturated = Pace { senders: 64, messages: 4000, rate: None, window: 256 };
    match row {
        Row::Fanout1000 => Some((1000, saturated)),
        Row::Fanout5000 => Some((5000, Pace { messages: 800, ..saturated })),
        Row::Paced => Some((1000, Pace { senders: 8, messages: PACED, rate: Some(RATE), ..saturated })),
        _ => None,
    }
}

/// A server with so many users, the first of them in one group.
async fn crowd(
    stock: &Stock,
    binary: &Path,
    users: usize,
    members: usize,
) -> anyhow::Result<(Arc<Server>, Vec<User>, Database)> {
    let database = stock.crowd(binary, users as u64, members as u64)?;
    // So that no limit of the server's own is what is measured.
    let room = (users + OTHER_CONNECTIONS).to_string();
    let limits = ["PARLANCE_MAX_CONNECTIONS", "PARLANCE_MAX_CONNECTIONS_PER_ADDRESS", "PARLANCE_MAX_SOCKETS"];
    let server = Arc::new(serve(binary, &database, &limits.map(|limit| (limit, room.as_str()))).await?);
    let tokens = tokens(users as u64, |user| format!("user{user}"))?;
    let users = tokens.into_iter().enumerate().map(|(n, token)| User { id: id(Kind::User, n as u64), token });
    Ok((server, users.collect(), database))
}

async fn fan_out(stock: &Stock, binary: &Path, sockets: usize, pace: Pace) -> anyhow::Result<Figures> {
    let (server, users, _database) = crowd(stock, binary, sockets, sockets).await?;
    let figures = fanout::measure(&server, &users, &id(Kind::Conversation, 0), sockets, pace).await?;
    eprintln!("{sockets} sockets: {} deliveries in {:.2} s", figures.deliveries, figures.took.as_secs_f64());
    Ok(figures)
}

fn fact(row: Row, turns: &[Figures]) -> Fact {
    let of = |figure: fn(&Figures) -> f64| turns.iter().map(figure).collect::<Vec<_>>();
    let rates = of(|turn| turn.deliveries as f64 / turn.took.as_secs_f64());
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    let (rate, p50, p99) =
        (median(rates), median(of(|turn| turn.delays.quantile(0.5))), median(of(|turn| turn.delays.quantile(0.99))));
    let server = median(of(|turn| turn.server.as_secs_f64() * 1e6 / turn.deliveries as f64));
    let generator = median(of(|turn| turn.generator.as_secs_f64() * 1e6 / turn.deliveries as f64));
    let text = format!(
        "{} deliveries a second ({} to {}), p50 {p50:.1} ms, p99 {p99:.1} ms, CPU a delivery: server {server:.2} us, \
         load generator {generator:.2} us",
        thousands(rate),
        thousands(least),
        thousands(most),
    );
    let value = json!({
        "deliveries_a_second": rate,
        "least": least,
        "most": most,
        "p50_ms": p50,
        "p99_ms": p99,
        "cpu_us": { "server": server, "generator": generator },
    });
    Fact { row, text, value }
}

/// How large the program is, and what is shipped (`just dist`), where that was built beside it.
fn size(binary: &Path) -> anyhow::Result<Fact> {
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0);
    let bytes = std::fs::metadata(binary)?.len();
    let target = binary.parent().and_then(Path::parent);
    let shipped = target.and_then(|target| std::fs::metadata(target.join("dist/parlance")).ok()).map(|file| file.len());
    let shipped_text = shipped.map_or("not built here".to_owned(), mebibytes);
    let text = format!("{}; as shipped (profile `dist`): {shipped_text}", mebibytes(bytes));
    Ok(Fact { row: Row::Size, text, value: json!({ "bytes": bytes, "shipped_bytes": shipped }) })
}

/// As many sockets as the limit of open files allows, each of a user of its own that is in no group: nobody is told of
/// the others' coming.
async fn idle(stock: &Stock, binary: &Path) -> anyhow::Result<Fact> {
    let limit = raise_descriptors(IDLE + OTHER_FILES);
    let sockets = IDLE.min(limit.saturating_sub(OTHER_FILES));
    ensure!(sockets > 0, "the limit of open files is {limit}");
    let (server, users, _database) = crowd(stock, binary, sockets, 0).await?;
    // What is needed once, whatever the number of sockets, is there before it is weighed.
    drop(fanout::connect(&server, &users[..sockets.min(100)]).await?);
    let before = server.memory()?;
    let held = fanout::connect(&server, &users).await?;
    let each = settled(&server, before, sockets).await? / 1024.0;
    drop(held);
    let limited =
        if sockets < IDLE { format!(": the limit of open files is {}", descriptor_limit()) } else { String::new() };
    let text = format!("{each:.1} KiB, of {} sockets held{limited}", thousands(sockets as f64));
    Ok(Fact { row: Row::Idle, text, value: json!({ "kib": each, "sockets": sockets }) })
}
