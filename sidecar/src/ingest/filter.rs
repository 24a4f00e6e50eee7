//! Filters events by type and name, as in `spec.events`. Pure.

use tributary_crds::function::{EventFilter, SegmentType};
use tributary_crds::values::EventNamePattern;

use crate::event::{Event, EventType};

/// The filter of a function's `spec.events`; absent lists match everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    types: Option<Vec<SegmentType>>,
    names: Option<Vec<EventNamePattern>>,
}

impl Filter {
    pub(super) fn new(events: Option<&EventFilter>) -> Self {
        let EventFilter { types, names } = events.cloned().unwrap_or_default();
        Self { types, names }
    }

    /// Whether the event is to be stored. Names apply to track events only, since other types have none.
    pub(super) fn keeps(&self, event: &Event) -> bool {
        let is_wanted =
            |types: &Vec<SegmentType>| matches!(&event.event_type, EventType::Segment(of) if types.contains(of));
        let named = |names: &Vec<EventNamePattern>| {
            event.event.as_ref().is_some_and(|name| names.iter().any(|pattern| pattern.matches(name)))
        };
        self.types.as_ref().is_none_or(is_wanted)
            && (event.event_type != EventType::Segment(SegmentType::Track) || self.names.as_ref().is_none_or(named))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(event_type: &str, name: Option<&str>) -> Event {
        Event {
            event_type: EventType::parse(event_type).unwrap(),
            message_id: "m".to_owned(),
            event: name.map(str::to_owned),
            user_id: None,
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            occurred_at: jiff::Timestamp::UNIX_EPOCH,
            message_id_sent: true,
            timestamp_sent: true,
            has_unreadable_time: false,
            body: Bytes::new(),
        }
    }

    fn filter(json: &str) -> Filter {
        Filter::new(Some(&serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn without_a_filter_everything_is_kept() {
        for event_type in ["track", "alias", "delete"] {
            assert!(Filter::new(None).keeps(&event(event_type, None)));
        }
    }

    #[test]
    fn types_select_events() {
        let filter = filter(r#"{"types": ["track", "identify"]}"#);
        assert!(filter.keeps(&event("track", Some("any"))));
        assert!(filter.keeps(&event("identify", None)));
        assert!(!filter.keeps(&event("page", None)));
        assert!(!filter.keeps(&event("delete", None)));
    }

    #[test]
    fn names_apply_to_track_events_only() {
        let filter = filter(r#"{"names": ["Order *", "Signed Up"]}"#);
        assert!(filter.keeps(&event("track", Some("Order Completed"))));
        assert!(filter.keeps(&event("track", Some("Signed Up"))));
        assert!(!filter.keeps(&event("track", Some("signed up"))));
        assert!(filter.keeps(&event("page", Some("Home"))));
    }
}
