//! A request, and what must come of it.

use std::time::Duration;

use tributary_tests::event::{message_id, track};
use tributary_tests::raw::Raw;
use tributary_tests::stored::assert_exactly;
use tributary_tests::wait::SOON;
use tributary_tests::{Aws, Function, SidecarProcess, started};

/// The request's name; its bytes, with placeholders (see [`written`]); the statuses it is answered
/// with; and what happens to the connection. Its event is stored if, and only if, 200 is among the
/// answers; the smuggled one never is.
pub type Case<R = &'static str> = (&'static str, R, &'static [u16], Then);

/// What happens to the connection after the answers.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// It takes the next request.
    Open,
    /// It is closed by the sidecar, though the next request is already there.
    Closed,
    /// It is closed by the sidecar once the client has written all it ever will.
    Ended,
}

/// Less than the 30 s after which the sidecar closes any connection on which nothing happens.
const CLOSED: Duration = Duration::from_secs(15);

/// A request after which the connection is closed, answered 404.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n";

/// Writes each request on a connection of its own, and looks at the answers, at the connection and,
/// in the end, at what is stored.
pub async fn check<R: AsRef<str>>(cases: &[Case<R>]) {
    let (aws, sidecar) = started(Function::new()).await;
    let (mut wrong, mut stored) = (Vec::new(), Vec::new());
    for (i, (name, request, answers, then)) in cases.iter().enumerate() {
        let seen = exchange(&sidecar, written(request.as_ref(), i).as_bytes(), *then).await;
        let mut expected = answers.to_vec();
        if let Then::Open = then {
            expected.push(404);
        }
        if seen != (expected, true) {
            wrong.push(format!("{name}: {seen:?} instead of {answers:?} and {then:?}"));
        }
        if answers.contains(&200) {
            stored.push(message_id(i));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_stored_in_the_end(&aws, sidecar, &stored).await;
}

/// What a request is answered, with what follows it on the connection; and whether that was closed.
pub async fn exchange(sidecar: &SidecarProcess, request: &[u8], then: Then) -> (Vec<u16>, bool) {
    let mut raw = Raw::connect(sidecar.events).await;
    let next = match then {
        Then::Open => LAST.to_owned(),
        Then::Closed => smuggled(),
        Then::Ended => String::new(),
    };
    raw.try_write([request, next.as_bytes()].concat()).await;
    if let Then::Ended = then {
        raw.finish().await;
    }
    let (answers, closed) = raw.answers(CLOSED).await;
    (answers.iter().map(|answer| answer.status).collect(), closed)
}

/// Exactly these events are stored once the sidecar has ended, and so done whatever it had begun.
pub async fn assert_stored_in_the_end(aws: &Aws, mut sidecar: SidecarProcess, ids: &[String]) {
    assert!(sidecar.is_alive(), "{}", sidecar.output());
    sidecar.terminate();
    assert!(sidecar.wait_end(SOON).await.success(), "{}", sidecar.output());
    assert_exactly(&aws.objects(), ids);
}

/// The `i`th request, with these placeholders filled in:
///
/// | placeholder | what it is |
/// | --- | --- |
/// | `{post}` | the request line and the Host |
/// | `{good}` | the event that the request is for |
/// | `{length}`, `{size}` | its length: decimal, hexadecimal |
/// | `{chunks}` | it as one chunk, and the last chunk |
/// | `{evil}` | a whole second request, with an event that must never be stored |
/// | `{evil chunks}` | the second request as one chunk, and the last chunk |
/// | `{rest}` | the length of all that follows the head |
fn written(request: &str, i: usize) -> String {
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

/// A request of its own, wherever it is taken for one.
pub fn smuggled() -> String {
    let event = track(666_666);
    let length = event.to_string().len();
    format!("POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Length: {length}\r\n\r\n{event}")
}
