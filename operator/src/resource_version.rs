//! Resource versions as numbers, by which an object is older or younger: since Kubernetes 1.35 by contract and before it
//! in fact (KEP-5504).

/// The number; nothing of a version that is none, of which nobody can say whether it is older.
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
