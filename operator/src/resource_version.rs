//! Resource versions as numbers, which order the versions of an object: by contract since Kubernetes 1.35, in practice
//! before (KEP-5504).

/// The version as a number; `None` if it is absent or no number, and so can't be compared.
pub fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_are_not_numbers_are_not_compared() {
        assert!(number(Some("9")) < number(Some("10")));
        assert_eq!((number(Some("a")), number(None)), (None, None));
    }
}
