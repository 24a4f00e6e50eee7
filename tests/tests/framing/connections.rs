//! Tests Connection, Upgrade and Expect headers, and pipelined requests.

use std::time::Duration;

use tributary_tests::event::{message_id, track};
use tributary_tests::raw::RawConnection;

use crate::case::Connection::{Closed, Open};
use crate::case::{Case, assert_stored_after_exit, check};
use tributary_tests::{Function, start_ready};

#[tokio::test]
async fn a_connection_stays_open_unless_the_request_closes_it() {
    let cases: [Case; _] = [
        ("to close", "{post}Connection: close\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Closed),
        ("to close, in a list", "{post}Connection: x, CLOSE\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Closed),
        (
            "to close and to stay",
            "{post}Connection: close\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Closed,
        ),
        ("to stay", "{post}Connection: keep-alive\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        (
            "that names Content-Length",
            "{post}Connection: Content-Length\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Open,
        ),
        ("HTTP/1.0", "POST /v1/track HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Closed),
        (
            "HTTP/1.0, to stay",
            "POST /v1/track HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Open,
        ),
    ];
    check(&cases).await;
}

/// The request is processed as HTTP/1, and the connection stays HTTP/1.
#[tokio::test]
async fn upgrades_to_other_protocols_are_ignored() {
    let cases: [Case; _] = [
        (
            "HTTP/2",
            "{post}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
             Content-Length: {length}\r\n\r\n{good}",
            &[200],
            Open,
        ),
        (
            "HTTP/2, and then its preface",
            "{post}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {length}\r\n\r\n{good}\
             PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[200],
            Closed,
        ),
        (
            "a web socket",
            "{post}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Open,
        ),
        ("TLS", "OPTIONS * HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", &[404], Open),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn expect_100_continue_is_answered_100() {
    let cases: [Case; _] = [
        ("asked", "{post}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{good}", &[100, 200], Open),
        (
            "asked in mixed case",
            "{post}eXPECT: 100-Continue\r\nContent-Length: {length}\r\n\r\n{good}",
            &[100, 200],
            Open,
        ),
        (
            "asked for chunks",
            "{post}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            &[100, 200],
            Open,
        ),
        ("asked for an empty body", "{post}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", &[400], Open),
        (
            "asked in HTTP/1.0",
            "POST /v1/track HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Closed,
        ),
        // A server may answer 417 to these (RFC 9110, 10.1.1); hyper ignores them, and the body's framing is
        // unaffected.
        ("another expectation", "{post}Expect: x\r\nContent-Length: {length}\r\n\r\n{good}", &[200], Open),
        (
            "another one in a list",
            "{post}Expect: 100-continue, x\r\nContent-Length: {length}\r\n\r\n{good}",
            &[200],
            Open,
        ),
        (
            "on a path that is not there",
            "POST /x HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: {rest}\r\n\r\n{evil}",
            &[404],
            Open,
        ),
        ("for a too long body", "{post}Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", &[400], Closed),
        (
            "for a body that is a second request",
            "{post}Expect: 100-continue\r\nContent-Length: {rest}\r\n\r\n{evil}",
            &[100, 400],
            Open,
        ),
    ];
    check(&cases).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let post =
        |body: String| format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let nothing = "GET /nothing HTTP/1.1\r\nHost: s\r\n\r\n";
    let last = "GET /v1/track HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";
    let mut raw = RawConnection::connect(sidecar.events).await;
    let (one, two) = (post(track(1).to_string()), post(track(2).to_string()));
    raw.write([one.as_str(), nothing, &post("{".to_owned()), &two, &one, last, &post(track(3).to_string())].concat())
        .await;
    let (answers, closed) = raw.answers(Duration::from_secs(15)).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 404, 400, 200, 200, 405]);
    assert!(closed);
    assert_stored_after_exit(&aws, sidecar, &[message_id(1), message_id(2)]).await;
}
