//! Tests of names and labels, and that every series exists from the start.

use super::labels::*;
use super::upload_attempt::upload_error_codes;
use super::*;
use crate::delivery::REASONS;
use crate::ingest::request_series;
use tributary_crds::function::SegmentType;

fn series() -> Series {
    Series { upload_errors: REASONS.to_vec(), requests: request_series() }
}

fn metrics() -> Arc<Metrics> {
    Metrics::new(Budget::new(100), &series())
}

#[test]
fn metrics_have_their_public_names() {
    let metrics = metrics();
    metrics.received(&EventType::Segment(SegmentType::Track));
    metrics.stored(&EventType::Segment(SegmentType::Track), true);
    metrics.rejected(Code::NoUserAnonId);
    metrics.dead_letters_stored(1);
    metrics.filtered();
    metrics.request("/v1/track", 200, Duration::from_millis(3));
    metrics.batch(100, Duration::from_millis(20));
    metrics.attempt().stored(10);
    metrics.attempt().existed();
    metrics.attempt().failed("AccessDenied");
    drop(metrics.attempt());
    metrics.circuit_breaker("page", true);
    metrics.sts_request(StsOutcome::Assumed);
    let text = metrics.encode(Format::Text);
    for line in [
        "tributary_events_received_total{type=\"track\"} 1",
        "tributary_events_stored_total{type=\"track\"} 1",
        "tributary_events_deduplicated_total 1",
        "tributary_events_rejected_total{code=\"no_user_anon_id\"} 1",
        "tributary_dead_letters_stored_total 1",
        "tributary_events_filtered_total 1",
        "tributary_requests_total{path=\"/v1/track\",status=\"200\"} 1",
        "tributary_request_duration_seconds_count 1",
        "tributary_objects_stored_total 1",
        "tributary_stored_bytes_total 10",
        "tributary_upload_duration_seconds_count 4",
        "tributary_upload_errors_total{code=\"AccessDenied\"} 1",
        "tributary_upload_errors_total{code=\"cancelled\"} 1",
        "tributary_upload_errors_total{code=\"timeout\"} 0",
        "tributary_circuit_breaker_open{scope=\"bucket\"} 0",
        "tributary_circuit_breaker_open{scope=\"page\"} 1",
        "tributary_circuit_breaker_open{scope=\"dead_letter\"} 0",
        "tributary_sts_requests_total{outcome=\"assumed\"} 1",
        "tributary_session_expiry_timestamp_seconds ",
        "tributary_session_renewal_failures_total 0",
        "tributary_session_renewal_failing 0",
        "tributary_in_flight_events 0",
        "tributary_in_flight_requests 0",
        "tributary_batch_bytes_count 1",
        "tributary_batch_age_seconds_count 1",
        "tributary_memory_budget_bytes 100",
        "tributary_memory_reserved_bytes 0",
        "tributary_connections 0",
        "tributary_connections_shed_total 0",
        "tributary_build_info{version=",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert_eq!(
        metrics.totals(),
        Totals {
            stored: 1,
            deduplicated: 1,
            filtered: 1,
            rejected: 1,
            dead_letters: 1,
            refused_requests: 0,
            objects: 1,
            bytes: 10
        }
    );
}

#[test]
fn requests_answered_4xx_or_5xx_count_as_refused() {
    let metrics = metrics();
    for (path, status) in
        [("/v1/track", 200), ("/v1/track", 204), ("/v1/track", 401), ("/", 503), ("/", 503), ("other", 404)]
    {
        metrics.request(path, status, Duration::ZERO);
    }
    assert_eq!(metrics.totals().refused_requests, 4);
}

#[test]
fn every_series_begins_at_zero() {
    let text = metrics().encode(Format::Text);
    let all = |name: &str, label: &str, values: &[String]| {
        let of_name: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("tributary_{name}{{"))).collect();
        assert_eq!(of_name.len(), values.len(), "{name}: {of_name:#?}");
        for value in values {
            let line = format!("tributary_{name}{{{label}=\"{value}\"}} 0");
            assert!(of_name.contains(&line.as_str()), "{line} is not in\n{text}");
        }
    };
    let types = TYPES.map(str::to_owned);
    all("events_received_total", "type", &types);
    all("events_stored_total", "type", &types);
    all("events_rejected_total", "code", &Code::ALL.iter().map(|code| code.as_str().to_owned()).collect::<Vec<_>>());
    all("upload_errors_total", "code", &upload_error_codes(&REASONS).collect::<Vec<_>>());
    all("circuit_breaker_open", "scope", &[&types[..], &["bucket".to_owned(), DEAD_LETTER_SCOPE.to_owned()]].concat());
    all("sts_requests_total", "outcome", &StsOutcome::ALL.map(|outcome| outcome.label().outcome.to_owned()));
    let requests = text.lines().filter(|line| line.starts_with("tributary_requests_total{")).count();
    assert_eq!(requests, request_series().len());
    for line in [
        "tributary_requests_total{path=\"/v1/batch\",status=\"503\"} 0",
        "tributary_requests_total{path=\"/\",status=\"429\"} 0",
        "tributary_requests_total{path=\"other\",status=\"404\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn counting_creates_no_new_series() {
    let metrics = metrics();
    let series = || metrics.encode(Format::Text).lines().count();
    let before = series();
    for r#type in TYPES.into_iter().chain(["subscribe"]) {
        let event_type = EventType::parse(r#type).unwrap();
        metrics.received(&event_type);
        metrics.stored(&event_type, false);
    }
    Code::ALL.iter().for_each(|code| metrics.rejected(*code));
    upload_error_codes(&REASONS).for_each(|code| metrics.attempt().failed(code));
    drop(metrics.attempt());
    StsOutcome::ALL.into_iter().for_each(|outcome| metrics.sts_request(outcome));
    for (path, status) in request_series() {
        metrics.request(path, status, Duration::ZERO);
    }
    assert_eq!(series(), before);
}

#[test]
fn events_are_in_flight_until_the_guard_is_dropped() {
    let metrics = metrics();
    let flight = metrics.flight(3);
    assert_eq!(metrics.in_flight(), 3);
    drop(flight);
    assert_eq!(metrics.in_flight(), 0);
}
