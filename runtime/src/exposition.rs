//! Encodes metrics in the format that the scraper asks for: OpenMetrics, or Prometheus' text format 0.0.4.
//!
//! prometheus-client writes only OpenMetrics. For a scraper that does not ask for OpenMetrics, `text` converts it.

use hyper::HeaderMap;
use hyper::header::ACCEPT;
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which every scraper reads.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Text,
    /// OpenMetrics 1.0.0.
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
}

impl Format {
    /// The format that the `Accept` headers prefer: OpenMetrics only if it is named, otherwise text. Of formats with
    /// equal quality, the one that is named first.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (Self::Text, 0.0);
        for (format, quality) in values.flat_map(|value| value.split(',')).filter_map(media_range) {
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The format as a `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// All metrics of the registry, in this format.
    pub fn encode(self, registry: &Registry) -> String {
        let mut open_metrics = String::new();
        // Writing to memory does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut open_metrics, registry);
        match self {
            Self::Text => text(&open_metrics),
            Self::OpenMetrics => open_metrics,
        }
    }
}

/// The format that satisfies a media range, with the range's quality (RFC 9110, section 12.5.1). Of OpenMetrics, only
/// the version that is written here counts: a Prometheus that reads older ones also reads text.
fn media_range(range: &str) -> Option<(Format, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let (mut quality, mut version) = (1.0, None);
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => quality = value.trim().parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    match media_type.as_str() {
        "application/openmetrics-text" if matches!(version, None | Some("1.0.0")) => {
            Some((Format::OpenMetrics, quality))
        }
        "text/plain" | "text/*" | "*/*" => Some((Format::Text, quality)),
        _ => None,
    }
}

/// Converts OpenMetrics to text format 0.0.4. There, a counter's name ends with `_total` in `HELP` and `TYPE` too, an
/// info is a gauge, and `UNIT` and `EOF` do not exist. Samples are equal, since none of our metrics has exemplars,
/// timestamps or created times, which would differ.
fn text(open_metrics: &str) -> String {
    let (mut text, mut help) = (String::with_capacity(open_metrics.len()), "");
    for line in open_metrics.lines() {
        if let Some((_, description)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = description;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            text += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;

    fn accepted(values: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, hyper::header::HeaderValue::from_static(value));
        }
        Format::accepted(&headers)
    }

    #[test]
    fn open_metrics_is_written_if_it_is_requested_and_preferred() {
        // The headers of Prometheus 3 and 2.
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
                          text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let older = "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                        application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (values, format) in [
            (&[][..], Format::Text),
            (&[""], Format::Text),
            (&["*/*"], Format::Text),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Text),
            (&["text/plain;version=0.0.4"], Format::Text),
            (&[prometheus], Format::OpenMetrics),
            (&[protobuf], Format::OpenMetrics),
            (&[older], Format::Text),
            (&["application/openmetrics-text"], Format::OpenMetrics),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\""], Format::OpenMetrics),
            (&["application/openmetrics-text; version=2.0.0"], Format::Text),
            (&["application/openmetrics-text;q=0"], Format::Text),
            (&["application/openmetrics-text;q=0, application/json"], Format::Text),
            (&["application/openmetrics-text;q=nan"], Format::Text),
            (&["application/openmetrics-text;q=0.3,text/plain;q=0.4"], Format::Text),
            (&["application/openmetrics-text;q=0.4,text/plain;q=0.3"], Format::OpenMetrics),
            (&["text/plain, application/openmetrics-text"], Format::Text),
            (&["application/openmetrics-text, text/plain"], Format::OpenMetrics),
            (&["text/plain;q=0.5", "application/openmetrics-text"], Format::OpenMetrics),
            (&["application/*"], Format::Text),
        ] {
            assert_eq!(accepted(values), format, "{values:?}");
        }
    }

    #[test]
    fn the_text_format_contains_the_full_names_of_samples() {
        let mut registry = Registry::with_prefix("p");
        registry.register("build", "What runs", Info::new([("version", "1")]));
        let requests = Family::<[(&str, &str); 1], Counter>::default();
        registry.register("requests", "Requests", requests.clone());
        requests.get_or_create(&[("path", "a \"b\"\n")]).inc_by(2);
        let open: Gauge = Gauge::default();
        registry.register("open", "Open", open.clone());
        open.set(3);
        let took = Histogram::new([0.5]);
        registry.register_with_unit("took", "How long", Unit::Seconds, took.clone());
        took.observe(0.25);
        assert_eq!(
            Format::Text.encode(&registry),
            "# HELP p_build_info What runs.\n\
             # TYPE p_build_info gauge\n\
             p_build_info{version=\"1\"} 1\n\
             # HELP p_requests_total Requests.\n\
             # TYPE p_requests_total counter\n\
             p_requests_total{path=\"a \\\"b\\\"\\n\"} 2\n\
             # HELP p_open Open.\n\
             # TYPE p_open gauge\n\
             p_open 3\n\
             # HELP p_took_seconds How long.\n\
             # TYPE p_took_seconds histogram\n\
             p_took_seconds_sum 0.25\n\
             p_took_seconds_count 1\n\
             p_took_seconds_bucket{le=\"0.5\"} 1\n\
             p_took_seconds_bucket{le=\"+Inf\"} 1\n"
        );
        let open_metrics = Format::OpenMetrics.encode(&registry);
        assert!(open_metrics.contains("# TYPE p_requests counter\n"), "{open_metrics}");
        assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");
    }
}
