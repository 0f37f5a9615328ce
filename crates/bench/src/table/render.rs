//! The table as Markdown.

use super::figures::{Line, Section};
use super::rows::Row;
use crate::stats::thousands;
use std::fmt::Write as _;

/// A table a section. The sections of other programs on the same database say how they compare with the first's, and
/// those of larger databases what that costs.
pub fn markdown(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        let same_database = |other: &&Section| other.backend == section.backend && other.messages == section.messages;
        let first = sections.iter().find(same_database).filter(|first| first.program != section.program);
        let same_program = |other: &&Section| other.backend == section.backend && other.program == section.program;
        let smaller = sections.iter().filter(same_program).filter(|other| other.messages.is_some());
        let smallest = smaller.min_by_key(|other| other.messages).filter(|least| least.messages < section.messages);
        text += &of_section(section, first, smallest);
    }
    text
}

fn of_section(section: &Section, first: Option<&Section>, smallest: Option<&Section>) -> String {
    let database = match section.messages {
        Some(messages) => format!("{} messages", thousands(messages as f64)),
        None => "users and no messages".to_owned(),
    };
    let mut text = format!("\n### {}, {database} ({})\n", section.backend, section.program);
    if !section.lines.is_empty() {
        let postgres = section.lines.iter().any(|line| line.postgres().is_some());
        let mut columns = vec!["", "requests/s", "least to most", "of the no-op", "p50 ms", "p99 ms", "CPU us: server"];
        columns.extend(postgres.then_some("Postgres"));
        columns.push("generator");
        let beside = smallest.and_then(|least| least.messages);
        let beside = beside.map(|messages| format!("CPU beside {}", thousands(messages as f64)));
        columns.extend(beside.as_deref());
        columns.extend(first.map(|_| "of the first program"));
        let rows = section.lines.iter().map(|line| {
            let in_other = |other: &Section| other.lines.iter().find(|other| other.row == line.row).cloned();
            let mut cells = of_line(line, postgres);
            let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            cells.extend(smallest.map(|least| ratio(in_other(least).map(|least| line.cpu() / least.cpu()))));
            // By what each was beside its own no-op: the machine may have changed meanwhile.
            cells.extend(first.map(|first| ratio(in_other(first).map(|first| line.ratio() / first.ratio()))));
            cells
        });
        text += &table(&columns, rows);
        let others = section.lines.iter().flat_map(|line| line.turns.iter().map(|turn| turn.others));
        let most = others.fold(0.0, f64::max) * 100.0;
        let no_op = section.lines.iter().map(Line::no_op);
        let (least, fastest) = (no_op.clone().fold(f64::INFINITY, f64::min), no_op.fold(0.0, f64::max));
        let _ = writeln!(
            text,
            "\nThe no-op did {} to {} a second. Others had {most:.0} % of the machine's work at most.",
            thousands(least),
            thousands(fastest)
        );
    }
    let rate = |row| section.lines.iter().find(|line| line.row == row).map(Line::ratio);
    if let Some((hot, spread)) = rate(Row::Hot).zip(rate(Row::Spread)) {
        let _ = writeln!(text, "One hot group took {:.2} of what 64 groups took.", hot / spread);
    }
    if !section.facts.is_empty() {
        text += &table(
            &["", "measured"],
            section.facts.iter().map(|fact| vec![fact.row.title().to_owned(), fact.text.clone()]),
        );
    }
    text
}

fn of_line(line: &Line, postgres: bool) -> Vec<String> {
    let (least, most) = line.spread();
    let mut cells = vec![
        line.row.title().to_owned(),
        thousands(line.median(|turn| turn.rate)),
        format!("{} to {}", thousands(least), thousands(most)),
        format!("{:.3}", line.ratio()),
        format!("{:.2}", line.median(|turn| turn.p50)),
        format!("{:.2}", line.median(|turn| turn.p99)),
        format!("{:.0}", line.median(|turn| turn.server)),
    ];
    cells.extend(postgres.then(|| line.postgres().map_or("-".to_owned(), |micros| format!("{micros:.0}"))));
    cells.push(format!("{:.0}", line.median(|turn| turn.generator)));
    cells
}

/// A Markdown table.
fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("\n| {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Fact, Turn};
    use super::*;
    use serde_json::json;

    fn section(program: &str, rate: f64, postgres: Option<f64>) -> Section {
        let turn = |rate| Turn { rate, p50: 1.25, p99: 4.0, server: 33.4, postgres, generator: 6.0, others: 0.031 };
        Section {
            backend: "Postgres".to_owned(),
            messages: Some(1_000_000),
            program: program.to_owned(),
            lines: vec![Line { row: Row::Page, turns: vec![turn(rate); 3], no_op: vec![turn(50_000.0); 3] }],
            facts: vec![Fact { row: Row::Size, text: "12.0 MiB".to_owned(), value: json!(12) }],
        }
    }

    #[test]
    fn a_section_is_a_table_of_rows_and_one_of_facts() {
        let text = markdown(&[section("parlance", 5000.0, Some(90.0))]);
        assert!(text.contains("### Postgres, 1,000,000 messages (parlance)"), "{text}");
        let row = "| newest page of 50 | 5,000 | 5,000 to 5,000 | 0.100 | 1.25 | 4.00 | 33 | 90 | 6 |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| size of the program | 12.0 MiB |"), "{text}");
        assert!(text.contains("Others had 3 % of"), "{text}");
    }

    #[test]
    fn a_second_program_is_compared_with_the_first() {
        let text = markdown(&[section("a", 5000.0, None), section("b", 10_000.0, None)]);
        let compared: Vec<&str> = text.lines().filter(|line| line.ends_with("| 2.00 |")).collect();
        assert_eq!(compared.len(), 1, "{text}");
        assert!(!text.contains("Postgres |"), "no column for what is not there: {text}");
    }

    #[test]
    fn a_larger_database_is_compared_with_the_smallest() {
        let small = Section { messages: Some(10_000), ..section("a", 5000.0, Some(90.0)) };
        let text = markdown(&[small, section("a", 5000.0, Some(90.0 * 2.0 + 33.4))]);
        assert_eq!(text.matches("CPU beside 10,000").count(), 1, "{text}");
        assert_eq!(text.lines().filter(|line| line.ends_with("| 2.00 |")).count(), 1, "{text}");
    }
}
