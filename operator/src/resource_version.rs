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
    fn what_is_no_number_is_neither_older_nor_younger() {
        assert!(number(Some("9")) < number(Some("10")));
        assert_eq!((number(Some("a")), number(None)), (None, None));
    }
}
