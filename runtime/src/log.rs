//! Logs to standard output: one JSON object per line, or lines for people on a terminal.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
pub use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};
use tributary_crds::function::LogLevel;

/// Crates whose debug output contains secrets, external IDs or request bodies, and whose info output contains access
/// key IDs: they log no more than warnings at any level. An entry stands for all targets that begin with it. (kube's
/// info output is a span around every line of the operator's.)
const CAPPED_TARGETS: [&str; 7] = ["aws", "hyper", "kube", "rustls", "h2", "tower", "smithy"];

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Coloured text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// Lines for people, without colours.
    Text,
}

/// A handle to the log of this process, whose level can be changed while the process runs.
#[derive(Clone, Debug)]
pub struct Log(reload::Handle<Targets, Registry>);

impl Log {
    /// Logs these targets from now on.
    pub fn set(&self, targets: Targets) {
        // Without a subscriber, for example after a second start, there is no log to change.
        let _ = self.0.reload(targets);
    }
}

/// Starts logging to standard output. Call it once per process: a second call has no effect.
pub fn start(targets: Targets, format: LogFormat) -> Log {
    let (targets, handle) = reload::Layer::new(targets);
    let registry = tracing_subscriber::registry().with(targets);
    let json = match format {
        LogFormat::Auto => !io::stdout().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    // Fails on a second start in one process, which keeps the first subscriber.
    let _ = if json {
        registry.with(fmt::layer().json().flatten_event(true)).try_init()
    } else {
        registry.with(fmt::layer().with_ansi(format == LogFormat::Auto)).try_init()
    };
    Log(handle)
}

/// The targets to log at `level`, with crates that may log secrets limited to warnings.
pub fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let capped = CAPPED_TARGETS.map(|target| (target, level.min(LevelFilter::WARN)));
    Targets::new().with_default(level).with_targets(capped)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn crates_that_log_secrets_are_capped_at_any_level() {
        let trace = targets(LogLevel::Trace);
        assert!(trace.would_enable("tributary_sidecar::session", &Level::TRACE));
        for target in ["aws_config::sts", "aws_smithy_runtime::client", "hyper_util::client", "rustls::client"] {
            assert!(trace.would_enable(target, &Level::WARN), "{target}");
            assert!(!trace.would_enable(target, &Level::INFO), "{target}");
        }
        let error = targets(LogLevel::Error);
        assert!(!error.would_enable("aws_config", &Level::WARN));
    }
}
