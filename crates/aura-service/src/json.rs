//! JSON as LiveKit reads it: like Go and protobuf's JSON, and more forgiving than serde.
//!
//! `null` stands for an absent field, `60.0` for an integer, and of a field that comes twice the last counts. What
//! remains wrong is an error, never a default.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

/// Reads a document.
///
/// # Errors
/// When it is no JSON, or not of the type's form.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    from_value(serde_json::from_slice(bytes)?)
}

/// Reads what was parsed already.
///
/// # Errors
/// When it is not of the type's form.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(normal(value))
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name, normal(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(normal).collect()),
        Value::Number(number) => Value::Number(whole(&number).unwrap_or(number)),
        other => other,
    }
}

/// The integer a number with a fraction of zero is. Beyond 2^53 a float names no single integer.
fn whole(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = number.is_f64().then(|| number.as_f64()).flatten()?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range checked here")]
    let integer = (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)?;
    Some(integer.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        name: String,
        count: u32,
        share: f64,
        list: Vec<Self>,
        map: BTreeMap<String, String>,
    }

    #[test]
    fn null_is_absent_and_a_whole_number_is_an_integer() {
        let text = br#"{"name":null,"count":60.0,"share":2.0,"list":[{"count":6e1,"map":null}],"map":{"a":null,"b":"c"}}"#;
        let expected = Sample {
            count: 60,
            share: 2.0,
            list: vec![Sample { count: 60, ..Default::default() }],
            map: BTreeMap::from([("b".into(), "c".into())]),
            ..Default::default()
        };
        assert_eq!(from_slice::<Sample>(text).unwrap(), expected);
        assert_eq!(from_slice::<Sample>(br#"{"count":1,"count":2}"#).unwrap().count, 2, "the last counts");
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for wrong in
            [json!({"count": 1.5}), json!({"count": -1.0}), json!({"name": 7}), json!({"count": 1e300})]
        {
            assert!(from_value::<Sample>(wrong.clone()).is_err(), "{wrong}");
        }
        for text in ["", "{", "{}x", "[1]x"] {
            assert!(from_slice::<Sample>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
