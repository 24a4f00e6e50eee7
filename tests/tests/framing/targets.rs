//! Tests request lines: methods, targets and versions; and the Host header.

use tributary_tests::raw::RawConnection;

use crate::case::Connection::{Closed, Open};
use crate::case::{Case, check, smuggled};
use tributary_tests::{Function, start_ready};

#[tokio::test]
async fn a_request_line_is_method_target_and_version() {
    let cases: [Case; _] = [
        (
            "a lower-case method",
            "post /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}",
            &[405],
            Open,
        ),
        (
            "an unknown method",
            "PO-ST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}",
            &[405],
            Open,
        ),
        ("no method", " /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("a method that is no token", "PO(ST /v1/track HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("a colon in the method", "POST: /v1/track HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("two spaces", "POST  /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("two spaces before the version", "POST /v1/track  HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("tabs", "POST\t/v1/track\tHTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("a space in the target", "POST /v1/track x HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("a space after the version", "POST /v1/track HTTP/1.1 \r\nHost: s\r\n\r\n", &[400], Closed),
        ("a CR in the target", "POST /v1/\rtrack HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("a NUL in the target", "POST /v1/track\0 HTTP/1.1\r\nHost: s\r\n\r\n", &[400], Closed),
        ("HTTP/0.9", "POST /v1/track\r\n\r\n", &[400], Closed),
        (
            "HTTP/0.9 by name",
            "POST /v1/track HTTP/0.9\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}",
            &[400],
            Closed,
        ),
        ("HTTP/1.2", "POST /v1/track HTTP/1.2\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("HTTP/1.10", "POST /v1/track HTTP/1.10\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("HTTP/2.0", "POST /v1/track HTTP/2.0\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("http/1.1", "POST /v1/track http/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("HTTPS/1.1", "POST /v1/track HTTPS/1.1\r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        ("no version", "POST /v1/track \r\nHost: s\r\nContent-Length: {rest}\r\n\r\n{good}", &[400], Closed),
        // HTTP/1 has no answer to the preface.
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &[], Closed),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn paths_are_compared_byte_for_byte() {
    let path = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: s\r\nContent-Length: {{rest}}\r\n\r\n{{good}}");
    let cases: [Case<String>; _] = [
        ("a query", path("/v1/track?a=b&c=/v1/batch"), &[200], Open),
        ("a slash after it", path("/v1/track/"), &[200], Open),
        // A fragment is not part of a request target, and hyper drops it.
        ("a fragment", path("/v1/track#x"), &[200], Open),
        // A server must accept the absolute form (RFC 9112, 3.2.2); the sidecar ignores its host.
        ("an absolute target", path("http://s/v1/track"), &[200], Open),
        ("an absolute target of another host", path("https://u:p@t:1/v1/track?q"), &[200], Open),
        ("an absolute target without a path", path("http://s"), &[200], Open),
        ("an authority", path("s:443"), &[404], Open),
        ("an asterisk", path("*"), &[404], Open),
        ("no slash in front", path("v1/track"), &[400], Closed),
        ("a dot", path("/v1/./track"), &[404], Open),
        ("two dots", path("/v1/x/../track"), &[404], Open),
        ("two dots beyond the root", path("/../v1/track"), &[404], Open),
        ("two dots as escapes", path("/v1/x/%2e%2e/track"), &[404], Open),
        ("an escape", path("/v1/%74rack"), &[404], Open),
        ("a slash as an escape", path("/v1%2ftrack"), &[404], Open),
        ("a NUL as an escape", path("/v1/track%00"), &[404], Open),
        ("a second request as escapes", path("/v1/track%20HTTP/1.1%0d%0a%0d%0a"), &[404], Open),
        ("two slashes in front", path("//v1/track"), &[404], Open),
        ("two slashes within", path("/v1//track"), &[404], Open),
        ("two slashes after it", path("/v1/track//"), &[404], Open),
        ("a backslash", path("/v1\\track"), &[404], Open),
        ("capitals", path("/V1/Track"), &[404], Open),
        ("a parameter", path("/v1/track;x"), &[404], Open),
        ("not ASCII", path("/v1/träck"), &[404], Open),
        ("28 KiB", path(&format!("/v1/track/{}", "x".repeat(28 << 10))), &[404], Open),
        ("a query of 28 KiB", path(&format!("/v1/track?{}", "x".repeat(28 << 10))), &[200], Open),
        ("over 64 KiB", path(&format!("/v1/track?{}", "x".repeat(128 << 10))), &[431], Closed),
    ];
    check(&cases).await;
}

/// RFC 9112, 3.2 requires 400 for a missing or repeated Host. hyper does not check it, and the sidecar does not use it:
/// one sidecar serves one function, by any name.
#[tokio::test]
async fn the_host_header_is_ignored() {
    let cases: [Case; _] = [
        ("none", "POST /v1/track HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("two", "{post}Host: t\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("empty", "POST /v1/track HTTP/1.1\r\nHost:\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        ("no name", "POST /v1/track HTTP/1.1\r\nHost: /@ ?\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
    ];
    check(&cases).await;
}

/// The body of a refused request is read to the length that its head declares, and not processed as a request.
#[tokio::test]
async fn other_methods_are_refused_with_any_body() {
    let methods = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI"];
    let bare: Vec<Case<String>> = methods
        .into_iter()
        .map(|method| (method, format!("{method} /v1/track HTTP/1.1\r\nHost: s\r\n\r\n"), &[405][..], Open))
        .collect();
    check(&bare).await;
    let with_body: Vec<Case<String>> = methods
        .into_iter()
        .map(|method| {
            let head = format!("{method} /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {{rest}}\r\n\r\n");
            (method, format!("{head}{{evil}}"), &[405][..], Open)
        })
        .collect();
    check(&with_body).await;
    let cases: [Case; _] = [
        ("a tunnel", "CONNECT s:443 HTTP/1.1\r\nHost: s:443\r\n\r\n", &[404], Open),
        ("a tunnel to a path", "CONNECT /v1/track HTTP/1.1\r\nHost: s\r\n\r\n", &[405], Open),
        ("options of everything", "OPTIONS * HTTP/1.1\r\nHost: s\r\n\r\n", &[404], Open),
        (
            "chunks",
            "GET /v1/track HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n{evil chunks}",
            &[405],
            Open,
        ),
        (
            "chunks in two codings",
            "GET /v1/track HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{evil chunks}",
            &[400],
            Closed,
        ),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn head_requests_are_answered_without_a_body() {
    let (_aws, sidecar) = start_ready(Function::new()).await;
    let mut raw = RawConnection::connect(sidecar.events).await;
    raw.write(format!("HEAD /v1/track HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n{}", smuggled())).await;
    let answer = raw.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "{answer}");
}
