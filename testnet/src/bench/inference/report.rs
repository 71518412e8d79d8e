//! What was measured, for people and for programs.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use super::cores::{load, processor};
use super::measured::Spread;
use super::memory::Memory;
use super::setting::Verdict;
use super::speed::{Round, Turn};

/// One run of the benchmark.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    processor: String,
    /// Tasks that wanted a core in the last minute before the measurements, and in that before their end.
    load: [f64; 2],
    seed: u64,
    rounds: u32,
    speed: Vec<Speed>,
    pub(super) memory: Vec<Memory>,
    wrong: Vec<Wrong>,
}

/// Time of a model's call.
#[derive(Debug, Serialize)]
struct Speed {
    model: String,
    cores: Vec<usize>,
    /// Milliseconds of time, and of CPU time of all threads.
    ours_ms: Spread,
    ours_cpu_ms: Spread,
    onnxruntime_ms: Spread,
    onnxruntime_cpu_ms: Spread,
    /// Ours by onnxruntime's, round by round.
    ratio: Spread,
    cpu_ratio: Spread,
    /// Whether the cost of an empty call was taken off.
    is_net: bool,
    rounds: Vec<Round>,
}

/// Something that is wrong with a model; one that is refused was not measured.
#[derive(Debug, Serialize)]
struct Wrong {
    model: String,
    what: String,
}

impl Report {
    pub(super) fn new<'a>(seed: u64, rounds: u32, verdicts: impl Iterator<Item = &'a Verdict>) -> anyhow::Result<Self> {
        let of = |Verdict { name, refused, wrong }: &'a Verdict| {
            let refused = refused.iter().map(|why| format!("is refused: {why}"));
            refused.chain(wrong.clone()).map(|what| Wrong { model: name.clone(), what })
        };
        let (speed, memory, wrong) = (Vec::new(), Vec::new(), verdicts.flat_map(of).collect());
        Ok(Self { processor: processor()?, load: [load()?; 2], seed, rounds, speed, memory, wrong })
    }

    pub(super) fn speed(&mut self, model: &str, cores: &[usize], rounds: Vec<Round>) {
        self.speed.push(Speed::of(model, cores, rounds));
    }

    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        self.load[1] = load()?;
        Ok(())
    }

    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn table(&self) -> String {
        let Self { processor, load, seed, rounds, .. } = self;
        let mut text = format!(
            "{processor}, load {:.1} to {:.1}, {rounds} rounds, --seed {seed}\n\
             times are medians [middle half], ratios are ours by onnxruntime's of the same round; * is less an empty call\n",
            load[0], load[1],
        );
        for wrong in &self.wrong {
            text.push_str(&format!("WRONG {}: {}\n", wrong.model, wrong.what));
        }
        text.push('\n');
        text.push_str(&self.speed_table());
        text.push_str("\n\n");
        text.push_str(&self.memory_table());
        text
    }

    fn speed_table(&self) -> String {
        let head = ["MODEL", "THREADS", "ONNXRUNTIME ms", "OURS ms", "RATIO", "CPU RATIO"];
        let rows = self.speed.iter().map(|speed| {
            let star = if speed.is_net { "*" } else { "" };
            [
                format!("{}{star}", speed.model),
                speed.cores.len().to_string(),
                milliseconds(&speed.onnxruntime_ms),
                milliseconds(&speed.ours_ms),
                speed.ratio.text(),
                speed.cpu_ratio.text(),
            ]
        });
        table(head, rows)
    }

    fn memory_table(&self) -> String {
        let head = [
            "MODEL",
            "WEIGHTS MiB",
            "PLANNED",
            "ALLOCATED",
            "OURS GROWN",
            "ONNXRUNTIME GROWN",
            "RATIO",
            "OURS WHOLE",
            "ONNXRUNTIME WHOLE",
        ];
        let rows = self.memory.iter().map(|memory| {
            let (ours, other) = (memory.ours.grown_bytes(), memory.onnxruntime.grown_bytes());
            [
                memory.model.clone(),
                mebibytes(memory.weight_bytes),
                memory.planned_bytes.map_or_else(|| "-".to_owned(), mebibytes),
                mebibytes(memory.heap_bytes),
                mebibytes(ours),
                mebibytes(other),
                format!("{:.2}", ours as f64 / other as f64),
                mebibytes(memory.ours.peak_bytes),
                mebibytes(memory.onnxruntime.peak_bytes),
            ]
        });
        table(head, rows)
    }
}

impl Speed {
    fn of(model: &str, cores: &[usize], rounds: Vec<Round>) -> Self {
        let is_net = rounds.iter().any(|round| round.empty.is_some());
        let net = |of: fn(&Turn) -> f64, turn: fn(&Round) -> Turn, side: usize| {
            let empty = rounds.iter().filter_map(|round| round.empty).map(|turns| of(&turns[side]));
            let empty = if is_net { Spread::of(empty).median } else { 0.0 };
            rounds.iter().map(|round| (of(&turn(round)) - empty).max(0.0)).collect::<Vec<_>>()
        };
        let both = |of| [net(of, |round| round.ours, 0), net(of, |round| round.onnxruntime, 1)];
        let ([ours, other], [ours_cpu, other_cpu]) = (both(|turn| turn.wall_s), both(|turn| turn.cpu_s));
        let ratio = |ours: &[f64], other: &[f64]| Spread::of(ours.iter().zip(other).map(|(ours, other)| ours / other));
        let ms = |samples: &[f64]| Spread::of(samples.iter().map(|sample| sample * 1e3));
        Self {
            model: model.to_owned(),
            cores: cores.to_vec(),
            ours_ms: ms(&ours),
            ours_cpu_ms: ms(&ours_cpu),
            onnxruntime_ms: ms(&other),
            onnxruntime_cpu_ms: ms(&other_cpu),
            ratio: ratio(&ours, &other),
            cpu_ratio: ratio(&ours_cpu, &other_cpu),
            is_net,
            rounds,
        }
    }
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(head);
    for row in rows {
        table.add_row(row);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Three digits that count.
fn milliseconds(spread: &Spread) -> String {
    let digits = match spread.median {
        ..1.0 => 4,
        ..10.0 => 2,
        _ => 1,
    };
    format!("{:.digits$} [{:.digits$}-{:.digits$}]", spread.median, spread.low, spread.high)
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn([wall_s, cpu_s]: [f64; 2]) -> Turn {
        Turn { wall_s, cpu_s }
    }

    fn round(ours: f64, other: f64) -> Round {
        Round { ours: turn([ours; 2]), onnxruntime: turn([other; 2]), empty: None }
    }

    #[test]
    fn an_empty_call_is_taken_off_each_side_where_it_was_measured() {
        let empty = Some([turn([2e-6, 1e-6]), turn([10e-6, 10e-6])]);
        let (ours, onnxruntime) = (turn([32e-6, 31e-6]), turn([70e-6, 50e-6]));
        let speed = Speed::of("a", &[0], vec![Round { ours, onnxruntime, empty }]);
        assert!(speed.is_net);
        assert_eq!([speed.ratio.text(), speed.cpu_ratio.text()], ["0.50 [0.50-0.50]", "0.75 [0.75-0.75]"]);
        assert_eq!(milliseconds(&speed.onnxruntime_ms), "0.0600 [0.0600-0.0600]");
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let speed = Speed::of("a", &[0, 1], vec![round(2.0, 1.0), round(20.0, 10.0), round(4.0, 1.0)]);
        assert!(!speed.is_net);
        assert_eq!(speed.ratio.text(), "2.00 [2.00-4.00]");
    }
}
