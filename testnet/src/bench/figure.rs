//! What was measured, with its goal.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    /// What it is, with its unit.
    pub(super) what: String,
    /// It should be no more; nothing where it is only told.
    pub(super) at_most: Option<f64>,
    /// What it is.
    pub(super) is: f64,
    /// From what it comes, or what it stands beside.
    pub(super) from: String,
}

/// All of one run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    pub(super) fn add(&mut self, what: &str, at_most: Option<f64>, is: f64, from: String) {
        self.0.push(Figure { what: what.to_owned(), at_most, is, from });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every goal was reached.
    pub(super) fn hold(&self) -> bool {
        self.0.iter().all(Figure::holds)
    }

    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["FIGURE", "AT MOST", "IS", "FROM", ""]);
        for figure in &self.0 {
            let at_most = figure.at_most.map_or_else(|| "-".to_owned(), number);
            let verdict = match figure.at_most {
                None => "",
                Some(_) if figure.holds() => "ok",
                Some(_) => "MISSED",
            };
            table.add_row([&figure.what, &at_most, &number(figure.is), &figure.from, verdict]);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

impl Figure {
    fn holds(&self) -> bool {
        self.at_most.is_none_or(|most| self.is <= most)
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// The value below which that share of the samples lies; they are sorted.
pub(super) fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let place = (samples.len() as f64 * share).ceil() as usize;
    samples.get(place.clamp(1, samples.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_missed_is_said_and_told() {
        let mut figures = Figures::default();
        figures.add("told", None, 7.0, String::new());
        figures.add("kept", Some(1.5), 1.5, String::new());
        assert!(figures.hold());
        figures.add("missed", Some(1.5), 1.51, String::new());
        assert!(!figures.hold());
        let table = figures.table();
        let words: Vec<&str> = table.lines().last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(words, ["missed", "1.500", "1.510", "MISSED"]);
    }

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&mut samples, share)), [50.0, 99.0, 100.0]);
    }
}
