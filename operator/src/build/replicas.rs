//! Decides whether the function or its Deployment controls the number of sidecars. Pure.
//!
//! A function without `spec.replicas` leaves the number to the autoscaler or person that scales it or its Deployment.
//! But an autoscaler of the function can't start without a number: the API server answers 500 for the scale of a
//! resource that has none. So the operator fills in the current number, after it has noted it in the status: the API
//! server keeps no managed fields for the scale of a custom resource.

use tributary_crds::DestinationFunction;

/// The number that the function's owner or autoscaler has set; `None` if only the operator's default is set. A
/// function that its owner had scaled to 0 gets 1 when the owner removes `spec.replicas`.
pub fn wanted_by_owner(function: &DestinationFunction, running: Option<i32>) -> Option<i32> {
    match function.spec.replicas {
        None => was_switched_off(function, running).then_some(1),
        Some(replicas) => Some(replicas).filter(|replicas| noted(function) != Some(*replicas)),
    }
}

/// Whether [`wanted_by_owner`] and [`to_record`] depend on the live Deployment's number.
pub fn depend_on_running(function: &DestinationFunction) -> bool {
    function.spec.replicas.is_none() && noted(function).is_none()
}

/// Without a noted default a 0 was the owner's: no autoscaler starts with 0, and the first reconcile notes a default.
fn was_switched_off(function: &DestinationFunction, running: Option<i32>) -> bool {
    running == Some(0) && noted(function).is_none()
}

/// The default to note in the status, if the live Deployment has `running` replicas.
pub fn to_record(function: &DestinationFunction, running: Option<i32>) -> Option<i32> {
    match function.spec.replicas {
        // This reconcile fills in the noted number: if the note changed now, that number would count as the owner's.
        None if noted(function).is_some() => noted(function),
        None if was_switched_off(function, running) => Some(1),
        None => Some(running.unwrap_or(1)),
        // Any other number is the owner's, and so is the noted number if it is set again later.
        Some(replicas) => noted(function).filter(|noted| *noted == replicas),
    }
}

/// The noted default to write into `spec.replicas`, if the function has none.
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
    fn a_defaulted_number_has_no_owner() {
        // Noted, filled in, and not the owner's.
        assert_eq!(to_record(&function(None, None), Some(4)), Some(4));
        assert_eq!(to_fill_in(&function(None, None)), None);
        assert_eq!(to_fill_in(&function(None, Some(4))), Some(4));
        assert_eq!(wanted_by_owner(&function(Some(4), Some(4)), Some(7)), None);
        assert_eq!(to_record(&function(Some(4), Some(4)), Some(7)), Some(4));
        assert_eq!(to_fill_in(&function(Some(4), Some(4))), None);
        assert_eq!(to_record(&function(None, None), None), Some(1));
        // Even if the Deployment is scaled meanwhile.
        assert_eq!(to_record(&function(None, Some(4)), Some(7)), Some(4));
    }

    #[test]
    fn a_number_set_by_the_owner_stays_the_owners_even_if_it_equals_an_old_default() {
        let scaled = function(Some(5), Some(4));
        assert_eq!(wanted_by_owner(&scaled, Some(4)), Some(5));
        let noted = to_record(&scaled, Some(4));
        assert_eq!(noted, None);
        assert_eq!(wanted_by_owner(&function(Some(4), noted), Some(5)), Some(4));
        assert_eq!(wanted_by_owner(&function(Some(3), None), None), Some(3));
        assert_eq!(wanted_by_owner(&function(None, None), None), None);
    }

    #[test]
    fn removing_replicas_of_zero_scales_to_one() {
        assert_eq!(wanted_by_owner(&function(Some(0), None), Some(0)), Some(0));
        let taken_back = function(None, None);
        assert_eq!((wanted_by_owner(&taken_back, Some(0)), to_record(&taken_back, Some(0))), (Some(1), Some(1)));
        // From then on the number is a default, and anyone may scale the Deployment to 0.
        let noted = function(None, Some(1));
        assert_eq!(
            (wanted_by_owner(&noted, Some(0)), to_record(&noted, Some(0)), to_fill_in(&noted)),
            (None, Some(1), Some(1))
        );
    }
}
