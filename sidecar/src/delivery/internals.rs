//! The steps of an event's path that the micro-benchmarks measure one by one. Not an interface for other crates.

use tributary_crds::values::KeyTemplate;

use super::key::Keys;
use crate::event::Event;

pub use super::batches::{Pieces, batch};
pub use super::s3::SignedPuts;

/// The keys of Object mode, with the default template and a prefix.
#[derive(Debug)]
pub struct ObjectKeys(Keys);

impl Default for ObjectKeys {
    fn default() -> Self {
        let prefix = "segment/".parse().expect("a valid prefix");
        Self(Keys::new(Some(&prefix), &KeyTemplate::object_default()))
    }
}

impl ObjectKeys {
    /// The key of an event's object.
    pub fn of(&self, event: &Event) -> String {
        self.0.of_event(event)
    }
}
