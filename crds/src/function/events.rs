//! The filter of events, and the event types of Segment's spec.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::EventNamePattern;

/// Which events to store.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[x_kube(
    validation = Rule::new("!has(self.names) || !has(self.types) || 'track' in self.types")
        .message("events.names applies only to track events: add track to events.types, or leave names out"),
)]
pub struct EventFilter {
    /// Event types to store; by default all, also those of webhooks that Segment's spec doesn't have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 6), extend("x-kubernetes-list-type" = "set"))]
    pub types: Option<Vec<SegmentType>>,
    /// Names of track events to store, case-sensitive, with * for any text; by default all. Events of other types are
    /// not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub names: Option<Vec<EventNamePattern>>,
}

/// The event types of Segment's spec.
#[derive(Clone, Copy, Debug, Deserialize, Hash, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentType {
    /// An action of a user.
    Track,
    /// A user's identity and traits.
    Identify,
    /// A view of a web page.
    Page,
    /// A view of a screen of an app.
    Screen,
    /// A user's membership in a group.
    Group,
    /// A merge of two identities of one user.
    Alias,
}

impl SegmentType {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [Self::Track, Self::Identify, Self::Page, Self::Screen, Self::Group, Self::Alias];

    /// The type as events spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    /// The type that is spelled like this; `None` if it is none of the six.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}
