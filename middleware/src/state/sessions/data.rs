//! The values of a session, as bytes.

use bytes::Bytes;

/// Names and values: for each the length of the name (2 bytes), the name, the length of the value (4 bytes) and the value,
/// as JSON. A value is found without reading the others, and nothing is copied to read one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Data(Bytes);

impl Data {
    /// The values in these bytes; `None` if they are malformed.
    pub(super) fn parse(bytes: Bytes) -> Option<Data> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(Data(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let pair;
            (pair, rest) = split(rest)?;
            Some(pair)
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let mut pairs = self.iter();
        pairs
            .find(|(found, _)| *found == name)
            .map(|(_, json)| json)
    }

    /// Sets a value; false if the name or the value is too long for its length.
    #[must_use]
    pub(super) fn set(&mut self, name: &str, json: &[u8]) -> bool {
        let (Ok(name_length), Ok(length)) = (u16::try_from(name.len()), u32::try_from(json.len()))
        else {
            return false;
        };
        let mut all = self.without(name);
        all.extend_from_slice(&name_length.to_be_bytes());
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(&length.to_be_bytes());
        all.extend_from_slice(json);
        self.0 = all.into();
        true
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0 = self.without(name).into();
    }

    /// A copy of all pairs but one.
    fn without(&self, name: &str) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.0.len() + 64);
        let mut rest = &self.0[..];
        while let Some(((found, _), after)) = split(rest) {
            let pair = rest.len() - after.len();
            if found != name {
                kept.extend_from_slice(rest.get(..pair).unwrap_or_default());
            }
            rest = after;
        }
        kept
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The first pair, and what follows it.
fn split(bytes: &[u8]) -> Option<((&str, &[u8]), &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (json, rest) = rest.split_at_checked(length)?;
    Some(((std::str::from_utf8(name).ok()?, json), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_come_back_in_any_order_of_changes(
            changes in prop::collection::vec(("[a-c]{0,2}", prop::option::of(".{0,9}")), 0..20)
        ) {
            let (mut data, mut model) = (Data::default(), std::collections::BTreeMap::new());
            for (name, value) in &changes {
                match value {
                    Some(value) => {
                        prop_assert!(data.set(name, value.as_bytes()));
                        model.insert(name.as_str(), value.as_bytes());
                    }
                    None => {
                        data.remove(name);
                        model.remove(name.as_str());
                    }
                }
            }
            let read = Data::parse(data.0.clone()).expect("what was written");
            let found: std::collections::BTreeMap<_, _> = read.iter().collect();
            prop_assert_eq!(found, model);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(data) = Data::parse(bytes.into()) {
                let length: usize = data.iter().map(|(name, json)| 6 + name.len() + json.len()).sum();
                prop_assert_eq!(length, data.len());
            }
        }
    }
}
