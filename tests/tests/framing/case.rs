//! Runs the test cases: a raw request, its expected answers, and the state of the connection afterwards.

use std::time::Duration;

use tributary_tests::event::{message_id, track};
use tributary_tests::raw::RawConnection;
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::DEFAULT_TIMEOUT;
use tributary_tests::{Aws, Function, SidecarProcess, start_ready};

/// A test case: its name; the request's bytes, with placeholders (see [`fill_placeholders`]); the statuses of the answers;
/// and the state of the connection afterwards. The request's event must be stored if and only if 200 is among the
/// answers; the smuggled event never.
pub type Case<R = &'static str> = (&'static str, R, &'static [u16], Connection);

/// The expected state of the connection after the answers.
#[derive(Clone, Copy, Debug)]
pub enum Connection {
    /// It is open, and the next request is answered.
    Open,
    /// The sidecar closes it, although the next request has been sent.
    Closed,
    /// The sidecar closes it once the client has closed its write side.
    ClosedAfterEof,
}

/// Shorter than the time limit of a head, after which the sidecar closes a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// A request that is answered 404 and closes the connection.
const CLOSING_REQUEST: &str = "GET /last HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";

/// Sends each request on its own connection, and checks the answers, the state of the connection and, at the end, the
/// stored events.
pub async fn check<R: AsRef<str>>(cases: &[Case<R>]) {
    let (aws, sidecar) = start_ready(Function::new()).await;
    let (mut wrong, mut stored) = (Vec::new(), Vec::new());
    for (i, (name, request, answers, connection)) in cases.iter().enumerate() {
        let actual = exchange(&sidecar, fill_placeholders(request.as_ref(), i).as_bytes(), *connection).await;
        let mut expected = answers.to_vec();
        if let Connection::Open = connection {
            expected.push(404);
        }
        if actual != (expected, true) {
            wrong.push(format!("{name}: {actual:?} instead of {answers:?} and {connection:?}"));
        }
        if answers.contains(&200) {
            stored.push(message_id(i));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases failed:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_stored_after_exit(&aws, sidecar, &stored).await;
}

/// Sends a request and the bytes after it on the connection. Returns the statuses of all answers, and whether the
/// sidecar closed the connection.
pub async fn exchange(sidecar: &SidecarProcess, request: &[u8], connection: Connection) -> (Vec<u16>, bool) {
    let mut raw = RawConnection::connect(sidecar.events).await;
    let next = match connection {
        Connection::Open => CLOSING_REQUEST.to_owned(),
        Connection::Closed => smuggled(),
        Connection::ClosedAfterEof => String::new(),
    };
    raw.try_write([request, next.as_bytes()].concat()).await;
    if let Connection::ClosedAfterEof = connection {
        raw.close_write().await;
    }
    let (answers, closed) = raw.answers(CLOSE_TIMEOUT).await;
    (answers.iter().map(|answer| answer.status).collect(), closed)
}

/// Asserts that exactly these events are stored once the sidecar has exited, which it does only after all requests are
/// completed.
pub async fn assert_stored_after_exit(aws: &Aws, mut sidecar: SidecarProcess, ids: &[String]) {
    assert!(sidecar.is_alive(), "{}", sidecar.output());
    sidecar.terminate();
    assert!(sidecar.wait_exit(DEFAULT_TIMEOUT).await.success(), "{}", sidecar.output());
    assert_exactly(&aws.objects(), ids);
}

/// Fills in the placeholders of the `i`th request:
///
/// | placeholder | replacement |
/// | --- | --- |
/// | `{post}` | the request line and the Host header |
/// | `{good}` | the event of the request |
/// | `{length}`, `{size}` | the event's length: decimal, hexadecimal |
/// | `{chunks}` | the event as one chunk, and the last chunk |
/// | `{evil}` | a complete second request, whose event must never be stored |
/// | `{evil chunks}` | the second request as one chunk, and the last chunk |
/// | `{rest}` | the length of everything after the head |
fn fill_placeholders(request: &str, i: usize) -> String {
    let (good, evil) = (track(i).to_string(), smuggled());
    let request = request
        .replace("{post}", "POST /v1/track HTTP/1.1\r\nHost: s\r\n")
        .replace("{chunks}", "{size}\r\n{good}\r\n0\r\n\r\n")
        .replace("{evil chunks}", &format!("{:x}\r\n{{evil}}\r\n0\r\n\r\n", evil.len()))
        .replace("{length}", &good.len().to_string())
        .replace("{size}", &format!("{:x}", good.len()))
        .replace("{good}", &good)
        .replace("{evil}", &evil);
    let rest = request.split_once("\r\n\r\n").map_or(0, |(_, rest)| rest.len());
    request.replace("{rest}", &rest.to_string())
}

/// A complete request, which would store its event if it were processed.
pub fn smuggled() -> String {
    let event = track(666_666);
    let length = event.to_string().len();
    format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\n\r\n{event}")
}
