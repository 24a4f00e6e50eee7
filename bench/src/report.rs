//! Reports all rounds: medians, their spread, the ratio to the floor, and faults.

use std::fmt;

use crate::reading::Cost;
use crate::round::Outcome;
use crate::table::Table;
use crate::target::Target;

/// Stands for a figure that was not measured.
const NONE: &str = "–";

/// All rounds of all processes.
pub struct Report(Vec<(Target, Vec<Outcome>)>);

impl Report {
    pub fn new(targets: &[Target]) -> Report {
        Report(targets.iter().map(|&target| (target, Vec::new())).collect())
    }

    pub fn add(&mut self, target: Target, outcome: Outcome) {
        if let Some((_, outcomes)) = self.0.iter_mut().find(|(of, _)| *of == target) {
            outcomes.push(outcome);
        }
    }

    /// Whether no round has a fault: every event was answered 200 and, if the process stores events, is stored once.
    pub fn is_sound(&self) -> bool {
        self.outcomes().all(|(_, outcome)| outcome.faults.is_empty())
    }

    fn outcomes(&self) -> impl Iterator<Item = (Target, &Outcome)> {
        self.0.iter().flat_map(|(target, outcomes)| outcomes.iter().map(|outcome| (*target, outcome)))
    }

    /// The median of a figure over the rounds of a process; `None` if there was none.
    fn median(&self, target: Target, figure: impl Fn(&Outcome) -> f64) -> Option<f64> {
        median(self.outcomes().filter(|(of, _)| *of == target).map(|(_, outcome)| figure(outcome)))
    }

    fn costs(&self) -> Table {
        let header =
            ["", "connections", "events/s", "CPU µs/event", "× floor", "p50 ms", "p99 ms", "peak MiB", "spread"];
        let mut table = Table::new(&header);
        for (target, outcomes) in &self.0 {
            let figure = |figure: fn(&Outcome) -> f64, digits| shown(self.median(*target, figure), digits);
            let cpu = |outcome: &Outcome| outcome.spent.cpu.micros;
            let floor = target.floor().and_then(|floor| self.median(floor, cpu));
            let times = self.median(*target, cpu).zip(floor).map(|(own, floor)| own / floor);
            table.row([
                target.to_string(),
                figure(|outcome| outcome.shape.connections.into(), 0),
                figure(|outcome| outcome.events_per_second, 0),
                figure(cpu, 1),
                shown(times, 2),
                figure(|outcome| outcome.p50_ms, 2),
                figure(|outcome| outcome.p99_ms, 2),
                shown(outcomes.iter().map(|outcome| outcome.peak_mib).reduce(f64::max), 1),
                spread(outcomes.iter().map(cpu)),
            ]);
        }
        table
    }

    /// CPU use of everything else on the same cores: the load, the double, and what takes no part, which should be near
    /// 0.
    fn bystanders(&self) -> Table {
        let header = ["beside it, on the same cores", "load µs/event", "cores", "S3 µs/event", "cores", "other cores"];
        let mut table = Table::new(&header);
        for (target, outcomes) in &self.0 {
            let medians = |cost: fn(&Outcome) -> Option<Cost>| {
                let costs: Vec<Cost> = outcomes.iter().filter_map(cost).collect();
                let micros = median(costs.iter().map(|cost| cost.micros));
                [shown(micros, 1), shown(median(costs.iter().map(|cost| cost.cores)), 2)]
            };
            let [load, load_cores] = medians(|outcome| Some(outcome.spent.load));
            let [double, double_cores] = medians(|outcome| outcome.spent.double);
            let others = shown(self.median(*target, |outcome| outcome.spent.others), 2);
            table.row([target.to_string(), load, load_cores, double, double_cores, others]);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.costs())?;
        write!(f, "{}", self.bystanders())?;
        for (target, outcome) in self.outcomes() {
            for fault in &outcome.faults {
                write!(f, "\nFAULT, {target}: {fault}")?;
            }
        }
        Ok(())
    }
}

/// The middle value; of an even number of values, the mean of the middle two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The range from the smallest to the largest value.
fn spread(values: impl Iterator<Item = f64> + Clone) -> String {
    let range = values.clone().reduce(f64::min).zip(values.reduce(f64::max));
    range.map_or_else(|| NONE.to_owned(), |(least, most)| format!("{least:.1}–{most:.1}"))
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Shape;
    use crate::reading::Spent;

    fn outcome(micros: f64, faults: &[&str]) -> Outcome {
        let cost = Cost { micros, cores: 0.5 };
        Outcome {
            shape: Shape { connections: 64, events: 1 },
            events_per_second: 1e6 / micros,
            p50_ms: 1.0,
            p99_ms: 2.345,
            peak_mib: micros,
            spent: Spent { seconds: 5.0, cpu: cost, load: cost, double: None, others: 0.0 },
            faults: faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn medians_of_odd_even_and_none() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_report_compares_with_the_floor_and_shows_the_spread() {
        let mut report = Report::new(&Target::ALL);
        for micros in [20.0, 25.0, 40.0] {
            report.add(Target::Object, outcome(micros, &[]));
            report.add(Target::Sidecar, outcome(2.0 * micros, &[]));
        }
        let shown = report.to_string();
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["floor:", "take", "–", "–", "–", "–", "–", "–", "–", "–"]);
        assert_eq!(rows[2], ["floor:", "object", "64", "40000", "25.0", "1.00", "1.00", "2.35", "40.0", "20.0–40.0"]);
        assert_eq!(rows[3][..6], ["sidecar,", "Object", "64", "20000", "50.0", "2.00"]);
        assert!(report.is_sound());
    }

    #[test]
    fn one_fault_spoils_the_run() {
        let mut report = Report::new(&[Target::Take]);
        report.add(Target::Take, outcome(10.0, &[]));
        report.add(Target::Take, outcome(10.0, &["7 events not answered 200"]));
        assert!(!report.is_sound());
        assert!(report.to_string().contains("FAULT, floor: take: 7 events not answered 200"));
    }
}
