//! Tests the chart, rendered by Helm with each set of values in `charts/tributary/ci`.

mod admitted;
mod agreement;
mod chart;
mod monitoring;
mod values;
