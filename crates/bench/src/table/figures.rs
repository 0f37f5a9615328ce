//! What was measured, and its medians.

use super::rows::Row;
use serde_json::{Value, json};

/// One turn of a row or of the no-op.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Requests a second.
    pub rate: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
    /// CPU a request, in microseconds: of the server, of Postgres with all its processes, of the load generator.
    pub server: f64,
    pub postgres: Option<f64>,
    pub generator: f64,
    /// Which part of the machine's work was none of these three's.
    pub others: f64,
}

/// All turns of a row with one program, and those of the no-op beside them.
#[derive(Debug, Clone)]
pub struct Line {
    pub row: Row,
    pub turns: Vec<Turn>,
    pub no_op: Vec<Turn>,
}

impl Line {
    /// The median of a figure over the turns.
    pub fn median(&self, figure: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(figure).collect())
    }

    /// The median of what Postgres used, where there is one.
    pub fn postgres(&self) -> Option<f64> {
        self.turns.iter().map(|turn| turn.postgres).collect::<Option<Vec<_>>>().map(median)
    }

    /// What server and Postgres used together a request.
    pub fn cpu(&self) -> f64 {
        self.median(|turn| turn.server + turn.postgres.unwrap_or_default())
    }

    /// Requests a second: the least and the most.
    pub fn spread(&self) -> (f64, f64) {
        let rates = self.turns.iter().map(|turn| turn.rate);
        (rates.clone().fold(f64::INFINITY, f64::min), rates.fold(0.0, f64::max))
    }

    /// The median rate of the no-op beside it.
    pub fn no_op(&self) -> f64 {
        median(self.no_op.iter().map(|turn| turn.rate).collect())
    }

    /// The median rate as a part of the no-op's.
    pub fn ratio(&self) -> f64 {
        self.median(|turn| turn.rate) / self.no_op()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (least, most) = self.spread();
        json!({
            "row": self.row.title(),
            "requests_a_second": self.median(|turn| turn.rate),
            "least": least,
            "most": most,
            "no_op": self.no_op(),
            "of_no_op": self.ratio(),
            "p50_ms": self.median(|turn| turn.p50),
            "p99_ms": self.median(|turn| turn.p99),
            "cpu_us": {
                "server": self.median(|turn| turn.server),
                "postgres": self.postgres(),
                "generator": self.median(|turn| turn.generator),
            },
            "others": self.median(|turn| turn.others),
        })
    }
}

/// Something that is no rate of requests.
#[derive(Debug, Clone)]
pub struct Fact {
    pub row: Row,
    /// For people.
    pub text: String,
    /// For programs.
    pub value: Value,
}

/// What was measured of one program on one database.
#[derive(Debug, Clone, Default)]
pub struct Section {
    pub backend: String,
    /// `None`: the database has nothing but users.
    pub messages: Option<u64>,
    pub program: String,
    pub lines: Vec<Line>,
    pub facts: Vec<Fact>,
}

impl Section {
    /// For programs.
    pub fn json(&self) -> Value {
        let facts = self.facts.iter().map(|fact| json!({ "row": fact.row.title(), "figures": fact.value }));
        json!({
            "backend": self.backend,
            "messages": self.messages,
            "program": self.program,
            "rows": self.lines.iter().map(Line::json).chain(facts).collect::<Vec<_>>(),
        })
    }
}

/// The middle one, or the mean of the middle two; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (values, expected) in [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0], 5.0), (vec![5.0, 1.0, 100.0], 5.0)]
        {
            assert_eq!(median(values), expected);
        }
    }

    #[test]
    fn a_line_stands_beside_its_own_no_op() {
        let turn = |rate| Turn { rate, p50: 1.0, p99: 2.0, server: 30.0, postgres: None, generator: 5.0, others: 0.0 };
        let line = Line {
            row: Row::Page,
            turns: vec![turn(200.0), turn(100.0), turn(150.0)],
            no_op: vec![turn(1000.0), turn(600.0), turn(500.0)],
        };
        assert_eq!((line.ratio(), line.spread(), line.postgres()), (0.25, (100.0, 200.0), None));
        assert_eq!(line.json()["of_no_op"], 0.25);
    }
}
