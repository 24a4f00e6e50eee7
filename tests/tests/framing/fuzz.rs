//! Good requests with a second one inside their body, broken at random: whatever is made of them,
//! the second one is never taken for a request.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::stream;
use tributary_tests::event::{message_id, track};
use tributary_tests::raw::Raw;

use crate::case::{assert_stored_in_the_end, smuggled};
use crate::encodings::gzip_with_comment;
use tributary_tests::{Function, started};

/// Another one finds other breakages.
const SEED: u64 = 9112;

/// How many broken requests are sent, and how many at once.
const REQUESTS: usize = 2_000;
const AT_ONCE: usize = 64;

/// A sidecar that has said nothing for so long waits for more bytes.
const QUIET: Duration = Duration::from_millis(500);

/// A sidecar that has been told that there are no more bytes ends the connection.
const CLOSED: Duration = Duration::from_secs(10);

/// What is written between the parts of a request: all that framing is made of.
const PIECES: [&str; 24] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    " ",
    "\t",
    "\x0b",
    ":",
    ";",
    ",",
    "0",
    "f",
    "-",
    "+",
    "0x",
    "0\r\n\r\n",
    "chunked",
    "identity, ",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
];

/// A request, and where its framing is.
#[derive(Default)]
struct Good {
    bytes: Vec<u8>,
    framing: Vec<Range<usize>>,
}

impl Good {
    fn framed(mut self, framing: &str) -> Self {
        let start = self.bytes.len();
        self.bytes.extend(framing.bytes());
        self.framing.push(start..self.bytes.len());
        self
    }

    fn with(mut self, content: &[u8]) -> Self {
        self.bytes.extend(content);
        self
    }
}

/// Good requests of the events 0 to 2, each with the second one in a comment that gzip ignores. What
/// stands before it begins no request, wherever the breakage ends the body, and is so long that a
/// length with a wrong digit does not lead to it.
fn good() -> Vec<Good> {
    let comment = format!("{}{}", "(".repeat(1_111), smuggled());
    let body = |i| gzip_with_comment(track(i).to_string().as_bytes(), comment.as_bytes());
    let head = "POST /v1/track HTTP/1.1\r\nHost: s\r\nContent-Encoding: gzip\r\n";
    let sized = |i| {
        let body = body(i);
        Good::default().framed(&format!("{head}Content-Length: {}\r\n\r\n", body.len())).with(&body)
    };
    let chunked = |chunks: &[&[u8]]| {
        let head = Good::default().framed(&format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        let all = chunks
            .iter()
            .fold(head, |good, chunk| good.framed(&format!("{:x}\r\n", chunk.len())).with(chunk).framed("\r\n"));
        all.framed("0\r\n\r\n")
    };
    // The second request is a chunk.
    let parts = body(2);
    let second = parts.windows(5).position(|window| window == b"POST ").expect("a second request");
    let (before, rest) = parts.split_at(second);
    let (second, behind) = rest.split_at(smuggled().len());
    vec![sized(0), chunked(&[&body(1)]), chunked(&[before, second, behind])]
}

/// Breaks a thing or two, mostly of the framing.
fn broken(good: &Good, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = good.bytes.clone();
    for _ in 0..rng.usize(1..=2) {
        let range = if rng.u8(..3) > 0 { rng.choice(&good.framing).cloned().expect("a head") } else { 0..bytes.len() };
        let place = rng.usize(range).min(bytes.len() - 1);
        match rng.u8(..6) {
            0 => bytes[place] = rng.u8(..),
            1 => bytes[place] ^= 1 << rng.u8(..8),
            2 => drop(bytes.drain(place..(place + rng.usize(1..16)).min(bytes.len()))),
            3 => {
                let again = bytes[place..(place + rng.usize(1..40)).min(bytes.len())].to_vec();
                bytes.splice(place..place, again);
            }
            4 => bytes.truncate(place + 1),
            _ => {
                let piece = rng.choice(PIECES).expect("a piece");
                bytes.splice(place..place, piece.bytes());
            }
        }
    }
    bytes
}

#[tokio::test]
async fn a_second_request_in_a_body_is_never_seen_whatever_is_broken() {
    let (aws, sidecar) = started(Function::new()).await;
    let (mut rng, good) = (Rng::with_seed(SEED), good());
    for good in &good {
        let mut raw = Raw::connect(sidecar.events).await;
        raw.write(&good.bytes).await;
        assert_eq!(raw.answer().await.status, 200);
    }
    let requests: Vec<_> = (0..REQUESTS).map(|i| broken(&good[i % good.len()], &mut rng)).collect();
    let answers = stream::iter(&requests).map(async |request| {
        let mut raw = Raw::connect(sidecar.events).await;
        raw.try_write(request).await;
        let (mut answers, mut closed) = raw.answers(QUIET).await;
        if !closed {
            raw.finish().await;
            let (more, ended) = raw.answers(CLOSED).await;
            answers.extend(more);
            closed = ended;
        }
        assert!(closed, "seed {SEED}: {:?} is not done with", String::from_utf8_lossy(request));
        answers
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let mut statuses = BTreeMap::<_, usize>::new();
    for answer in answers.iter().flatten() {
        *statuses.entry(answer.status).or_default() += 1;
    }
    // What fails from here on says which requests were sent.
    println!("seed {SEED}: {statuses:?}");
    let often = |status: u16| statuses.get(&status).is_some_and(|count| *count > REQUESTS / 50);
    assert!(often(200) && often(400), "too much is broken, or nothing");
    assert_eq!(sidecar.send("/v1/track", &track(3)).await.status, 200);
    assert_stored_in_the_end(&aws, sidecar, &[0, 1, 2, 3].map(message_id)).await;
}
