//! The template of object keys: its rules, its defaults and its parts.

use super::shape::Rule::{Must, MustNot};
use super::shape::{Shape, text_value};

text_value!(
    /// The template of object keys, after the prefix: literals and the variables {type}, {event}, {messageId},
    /// {userId}, {millis}, {batchId}, UTC times such as {yyyy-MM-dd} or {HH}, and event times such as
    /// {timestamp:yyyy-MM-dd}.
    KeyTemplate,
    Shape {
        field: "key",
        example: "{type}/{yyyy-MM-dd}/{millis}-{messageId}.json",
        length: (1, 256),
        rules: &[
            Must(
                "^([A-Za-z0-9!_.()=@:,+/-]|[{](type|event|messageId|userId|millis|batchId|(yyyy|MM|dd|HH|mm|ss)([._-](yyyy|MM|dd|HH|mm|ss))*|timestamp:(yyyy|MM|dd|HH)([._-](yyyy|MM|dd|HH))*)[}])+$",
                "has a character or a variable that is not allowed in keys",
            ),
            MustNot("^/|//|/$", "has an empty segment"),
            MustNot("(^|/)[.]{1,2}(/|$)", "has a segment of dots only"),
            // Together with the maximum length of values, this keeps every key under S3's 1,024 bytes.
            MustNot(
                "[{]event[}].*[{]event[}]|[{]messageId[}].*[{]messageId[}]|[{]userId[}].*[{]userId[}]|[{]type[}].*[{]type[}]|[{]millis[}].*[{]millis[}]|[{]batchId[}].*[{]batchId[}]",
                "has a variable twice",
            ),
            // Otherwise two events could share a key: with {userId}{messageId}, "ab" + "c" and "a" + "bc" are equal.
            MustNot(
                "[{](event|messageId|userId)[}][A-Za-z0-9_{-]|[{]type[}][a-z{]|[{]millis[}][0-9{]",
                "has a variable followed by text that its value could contain (put a / or . between)",
            ),
        ],
    }
);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that becomes part of the key as it is.
    Literal(String),
    /// A value of the event or the batch.
    Variable(Variable),
    /// The events' own time, of which a batch's key has either all fields or none.
    EventTime(Vec<TimePart>),
}

/// A part of a time in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// A field of the time.
    Field(TimeField),
    /// A character between two fields.
    Separator(char),
}

/// A variable of a template, which stands in braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The event's type.
    Type,
    /// A track event's name.
    Event,
    /// The event's messageId.
    MessageId,
    /// The event's userId.
    UserId,
    /// The time as milliseconds since 1970, UTC.
    Millis,
    /// The batch's ID.
    BatchId,
    /// A field of the time, UTC.
    Time(TimeField),
}

/// A field of a UTC time, of fixed width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeField {
    /// `yyyy`, four digits.
    Year,
    /// `MM`, 01 to 12.
    Month,
    /// `dd`, 01 to 31.
    Day,
    /// `HH`, 00 to 23.
    Hour,
    /// `mm`, 00 to 59.
    Minute,
    /// `ss`, 00 to 59.
    Second,
}

impl KeyTemplate {
    /// The default of mode Object. An event with its own `messageId` and `timestamp` has the same key each time it is
    /// sent.
    pub fn object_default() -> Self {
        Self("{type}/{millis}-{messageId}.json".to_owned())
    }

    /// The default of mode Batch. Each folder is a partition, `name=value`: Spark cannot read a prefix on which some
    /// folders are partitions and others are not. `extension` is that of the compression, without a leading dot:
    /// `ndjson.gz`.
    pub fn batch_default(extension: &str) -> Self {
        Self(format!("type={{type}}/dt={{yyyy-MM-dd}}/hour={{HH}}/{{millis}}-{{batchId}}.{extension}"))
    }

    /// Whether the template contains `variable`.
    pub fn has(&self, variable: Variable) -> bool {
        self.parts().contains(&Part::Variable(variable))
    }

    /// The fields of the events' own times in the template; empty if it has none.
    pub fn event_time_fields(&self) -> Vec<TimeField> {
        let times = self.parts().into_iter().flat_map(|part| match part {
            Part::EventTime(time) => time,
            Part::Literal(_) | Part::Variable(_) => Vec::new(),
        });
        times
            .filter_map(|part| match part {
                TimePart::Field(field) => Some(field),
                TimePart::Separator(_) => None,
            })
            .collect()
    }

    /// The template's parts, in order. The separators within a time are literals of their own, except in an event time.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = self.as_str();
        while !rest.is_empty() {
            let (literal, after) = rest.split_once('{').unwrap_or((rest, ""));
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let (name, after) = after.split_once('}').unwrap_or_default();
            variable(name, &mut parts);
            rest = after;
        }
        parts
    }
}

/// Adds the parts of the variable, or the time, that stands in braces as `name`.
fn variable(name: &str, parts: &mut Vec<Part>) {
    let single = match name {
        "type" => Variable::Type,
        "event" => Variable::Event,
        "messageId" => Variable::MessageId,
        "userId" => Variable::UserId,
        "millis" => Variable::Millis,
        "batchId" => Variable::BatchId,
        time => {
            match time.strip_prefix("timestamp:") {
                Some(time) => parts.push(Part::EventTime(time_parts(time))),
                None => parts.extend(time_parts(time).into_iter().map(Part::from)),
            }
            return;
        }
    };
    parts.push(Part::Variable(single));
}

