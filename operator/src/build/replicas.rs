//! Whose the number of sidecars is. Pure.
//!
//! A function that doesn't say how many leaves that to the autoscaler or person that scales it or its Deployment. But an
//! autoscaler of the function can't begin without a number: the API server answers 500 for the scale
//! of a resource that has none. So the operator fills in the number there is, and notes in the status,
//! before, that it did: the API server keeps no books of who writes the scale of a custom resource.

use tributary_crds::DestinationFunction;

/// How many the function's owner or its autoscaler wants, if anybody has said. A function whose Deployment has `running`
/// now, namely none, since its owner said so, gets one when its owner says nothing any more.
pub fn owners(function: &DestinationFunction, running: Option<i32>) -> Option<i32> {
    match function.spec.replicas {
        None => was_switched_off(function, running).then_some(1),
        Some(replicas) => Some(replicas).filter(|replicas| noted(function) != Some(*replicas)),
    }
}

/// No autoscaler would begin with 0, and anyone who scales the Deployment itself finds a number noted.
fn was_switched_off(function: &DestinationFunction, running: Option<i32>) -> bool {
    running == Some(0) && noted(function).is_none()
}

/// The number that the status is to note, of a function whose Deployment has `running` now.
pub fn to_note(function: &DestinationFunction, running: Option<i32>) -> Option<i32> {
    match function.spec.replicas {
        // What is noted is filled in by this look: another number now would make that one its owner's.
        None if noted(function).is_some() => noted(function),
        None if was_switched_off(function, running) => Some(1),
        None => Some(running.unwrap_or(1)),
        // Somebody's from here on, whichever it is.
        Some(replicas) => noted(function).filter(|noted| *noted == replicas),
    }
}

/// The number to fill in.
pub fn to_fill_in(function: &DestinationFunction) -> Option<i32> {
    noted(function).filter(|_| function.spec.replicas.is_none())
}

fn noted(function: &DestinationFunction) -> Option<i32> {
    function.status.as_ref()?.defaulted_replicas
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn function(replicas: Option<i32>, noted: Option<i32>) -> DestinationFunction {
        let spec = json!({
            "roleArn": "arn:aws:iam::123456789012:role/a",
            "externalIdSecretRef": {"name": "a"},
            "s3": {"bucket": "lake", "region": "us-west-2"},
            "replicas": replicas,
        });
        let status = json!({"defaultedReplicas": noted});
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn a_number_that_the_operator_filled_in_is_nobodys() {
        // Noted, filled in, and nobody's.
        assert_eq!(to_note(&function(None, None), Some(4)), Some(4));
        assert_eq!(to_fill_in(&function(None, None)), None);
        assert_eq!(to_fill_in(&function(None, Some(4))), Some(4));
        assert_eq!(owners(&function(Some(4), Some(4)), Some(7)), None);
        assert_eq!(to_note(&function(Some(4), Some(4)), Some(7)), Some(4));
        assert_eq!(to_fill_in(&function(Some(4), Some(4))), None);
        assert_eq!(to_note(&function(None, None), None), Some(1));
        // Whatever it is scaled to meanwhile.
        assert_eq!(to_note(&function(None, Some(4)), Some(7)), Some(4));
    }

    #[test]
    fn what_somebody_says_is_theirs_even_if_it_comes_to_the_same_again() {
        let scaled = function(Some(5), Some(4));
        assert_eq!(owners(&scaled, Some(4)), Some(5));
        let noted = to_note(&scaled, Some(4));
        assert_eq!(noted, None);
        assert_eq!(owners(&function(Some(4), noted), Some(5)), Some(4));
        assert_eq!(owners(&function(Some(3), None), None), Some(3));
        assert_eq!(owners(&function(None, None), None), None);
    }

    #[test]
    fn who_takes_back_a_zero_gets_one() {
        assert_eq!(owners(&function(Some(0), None), Some(0)), Some(0));
        let taken_back = function(None, None);
        assert_eq!((owners(&taken_back, Some(0)), to_note(&taken_back, Some(0))), (Some(1), Some(1)));
        // From then on the number is nobody's, and anyone may scale the Deployment to none.
        let noted = function(None, Some(1));
        assert_eq!((owners(&noted, Some(0)), to_note(&noted, Some(0)), to_fill_in(&noted)), (None, Some(1), Some(1)));
    }
}
