//! Walks a document along its schema, and collects unknown fields, missing fields and invalid values.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_yaml::{Mapping, Value};

use super::limits::{self, Fault};
use super::{Problem, lists};

/// The places of a document, in the document's order, and the problems found so far.
pub(super) struct Walk {
    places: Vec<Place>,
    problems: Vec<(usize, Problem)>,
}

/// A field or list item of the document.
struct Place {
    path: String,
    /// Whether the schema holds for it and for everything in it, so that CEL rules can be run.
    sound: bool,
}

impl Walk {
    /// Validates `document` against `schema`.
    pub(super) fn over(schema: &JSONSchemaProps, document: &Value) -> Self {
        let mut walk = Self { places: Vec::new(), problems: Vec::new() };
        walk.visit(String::new(), schema, document);
        walk
    }

    /// Adds the violation of a rule at `path`, unless the schema does not hold there.
    pub(super) fn rule_broken(&mut self, path: &str, message: String) {
        if let Some(place) = self.places.iter().position(|place| place.path == path && place.sound) {
            self.problems.push((place, Problem::new(path.to_owned(), message)));
        }
    }

    /// Adds a problem with a name in the metadata, and keeps the root's CEL rules from reporting it again.
    pub(super) fn name_refused(&mut self, path: &str, message: String) {
        self.rule_broken(path, message);
        if let Some(root) = self.places.first_mut() {
            root.sound = false;
        }
    }

    /// Whether there is a problem at `path` or within it.
    pub(super) fn has_problem_in(&self, path: &str) -> bool {
        self.problems.iter().any(|(_, problem)| problem.path.starts_with(path))
    }

    /// Drops the problems within the status, which `apply` does not write. Unknown fields in it are still refused.
    pub(super) fn forget_status(&mut self) {
        self.problems.retain(|(_, problem)| !problem.path.starts_with("status"));
    }

    /// All problems, in the document's order.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(place, _)| *place);
        self.problems.into_iter().map(|(_, problem)| problem).collect()
    }

    /// Validates `value` and everything in it. Returns whether the schema holds, as far as CEL rules depend on it.
    fn visit(&mut self, path: String, schema: &JSONSchemaProps, value: &Value) -> bool {
        let here = self.places.len();
        self.places.push(Place { path, sound: false });
        let mut sound = true;
        if !(value.is_null() && schema.nullable == Some(true)) {
            for fault in limits::faults(schema, value) {
                sound &= !fault.stops_rules();
                self.fault(here, fault);
            }
            if sound {
                sound = self.visit_inside(here, schema, value);
            }
        }
        self.places[here].sound = sound;
        sound
    }

    fn visit_inside(&mut self, here: usize, schema: &JSONSchemaProps, value: &Value) -> bool {
        match value {
            Value::Mapping(fields) => self.visit_fields(here, schema, fields),
            Value::Sequence(items) => {
                let Some(JSONSchemaPropsOrArray::Schema(of_item)) = &schema.items else { return true };
                let path = self.places[here].path.clone();
                let mut sound = true;
                for (index, item) in items.iter().enumerate() {
                    sound &= self.visit(format!("{path}[{index}]"), of_item, item);
                }
                for (index, message) in lists::duplicates(schema, items) {
                    self.problems.push((here, Problem::new(format!("{path}[{index}]"), message)));
                }
                sound
            }
            _ => true,
        }
    }

    fn visit_fields(&mut self, here: usize, schema: &JSONSchemaProps, fields: &Mapping) -> bool {
        let mut sound = true;
        for name in schema.required.iter().flatten().filter(|name| !fields.contains_key(name.as_str())) {
            let path = self.beneath(here, name);
            self.problems.push((here, Problem::new(path, "Required value: it is absent".to_owned())));
            sound = false;
        }
        for (name, value) in fields {
            let name = text_of(name);
            let path = self.beneath(here, &name);
            let declared = schema.properties.as_ref().and_then(|properties| properties.get(&name));
            match (declared, &schema.additional_properties) {
                (Some(of_field), _) => sound &= self.visit(path, of_field, value),
                (None, Some(JSONSchemaPropsOrBool::Schema(of_value))) => sound &= self.visit(path, of_value, value),
                _ if schema.x_kubernetes_preserve_unknown_fields == Some(true) => {}
                _ => {
                    let known = schema.properties.iter().flat_map(|properties| properties.keys());
                    self.unknown(path, similar(&name, known));
                }
            }
        }
        sound
    }

    /// Adds an unknown field, most likely a misspelt one. Rules about other fields are still run.
    fn unknown(&mut self, path: String, similar: Option<String>) {
        let problem = Problem::new(String::new(), format!("unknown field \"{path}\""));
        self.problems.push((self.places.len(), Problem { similar, ..problem }));
        self.places.push(Place { path, sound: false });
    }

    fn fault(&mut self, here: usize, fault: Fault) {
        let path = self.places[here].path.clone();
        self.problems.push((here, Problem { wants_string: fault.wants_string, ..Problem::new(path, fault.message) }));
    }

    fn beneath(&self, here: usize, name: &str) -> String {
        match self.places[here].path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}

/// A field's name as in JSON: YAML keys that are numbers or booleans become text.
fn text_of(name: &Value) -> String {
    match name {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// The name among `known` that is spelled most like `name`, if any is spelled nearly the same.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let scored = known.map(|known| (strsim::jaro(&name.to_lowercase(), &known.to_lowercase()), known));
    // clap's threshold for options.
    let best = scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, known)| known.clone())
}
