//! The labels of metrics and their values, all from closed sets.

use prometheus_client::encoding::EncodeLabelSet;

use tributary_crds::function::SegmentType;

use crate::event::EventType;

/// The values of the label `type`: the six types of Segment's spec, and `other` for the rest.
pub(crate) const TYPES: [&str; SegmentType::ALL.len() + 1] = {
    let mut types = ["other"; SegmentType::ALL.len() + 1];
    let mut i = 0;
    // Constants have no iterators.
    while i < SegmentType::ALL.len() {
        types[i] = SegmentType::ALL[i].as_str();
        i += 1;
    }
    types
};

/// The value of the label `scope` for uploads of dead letters.
pub(crate) const DEAD_LETTER_SCOPE: &str = "dead_letter";

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

/// The outcome of a call to STS, for the label `outcome`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum StsOutcome {
    /// STS gave a session.
    Assumed,
    /// STS gave no session, or a probe was inconclusive.
    Failed,
    /// STS refused a probe, as it should.
    ProbeRefused,
    /// STS gave a probe the role: the external ID is not enforced.
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

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

/// Why an event is not in the partition of its own time, for the label `reason`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Unpartitioned {
    /// It is older than `maxEventAge`.
    Late,
    /// It is too far in the future.
    Early,
    /// There are `maxPartitions` others.
    Limit,
}

impl Unpartitioned {
    pub(super) const ALL: [Self; 3] = [Self::Late, Self::Early, Self::Limit];

    pub(super) fn label(self) -> ReasonLabel {
        let reason = match self {
            Self::Late => "late",
            Self::Early => "early",
            Self::Limit => "limit",
        };
        ReasonLabel { reason }
    }
}

/// The number of events per type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeCounts([u64; TYPES.len()]);

impl TypeCounts {
    pub(crate) fn add(&mut self, event_type: &EventType) {
        self.0[type_index(event_type)] += 1;
    }

    /// Each type with at least one event, and its count.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        TYPES.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// The label of a type.
pub(super) fn label(event_type: &EventType) -> &'static str {
    TYPES[type_index(event_type)]
}

/// The index of a type in [`TYPES`]; types other than Segment's six are `other`, the last.
pub(crate) fn type_index(event_type: &EventType) -> usize {
    match event_type {
        EventType::Segment(segment) => *segment as usize,
        EventType::Other(_) => TYPES.len() - 1,
    }
}

pub(super) fn code_label(code: &str) -> CodeLabel {
    CodeLabel { code: code.to_owned() }
}
