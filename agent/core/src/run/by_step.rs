//! Maps by step, in JSON.
//!
//! **In:** JSON objects, whose keys are always text.
//! **Out:** a map by the step's number.
//! **Not here:** what is in the maps ([`super`]).
//!
//! A record names its variant in a field, so serde reads it into a buffer first, and from a
//! buffer a text is no number any more: without this a snapshot with a run could be written
//! and never be read.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error as _};

/// Reads a map whose keys are numbers, written as text.
pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<BTreeMap<u16, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let by_text = BTreeMap::<String, T>::deserialize(deserializer)?;
    let numbered = by_text.into_iter().map(|(step, it)| match step.parse() {
        Ok(step) => Ok((step, it)),
        Err(_) => Err(D::Error::custom(format!("`{step}` is not the number of a step"))),
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    /// As a record is.
    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    #[serde(tag = "record", rename_all = "snake_case")]
    enum Tagged {
        One {
            #[serde(deserialize_with = "deserialize")]
            by_step: BTreeMap<u16, bool>,
        },
    }

    #[test]
    fn a_map_by_step_in_a_record_is_read_as_it_was_written() {
        let written = Tagged::One { by_step: [(0, true), (65_535, false)].into() };
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(text, r#"{"record":"one","by_step":{"0":true,"65535":false}}"#);
        assert_eq!(serde_json::from_str::<Tagged>(&text).unwrap(), written);
    }

    #[test]
    fn what_is_no_number_of_a_step_is_refused() {
        let text = r#"{"record":"one","by_step":{"65536":true}}"#;
        let error = serde_json::from_str::<Tagged>(text).unwrap_err();
        assert_eq!(error.to_string(), "`65536` is not the number of a step");
    }
}
