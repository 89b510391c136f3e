//! What header fields take in the host's memory.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The place of a field in the map's list: name, value, links and hash.
const ENTRY: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 32;

/// The share of a field in the map's index: 4 bytes for each place, of which three in four are used.
const INDEX: usize = 6;

/// The place of a further value of a name: the list of these grows by doubling.
const FURTHER: usize = 2 * (size_of::<HeaderValue>() + 32);

/// What an allocator and a shared buffer add to the bytes of a name or a value.
const ALLOCATED: usize = 32;

/// What a field takes beside the bytes of its name and its value, in a map that grows by doubling.
pub(crate) const FIELD: usize = 2 * (ENTRY + INDEX) + 2 * ALLOCATED;

/// What a map takes, in bytes, as though it shared nothing with another one. Places without a field count: a map keeps them
/// when fields are removed.
pub(crate) fn bytes(fields: &HeaderMap) -> usize {
    let names = fields.keys().map(|name| name.as_str().len() + ALLOCATED);
    let values = fields.values().map(|value| value.len() + ALLOCATED);
    fields.capacity() * (ENTRY + INDEX)
        + (fields.len() - fields.keys_len()) * FURTHER
        + names.sum::<usize>()
        + values.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limits::HANDLE_BYTES;

    #[test]
    fn what_each_field_is_taken_to_add_is_no_less_than_what_the_map_takes() {
        let mut fields = HeaderMap::new();
        // The first places of a map are part of what its handle counts.
        let mut added = HANDLE_BYTES;
        for number in 0..1_000 {
            let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            added += name.as_str().len() + 5 + FIELD;
            fields.append(name.clone(), HeaderValue::from_static("value"));
            added += name.as_str().len() + FIELD;
            fields.append(name, HeaderValue::from_static(""));
            let bytes = bytes(&fields);
            assert!(added >= bytes, "{number}: {added} < {bytes}");
        }
        assert!(added < 3 * bytes(&fields), "far too much: {added}");
    }

    #[test]
    fn places_that_were_left_count() {
        let mut fields = HeaderMap::new();
        for number in 0..1_000 {
            let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
            fields.append(name, HeaderValue::from_static("value"));
        }
        fields.clear();
        assert!(bytes(&fields) > 100_000);
    }
}
