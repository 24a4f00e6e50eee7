//! The labels of metrics and their values, which are closed sets.

use prometheus_client::encoding::EncodeLabelSet;

use crate::event::EventType;

/// The values of the label `type`.
pub(crate) const TYPES: [&str; 7] = ["track", "identify", "page", "screen", "group", "alias", "other"];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct TypeLabel {
    pub(super) r#type: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct CodeLabel {
    pub(super) code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ScopeLabel {
    pub(super) scope: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RequestLabels {
    pub(super) path: &'static str,
    pub(super) status: u16,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OutcomeLabel {
    pub(super) outcome: &'static str,
}

/// How a call to STS ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum StsOutcome {
    /// A session.
    Assumed,
    /// None.
    Failed,
    /// A probe, refused as it should be.
    ProbeRefused,
    /// A probe that got the role.
    ProbeAssumed,
}

impl StsOutcome {
    pub(super) const ALL: [Self; 4] = [Self::Assumed, Self::Failed, Self::ProbeRefused, Self::ProbeAssumed];

    pub(super) fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Assumed => "assumed",
            Self::Failed => "failed",
            Self::ProbeRefused => "probe_refused",
            Self::ProbeAssumed => "probe_assumed",
        };
        OutcomeLabel { outcome }
    }
}

/// How many events there are of each type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeCounts([u64; TYPES.len()]);

impl TypeCounts {
    pub(crate) fn add(&mut self, event_type: &EventType) {
        self.0[place(event_type)] += 1;
    }

    /// Each type that there are events of, with how many.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TYPES.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// A type as a label.
pub(super) fn label(event_type: &EventType) -> &'static str {
    TYPES[place(event_type)]
}

/// A type's place among the labels: any beyond the six of Segment's spec is "other", the last.
pub(crate) fn place(event_type: &EventType) -> usize {
    TYPES.iter().position(|known| *known == event_type.as_str()).unwrap_or(TYPES.len() - 1)
}

pub(super) fn code_label(code: &str) -> CodeLabel {
    CodeLabel { code: code.to_owned() }
}