impl From<TimePart> for Part {
    fn from(part: TimePart) -> Self {
        match part {
            TimePart::Field(field) => Self::Variable(Variable::Time(field)),
            TimePart::Separator(separator) => Self::Literal(separator.to_string()),
        }
    }
}

fn time_parts(mut rest: &str) -> Vec<TimePart> {
    let mut parts = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (field, width) = match rest {
            _ if rest.starts_with("yyyy") => (TimeField::Year, 4),
            _ if rest.starts_with("MM") => (TimeField::Month, 2),
            _ if rest.starts_with("dd") => (TimeField::Day, 2),
            _ if rest.starts_with("HH") => (TimeField::Hour, 2),
            _ if rest.starts_with("mm") => (TimeField::Minute, 2),
            _ if rest.starts_with("ss") => (TimeField::Second, 2),
            _ => {
                parts.push(TimePart::Separator(first));
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        parts.push(TimePart::Field(field));
        rest = &rest[width..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_literals_and_variables() {
        let template: KeyTemplate = "{type}/dt={yyyy-MM-dd}/{millis}-{messageId}.json".parse().unwrap();
        let literal = |text: &str| Part::Literal(text.to_owned());
        let time = |field| Part::Variable(Variable::Time(field));
        assert_eq!(
            template.parts(),
            [
                Part::Variable(Variable::Type),
                literal("/dt="),
                time(TimeField::Year),
                literal("-"),
                time(TimeField::Month),
                literal("-"),
                time(TimeField::Day),
                literal("/"),
                Part::Variable(Variable::Millis),
                literal("-"),
                Part::Variable(Variable::MessageId),
                literal(".json"),
            ]
        );
        assert!(template.has(Variable::MessageId) && !template.has(Variable::BatchId));
        assert_eq!(template.event_time_fields(), []);
    }

    #[test]
    fn an_event_time_is_one_part() {
        let template: KeyTemplate = "dt={timestamp:yyyy-MM}/{HH}/{batchId}/{timestamp:HH}".parse().unwrap();
        let (field, literal) = (TimePart::Field, |text: &str| Part::Literal(text.to_owned()));
        assert_eq!(
            template.parts(),
            [
                literal("dt="),
                Part::EventTime(vec![field(TimeField::Year), TimePart::Separator('-'), field(TimeField::Month)]),
                literal("/"),
                Part::Variable(Variable::Time(TimeField::Hour)),
                literal("/"),
                Part::Variable(Variable::BatchId),
                literal("/"),
                Part::EventTime(vec![field(TimeField::Hour)]),
            ]
        );
        assert_eq!(template.event_time_fields(), [TimeField::Year, TimeField::Month, TimeField::Hour]);
    }

    #[test]
    fn each_rule_accepts_valid_and_refuses_invalid_templates() {
        for right in [
            "{messageId}",
            "{type}/{millis}-{messageId}.json",
            "{userId}/{event}/{messageId}.json",
            "{type}/dt={yyyy-MM-dd}/hour={HH}/{millis}-{batchId}.ndjson.gz",
            "type={type}/dt={yyyy-MM-dd}/hour={HH}/{millis}-{batchId}.ndjson.gz",
            "{yyyy}{MM}{dd}/{messageId}",
            "{type}/dt={timestamp:yyyy-MM-dd}/hour={timestamp:HH}/{millis}-{batchId}.ndjson.gz",
            "{timestamp:yyyy}{timestamp:MM}/{HH}/{batchId}",
            "a..b/{messageId}",
        ] {
            assert!(right.parse::<KeyTemplate>().is_ok(), "{right}");
        }
        for (wrong, why) in [
            ("{messageID}", "variable that is not allowed in keys"),
            ("{messageId", "variable that is not allowed in keys"),
            ("{timestamp}/{batchId}", "variable that is not allowed in keys"),
            ("{timestamp:}/{batchId}", "variable that is not allowed in keys"),
            // As many partitions as minutes would be too many.
            ("{timestamp:HH-mm}/{batchId}", "variable that is not allowed in keys"),
            ("{timestamp:yyyy-MM-ddTHH}/{batchId}", "variable that is not allowed in keys"),
            ("a b{messageId}", "character"),
            ("*{messageId}", "character"),
            ("/{messageId}", "empty segment"),
            ("a//{messageId}", "empty segment"),
            ("{messageId}/", "empty segment"),
            ("../{messageId}", "dots only"),
            ("a/./{messageId}", "dots only"),
            ("{messageId}/{messageId}", "twice"),
            ("{userId}{messageId}", "followed by"),
            ("{userId}-{messageId}", "followed by"),
            ("{messageId}x", "followed by"),
            ("{type}{messageId}", "followed by"),
            ("{millis}{messageId}", "followed by"),
            ("{millis}0/{messageId}", "followed by"),
            ("", "characters"),
        ] {
            let refused = wrong.parse::<KeyTemplate>().expect_err(wrong).to_string();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}
