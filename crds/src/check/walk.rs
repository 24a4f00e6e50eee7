//! One walk over a document beside its schema: what is unknown, absent, or of the wrong kind.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_yaml::{Mapping, Value};

use super::limits::{self, Fault};
use super::{Problem, lists};

/// What a walk has seen, in the document's order.
pub(super) struct Walk {
    places: Vec<Place>,
    problems: Vec<(usize, Problem)>,
}

/// A field or an item that the document has.
struct Place {
    path: String,
    /// Whether the schema holds here and beneath, so that CEL rules can be run.
    sound: bool,
}

impl Walk {
    /// Holds `document` against `schema`.
    pub(super) fn over(schema: &JSONSchemaProps, document: &Value) -> Self {
        let mut walk = Self { places: Vec::new(), problems: Vec::new() };
        walk.visit(String::new(), schema, document);
        walk
    }

    /// Adds a problem with the value at `path`. A rule's is left out unless the schema holds there.
    pub(super) fn rule_broken(&mut self, path: &str, message: String) {
        if let Some(place) = self.places.iter().position(|place| place.path == path && place.sound) {
            self.problems.push((place, Problem { path: path.to_owned(), message }));
        }
    }

    /// Adds a problem with a name in the metadata, and keeps the root's rules from saying it again.
    pub(super) fn name_refused(&mut self, path: &str, message: String) {
        self.rule_broken(path, message);
        if let Some(root) = self.places.first_mut() {
            root.sound = false;
        }
    }

    /// Whether anything is wrong at `path` or beneath it.
    pub(super) fn has_problem_in(&self, path: &str) -> bool {
        self.problems.iter().any(|(_, problem)| problem.path.starts_with(path))
    }

    /// Forgets what is wrong within the status, of which `apply` writes nothing; unknown fields
    /// are refused there all the same.
    pub(super) fn forget_status(&mut self) {
        self.problems.retain(|(_, problem)| !problem.path.starts_with("status"));
    }

    /// Every problem, in the document's order.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|(place, _)| *place);
        self.problems.into_iter().map(|(_, problem)| problem).collect()
    }

    /// Whether the schema holds for `value` and all that is in it.
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
                    self.problems.push((here, Problem { path: format!("{path}[{index}]"), message }));
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
            self.problems.push((here, Problem { path, message: "Required value: it is absent".to_owned() }));
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
                _ => self.unknown(path),
            }
        }
        sound
    }

    /// A misspelt field; it is no reason to leave the rules about the others unsaid.
    fn unknown(&mut self, path: String) {
        self.problems
            .push((self.places.len(), Problem { path: String::new(), message: format!("unknown field \"{path}\"") }));
        self.places.push(Place { path, sound: false });
    }

    fn fault(&mut self, here: usize, fault: Fault) {
        let path = self.places[here].path.clone();
        self.problems.push((here, Problem { path, message: fault.message }));
    }

    fn beneath(&self, here: usize, name: &str) -> String {
        match self.places[here].path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }
}

/// A field's name as JSON has it: YAML's numbers and booleans become text.
fn text_of(name: &Value) -> String {
    match name {
        Value::String(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
