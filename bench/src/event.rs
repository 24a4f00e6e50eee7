//! Generates the events to send: track calls of equal length, with content that varies and compresses like a shop's.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;

/// Length of an event in bytes: what Segment's libraries send for a track call with a few properties.
pub const EVENT_BYTES: usize = 1070;

/// Number of distinct events: enough that one rarely repeats within gzip's window of 32 KiB.
const DISTINCT_EVENTS: usize = 4096;

/// Digits of a messageId, and characters of a time with milliseconds.
const ID_DIGITS: usize = 32;
const TIME_CHARS: usize = 24;

/// Placeholders that are overwritten each time an event is sent; each is as long as its value.
const ID_PLACEHOLDER: &str = "IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII";
const TIME_PLACEHOLDER: &str = "YYYY-MM-DDTHH:MM:SS.mmmZ";
/// A placeholder for the click ID that an advertisement adds to a URL. It fills the event up to its length.
const CLICK_PLACEHOLDER: &str = "$CLICK";

const EVENT_TEMPLATE: &str = r#"{"type":"track","event":"$NAME","messageId":"IIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII","userId":"user-$USER","anonymousId":"$ANONYMOUS","timestamp":"YYYY-MM-DDTHH:MM:SS.mmmZ","sentAt":"YYYY-MM-DDTHH:MM:SS.mmmZ","context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"ip":"$IP","locale":"$LOCALE","userAgent":"$AGENT","page":{"path":"/$PATH","title":"$PRODUCT","referrer":"https://shop.example/$FROM","url":"https://shop.example/$PATH?gclid=$CLICK"}},"properties":{"orderId":"$ORDER","total":$TOTAL,"revenue":$REVENUE,"shipping":$SHIPPING,"tax":$TAX,"currency":"$CURRENCY","products":[{"productId":"$ID","sku":"$SKU","name":"$PRODUCT","price":$PRICE,"quantity":$QUANTITY,"category":"$CATEGORY"}]},"integrations":{"All":true}}"#;

const NAMES: [&str; 5] = ["Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed"];
const LOCALES: [&str; 5] = ["en-US", "en-GB", "de-DE", "fr-FR", "pt-BR"];
const CURRENCIES: [&str; 4] = ["USD", "GBP", "EUR", "BRL"];
const PATHS: [&str; 5] = ["checkout", "cart", "products/board-games", "search", "account/orders"];
const PRODUCTS: [(&str, &str); 6] = [
    ("Monopoly: 3rd Edition", "Games"),
    ("Cast Iron Skillet, 26 cm", "Kitchen"),
    ("Wool Hiking Socks", "Outdoor"),
    ("Desk Lamp with Dimmer", "Home Office"),
    ("Espresso Beans 1 kg", "Grocery"),
    ("Noise-Cancelling Headphones", "Electronics"),
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
];

/// Prebuilt events: only messageId and times are written when one is sent. Clones share them.
#[derive(Clone)]
pub struct Events(Arc<[Event]>);

struct Event {
    text: String,
    id: Range<usize>,
    times: [Range<usize>; 2],
}

impl Events {
    pub fn generate() -> Result<Events> {
        (0..DISTINCT_EVENTS).map(|_| Event::generate()).collect::<Result<_>>().map(Events)
    }

    /// Appends a random event with a new messageId, which is returned, and the time `now`, in the format of
    /// [`format_time`].
    pub fn write(&self, out: &mut Vec<u8>, now: &str) -> std::io::Result<u128> {
        let event = &self.0[fastrand::usize(..DISTINCT_EVENTS)];
        let start = out.len();
        out.extend_from_slice(event.text.as_bytes());
        let text = &mut out[start..];
        let id = fastrand::u128(..);
        write!(&mut text[event.id.clone()], "{id:032x}")?;
        for time in &event.times {
            text[time.clone()].copy_from_slice(now.as_bytes());
        }
        Ok(id)
    }
}

impl Event {
    fn generate() -> Result<Event> {
        let (product, category) = pick(&PRODUCTS);
        let price = fastrand::u32(400..30_000);
        let quantity = fastrand::u32(1..4);
        let (revenue, shipping, tax) = (price * quantity, fastrand::u32(0..1500), price * quantity / 12);
        let slots = [
            ("$NAME", pick(&NAMES).to_owned()),
            ("$USER", hex(12)),
            ("$ANONYMOUS", [8, 4, 4, 4, 12].map(hex).join("-")),
            ("$IP", format!("198.18.{}.{}", fastrand::u8(..), fastrand::u8(..))),
            ("$LOCALE", pick(&LOCALES).to_owned()),
            ("$AGENT", pick(&AGENTS).to_owned()),
            ("$PATH", pick(&PATHS).to_owned()),
            ("$FROM", pick(&PATHS).to_owned()),
            ("$PRODUCT", product.to_owned()),
            ("$CATEGORY", category.to_owned()),
            ("$ORDER", hex(12)),
            ("$ID", hex(12)),
            ("$SKU", format!("{}-{}", fastrand::u32(10_000..100_000), fastrand::u32(10..100))),
            ("$PRICE", cents(price)),
            ("$QUANTITY", quantity.to_string()),
            ("$REVENUE", cents(revenue)),
            ("$SHIPPING", cents(shipping)),
            ("$TAX", cents(tax)),
            ("$TOTAL", cents(revenue + shipping + tax)),
            ("$CURRENCY", pick(&CURRENCIES).to_owned()),
        ];
        let text = slots.iter().fold(EVENT_TEMPLATE.to_owned(), |text, (slot, value)| text.replace(slot, value));
        let click_length =
            (EVENT_BYTES + CLICK_PLACEHOLDER.len()).checked_sub(text.len()).context("the event is too long")?;
        let click: String = std::iter::repeat_with(fastrand::alphanumeric).take(click_length).collect();
        let text = text.replace(CLICK_PLACEHOLDER, &click);
        let id = text.find(ID_PLACEHOLDER).context("the event has no messageId")?;
        let first = text.find(TIME_PLACEHOLDER).context("the event has no timestamp")?;
        let second = text.rfind(TIME_PLACEHOLDER).context("the event has no sentAt")?;
        Ok(Event { id: id..id + ID_DIGITS, times: [first, second].map(|start| start..start + TIME_CHARS), text })
    }
}

/// A time in the format of events.
pub fn format_time(now: Timestamp) -> String {
    format!("{now:.3}")
}

fn pick<T: Copy>(from: &[T]) -> T {
    from[fastrand::usize(..from.len())]
}

fn hex(digits: usize) -> String {
    std::iter::repeat_with(|| fastrand::digit(16)).take(digits).collect()
}

fn cents(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn events_have_the_same_length_and_different_content() {
        let events = Events::generate().unwrap();
        let now = format_time(Timestamp::from_millisecond(1_767_225_600_007).unwrap());
        let (mut ids, mut orders) = (HashSet::new(), HashSet::new());
        for _ in 0..1000 {
            let mut text = b"[".to_vec();
            let id = events.write(&mut text, &now).unwrap();
            assert_eq!(text.len(), 1 + EVENT_BYTES);
            let event: serde_json::Value = serde_json::from_slice(&text[1..]).unwrap();
            assert_eq!(event["timestamp"], "2026-01-01T00:00:00.007Z");
            assert_eq!(event["sentAt"], event["timestamp"]);
            assert_eq!(event["messageId"], format!("{id:032x}"));
            ids.insert(id);
            orders.insert(event["properties"]["orderId"].to_string());
        }
        assert_eq!(ids.len(), 1000);
        assert!(orders.len() > 700, "{}", orders.len());
    }
}
