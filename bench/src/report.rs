//! Reports all rounds: medians, their spread, the ratio to the floor, and faults.

use std::fmt;

use crate::chart::{Bar, BarKind, Group};
use crate::reading::Cost;
use crate::round::RoundResult;
use crate::table::Table;
use crate::target::{Program, Target};
use crate::workload::{WORKLOADS, Workload};

/// Stands for a figure that was not measured.
const NOT_MEASURED: &str = "–";

/// All rounds of all processes.
pub struct Report(Vec<(Target, Vec<RoundResult>)>);

impl Report {
    pub fn new(targets: &[Target]) -> Report {
        Report(targets.iter().map(|&target| (target, Vec::new())).collect())
    }

    pub fn add(&mut self, target: Target, result: RoundResult) {
        if let Some((_, results)) = self.0.iter_mut().find(|(of, _)| *of == target) {
            results.push(result);
        }
    }

    /// Whether no round has a fault: every event was answered 200 and, if the process stores events, is stored once.
    pub fn has_no_faults(&self) -> bool {
        self.results().all(|(_, result)| result.faults.is_empty())
    }

    fn results(&self) -> impl Iterator<Item = (Target, &RoundResult)> {
        self.0.iter().flat_map(|(target, results)| results.iter().map(|result| (*target, result)))
    }

    /// The median of a figure over the rounds of a process; `None` if there was none.
    fn median(&self, target: Target, figure: impl Fn(&RoundResult) -> f64) -> Option<f64> {
        median(self.results().filter(|(of, _)| *of == target).map(|(_, result)| figure(result)))
    }

    /// Half of the rate of the sidecar under the workload that an open loop depends on, in events per second; `None` for
    /// a closed loop. The floor has the same rate, so that their latencies can be compared.
    pub fn open_rate(&self, workload: &Workload) -> Option<f64> {
        let peak = WORKLOADS.iter().find(|peak| Some(peak.name) == workload.half_of_peak)?;
        let sidecar = Target { workload: peak, program: Program::SIDECAR };
        self.median(sidecar, |result| result.events_per_second).map(|rate| rate / 2.0)
    }

    fn cost_table(&self) -> Table {
        let header = [
            "",
            "connections",
            "events/s",
            "CPU µs/event",
            "× floor",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "peak MiB",
            "spread",
        ];
        let mut table = Table::new(&header);
        for (target, results) in &self.0 {
            let figure = |figure: fn(&RoundResult) -> f64, digits| format_figure(self.median(*target, figure), digits);
            let cpu = |result: &RoundResult| result.spent.cpu.micros;
            let floor = self.median(target.floor(), cpu);
            let times = self.median(*target, cpu).zip(floor).map(|(own, floor)| own / floor);
            table.row([
                target.to_string(),
                figure(|result| result.shape.connections.into(), 0),
                figure(|result| result.events_per_second, 0),
                figure(cpu, 1),
                format_figure(times, 2),
                figure(|result| result.p50_ms, 2),
                figure(|result| result.p99_ms, 2),
                figure(|result| result.p999_ms, 2),
                format_figure(results.iter().map(|result| result.peak_mib).reduce(f64::max), 1),
                spread(results.iter().map(cpu)),
            ]);
        }
        table
    }

    /// The medians of CPU time per event, for a chart.
    pub fn groups(&self) -> Vec<Group> {
        let bar = |target: Target| {
            let micros = self.median(target, |result| result.spent.cpu.micros)?;
            let kind = match target.program {
                Program::Floor => BarKind::Floor,
                Program::Sidecar { .. } => BarKind::Sidecar,
                Program::Peer(_) | Program::Node(_) => BarKind::Other,
            };
            Some(Bar { label: target.program.to_string(), kind, micros })
        };
        let groups = self.0.chunk_by(|(one, _), (next, _)| one.workload == next.workload);
        let group = |rows: &[(Target, Vec<RoundResult>)]| Group {
            title: rows[0].0.workload.title,
            bars: rows.iter().filter_map(|(target, _)| bar(*target)).collect(),
        };
        groups.map(group).collect()
    }

