//! One measured figure.

use serde::Serialize;

use super::rounds::Compared;

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    Lower,
    Higher,
}

/// What was measured, beside what else was.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// As `relay.backlog`.
    pub name: String,
    pub unit: &'static str,
    pub better: Better,
    /// Measurements that it is made of.
    pub n: usize,
    pub ours: f64,
    pub opponent: Option<Opponent>,
    /// Ours by the opponent's.
    pub ratio: Option<f64>,
    /// In which the ratio lies with 95 % confidence.
    pub interval: Option<[f64; 2]>,
    pub notes: String,
}

/// What it is compared with.
#[derive(Debug, Serialize)]
pub struct Opponent {
    pub name: &'static str,
    pub value: f64,
}

impl Figure {
    /// Without an opponent.
    pub fn alone(name: impl Into<String>, unit: &'static str, n: usize, ours: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            better: Better::Lower,
            n,
            ours,
            opponent: None,
            ratio: None,
            interval: None,
            notes: String::new(),
        }
    }

    /// Beside `opponent`.
    pub fn beside(
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        opponent: &'static str,
        compared: &Compared,
    ) -> Self {
        Self {
            better,
            opponent: Some(Opponent { name: opponent, value: compared.theirs }),
            ratio: Some(compared.ratio),
            interval: compared.interval,
            ..Self::alone(name, unit, compared.n, compared.ours)
        }
    }

    #[must_use]
    pub fn noting(self, notes: impl Into<String>) -> Self {
        Self { notes: notes.into(), ..self }
    }

    /// The cells of its row, by the columns of [`COLUMNS`].
    pub fn row(&self) -> [String; COLUMNS.len()] {
        let opponent = self.opponent.as_ref();
        let opponent =
            opponent.map_or_else(String::new, |it| format!("{} {}", short(it.value), it.name));
        [
            self.name.clone(),
            format!("{} {}", short(self.ours), self.unit),
            opponent,
            self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            self.verdict(),
        ]
    }

    /// The interval, and who is ahead where it says so.
    fn verdict(&self) -> String {
        let Some([low, high]) = self.interval else { return String::new() };
        let ahead = match self.better {
            Better::Lower => high < 1.0,
            Better::Higher => low > 1.0,
        };
        let behind = match self.better {
            Better::Lower => low > 1.0,
            Better::Higher => high < 1.0,
        };
        let who = match (ahead, behind) {
            (true, _) => "ahead",
            (_, true) => "behind",
            _ => "no verdict",
        };
        format!("{low:.2} to {high:.2}, {who}")
    }
}

pub const COLUMNS: [&str; 5] = ["figure", "ours", "opponent", "ratio", "95 %"];

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, Figure, short};

    #[test]
    fn who_is_ahead_is_said_only_beyond_the_interval() {
        let figure = |better, low, high| {
            let interval = Some([low, high]);
            Figure { better, interval, ..Figure::alone("a", "ms", 1, 1.0) }.verdict()
        };
        assert_eq!(figure(Better::Lower, 0.7, 0.9), "0.70 to 0.90, ahead");
        assert_eq!(figure(Better::Lower, 0.7, 1.1), "0.70 to 1.10, no verdict");
        assert_eq!(figure(Better::Higher, 0.7, 0.9), "0.70 to 0.90, behind");
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.0, 1.234, 12.34, 123.4, 12_345.6].map(short);
        assert_eq!(shown, ["0", "1.23", "12.3", "123", "12346"]);
    }
}
