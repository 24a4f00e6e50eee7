//! The request that is sent over and over: one track event, which differs in its messageId and time.

use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;

use anyhow::{Context, Result};
use jiff::Timestamp;

/// Length of the event: what Segment's libraries send for a track call with a few properties.
pub const EVENT_BYTES: usize = 1070;

/// As many digits as a messageId here has; half of them are the run's, half count up.
const ID_DIGITS: usize = 32;
/// Length of a time with milliseconds.
const TIME_CHARS: usize = 24;

/// Stand-ins that are overwritten; each is as long as what replaces it.
const ID: &str = "IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII";
const TIME: &str = "YYYY-MM-DDTHH:MM:SS.mmmZ";
/// Filled up to the length wanted.
const FILLER: &str = "FILLER";

const EVENT: &str = r#"{"type":"track","event":"Order Completed","messageId":"IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII","userId":"user-8f14e45fceea","anonymousId":"5f3c6c1e-9d6b-4d0e-8a63-0f7c1f2c9b1a","timestamp":"YYYY-MM-DDTHH:MM:SS.mmmZ","sentAt":"YYYY-MM-DDTHH:MM:SS.mmmZ","context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"ip":"203.0.113.42","locale":"en-US","timezone":"America/Los_Angeles","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36","page":{"path":"/checkout","referrer":"https://shop.example/cart","title":"Checkout","url":"https://shop.example/checkout"}},"properties":{"orderId":"50314b8e9bcf","total":129.9,"revenue":119.0,"shipping":6.9,"tax":4.0,"currency":"USD","coupon":"","products":[{"productId":"507f1f77bcf8","sku":"45790-32","name":"Monopoly: 3rd Edition","price":19.0,"quantity":1,"category":"Games"}],"note":"FILLER"},"integrations":{"All":true}}"#;

/// A whole request, head and body, of which only a few bytes change.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    count: Range<usize>,
    times: [Range<usize>; 2],
}

impl Request {
    /// A request to `address`; `run` tells the messageIds of one run from those of another.
    pub fn new(address: SocketAddr, run: u64) -> Result<Request> {
        let filled = EVENT_BYTES - (EVENT.len() - FILLER.len());
        let id = format!("{run:016x}{:016x}", 0);
        let event = EVENT.replace(FILLER, &"n".repeat(filled)).replace(ID, &id);
        let head = format!(
            "POST /v1/track HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {EVENT_BYTES}\r\n\r\n"
        );
        let text = head + &event;
        let id = text.find(&id).context("the event has no messageId")?;
        let first = text.find(TIME).context("the event has no timestamp")?;
        let second = text.rfind(TIME).context("the event has no sentAt")?;
        Ok(Request {
            count: id + ID_DIGITS / 2..id + ID_DIGITS,
            times: [first, second].map(|start| start..start + TIME_CHARS),
            bytes: text.into_bytes(),
        })
    }

    /// The request of the event numbered `count`, made `now`.
    pub fn event(&mut self, count: u64, now: Timestamp) -> std::io::Result<&[u8]> {
        write!(&mut self.bytes[self.count.clone()], "{count:016x}")?;
        for time in &self.times {
            write!(&mut self.bytes[time.clone()], "{now:.3}")?;
        }
        Ok(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn body(request: &[u8]) -> serde_json::Value {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert_eq!(body.len(), EVENT_BYTES);
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn events_differ_in_id_and_time() {
        let mut request = Request::new((Ipv4Addr::LOCALHOST, 8080).into(), 0xabc).unwrap();
        let first = body(request.event(1, Timestamp::from_millisecond(1_767_225_600_007).unwrap()).unwrap());
        assert_eq!(first["messageId"], "0000000000000abc0000000000000001");
        assert_eq!(first["timestamp"], "2026-01-01T00:00:00.007Z");
        assert_eq!(first["sentAt"], first["timestamp"]);
        let last = body(request.event(u64::MAX, Timestamp::from_millisecond(1_767_225_600_120).unwrap()).unwrap());
        assert_eq!(last["messageId"], "0000000000000abcffffffffffffffff");
        assert_eq!(last["timestamp"], "2026-01-01T00:00:00.120Z");
    }
}