    /// CPU use of everything else on the same cores: the load, the double, and processes that take no part, whose use
    /// should be near 0.
    fn other_cpu_table(&self) -> Table {
        let header =
            ["other CPU use, on the same cores", "load µs/event", "cores", "S3 µs/event", "cores", "other cores"];
        let mut table = Table::new(&header);
        for (target, results) in &self.0 {
            let medians = |cost: fn(&RoundResult) -> Option<Cost>| {
                let costs: Vec<Cost> = results.iter().filter_map(cost).collect();
                let micros = median(costs.iter().map(|cost| cost.micros));
                [format_figure(micros, 1), format_figure(median(costs.iter().map(|cost| cost.cores)), 2)]
            };
            let [load, load_cores] = medians(|result| Some(result.spent.load));
            let [double, double_cores] = medians(|result| result.spent.double);
            let others = format_figure(self.median(*target, |result| result.spent.other_cores), 2);
            table.row([target.to_string(), load, load_cores, double, double_cores, others]);
        }
        table
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.cost_table())?;
        write!(f, "{}", self.other_cpu_table())?;
        for (target, result) in self.results() {
            for fault in &result.faults {
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
    range.map_or_else(|| NOT_MEASURED.to_owned(), |(least, most)| format!("{least:.1}–{most:.1}"))
}

fn format_figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NOT_MEASURED.to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadShape;
    use crate::reading::CpuCosts;
    use crate::target::Others;

    fn result(micros: f64, faults: &[&str]) -> RoundResult {
        let cost = Cost { micros, cores: 0.5 };
        RoundResult {
            shape: LoadShape { connections: 64, events: 1 },
            events_per_second: 1e6 / micros,
            p50_ms: 1.0,
            p99_ms: 2.345,
            p999_ms: 3.0,
            peak_mib: micros,
            spent: CpuCosts { seconds: 5.0, cpu: cost, load: cost, double: None, other_cores: 0.0 },
            faults: faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_median_of_odd_even_and_no_values() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_report_has_the_ratio_to_the_floor_and_the_spread() {
        let [take, object] = ["take", "object"].map(|name| Target::of(Workload::named(name), &Others::default()));
        let mut report = Report::new(&[take, object.clone()].concat());
        for micros in [20.0, 25.0, 40.0] {
            report.add(object[0], result(micros, &[]));
            report.add(object[1], result(2.0 * micros, &[]));
        }
        let text = report.to_string();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["floor:", "take", "–", "–", "–", "–", "–", "–", "–", "–", "–"]);
        assert_eq!(
            rows[2],
            ["floor:", "object", "64", "40000", "25.0", "1.00", "1.00", "2.35", "3.00", "40.0", "20.0–40.0"]
        );
        assert_eq!(rows[3][..6], ["sidecar:", "object", "64", "20000", "50.0", "2.00"]);
        assert!(report.has_no_faults());
    }

    #[test]
    fn a_chart_has_a_group_per_workload() {
        let targets = ["take", "object"].map(|name| Target::of(Workload::named(name), &Others::default())).concat();
        let mut report = Report::new(&targets);
        for (target, micros) in targets.iter().zip([9.0, 20.0, 30.0]) {
            report.add(*target, result(micros, &[]));
        }
        let groups = report.groups();
        let titles: Vec<_> = groups.iter().map(|group| group.title).collect();
        assert_eq!(titles, ["take", "object"]);
        let bars: Vec<_> = groups[1].bars.iter().map(|bar| (bar.label.as_str(), bar.micros)).collect();
        assert_eq!(bars, [("floor", 20.0), ("sidecar", 30.0)]);
    }

    #[test]
    fn an_open_loop_has_half_of_the_sidecars_median_rate() {
        let [peak, open] = ["object-30ms", "object-open"].map(Workload::named);
        let targets = Target::of(peak, &Others::default());
        let mut report = Report::new(&targets);
        for micros in [100.0, 200.0, 500.0] {
            report.add(targets[0], result(10.0, &[]));
            report.add(targets[1], result(micros, &[]));
        }
        assert_eq!(report.open_rate(open), Some(2500.0));
        assert_eq!(report.open_rate(peak), None);
    }

    #[test]
    fn one_fault_fails_the_run() {
        let take = Target::of(Workload::named("take"), &Others::default())[0];
        let mut report = Report::new(&[take]);
        report.add(take, result(10.0, &[]));
        report.add(take, result(10.0, &["7 events not answered 200"]));
        assert!(!report.has_no_faults());
        assert!(report.to_string().contains("FAULT, floor: take: 7 events not answered 200"));
    }
}
