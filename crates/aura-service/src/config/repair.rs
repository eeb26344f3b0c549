//! Deserializes while collecting every fault, not only the first.
//!
//! Serde stops at the first error. So each error is recorded, the value at fault is replaced by its
//! default (or a placeholder when there is none), and the attempt repeated: the next error is the next
//! fault. A value made this way is only used to look for further faults, never returned as valid.

use std::collections::BTreeMap;

use figment::error::Kind;
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::{Fault, Faults};

/// More rounds than any configuration has keys; a bound in case a repair does not make progress.
const MAX_ROUNDS: usize = 500;

/// Where a key's value came from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) source: String,
    /// The environment variable's text, before it was taken for a number or list.
    pub(super) raw: Option<String>,
    /// Set by a name all services share, so it may not concern this one.
    pub(super) shared: bool,
}

#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    pub(super) fn record(&mut self, key: String, origin: Origin) {
        self.0.insert(key, origin);
    }

    pub(super) fn record_leaves(&mut self, dict: &Dict, source: &str) {
        fn walk(dict: &Dict, path: &mut Vec<String>, source: &str, origins: &mut Origins) {
            for (key, value) in dict {
                path.push(key.clone());
                match value {
                    Value::Dict(_, inner) if !inner.is_empty() => walk(inner, path, source, origins),
                    _ => {
                        let origin = Origin { source: source.to_owned(), raw: None, shared: false };
                        origins.record(path.join("."), origin);
                    }
                }
                path.pop();
            }
        }
        walk(dict, &mut Vec::new(), source, self);
    }

    fn under<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Origin> {
        self.0
            .iter()
            .filter(move |(known, _)| {
                known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .map(|(_, origin)| origin)
    }
}

/// Sets `path`, making sections on the way. False when a value stands where a section is needed.
pub(super) fn insert(dict: &mut Dict, path: &[String], value: Value) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        dict.insert(first.clone(), value);
        return true;
    }
    match dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new())) {
        Value::Dict(_, inner) => insert(inner, rest, value),
        _ => false,
    }
}

fn find<'a>(dict: &'a Dict, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = dict.get(first)?;
    match (rest.is_empty(), value) {
        (true, _) => Some(value),
        (false, Value::Dict(_, inner)) => find(inner, rest),
        (false, _) => None,
    }
}

fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        return dict.remove(first).is_some();
    }
    match dict.get_mut(first) {
        Some(Value::Dict(_, inner)) => remove(inner, rest),
        _ => false,
    }
}

/// The part of an error's path that names a key: list positions inside a value are cut off.
fn key_path(dict: &Dict, path: &[String]) -> Vec<String> {
    let mut end = path.len();
    while end > 1 && find(dict, &path[..end]).is_none() {
        end -= 1;
    }
    path[..end].to_vec()
}

/// Stand-ins for a missing value, tried in turn until one has the right type.
fn placeholders() -> Vec<Value> {
    vec![
        Value::from(""),
        Value::from(0_u16),
        Value::from(false),
        Value::from(Vec::<String>::new()),
        Value::from(Dict::new()),
        Value::from("0.0.0.0:0"),
        Value::from("http://localhost"),
    ]
}

struct Repair<'a> {
    dict: Dict,
    defaults: &'a Dict,
    origins: &'a Origins,
    /// How many repairs each key has seen: environment spellings first, then default, then placeholders.
    tries: BTreeMap<String, usize>,
}

/// The value, if one could be made; it is valid only when `faults` stayed empty.
pub(super) fn deserialize<T: DeserializeOwned>(
    dict: Dict,
    defaults: &Dict,
    origins: &Origins,
    faults: &mut Faults,
) -> Option<T> {
    let mut repair = Repair { dict, defaults, origins, tries: BTreeMap::new() };
    for _ in 0..MAX_ROUNDS {
        let error = match Value::from(repair.dict.clone()).deserialize::<T>() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        if !repair.step(error, faults) {
            break;
        }
    }
    None
}

impl Repair<'_> {
    /// Handles one error; false when nothing more can be learnt.
    fn step(&mut self, error: figment::Error, faults: &mut Faults) -> bool {
        let mut path = error.path;
        match error.kind {
            Kind::MissingField(name) => {
                path.push(name.into_owned());
                let key = path.join(".");
                if !faults.has(&key) {
                    let message = format!("is missing{}", hint(&key));
                    faults.push(Fault { key: key.clone(), message, origin: None });
                }
                self.replace(&path, &key)
            }
            Kind::UnknownField(name, known) => {
                if path.last() != Some(&name) {
                    path.push(name);
                }
                let key = path.join(".");
                let origins: Vec<_> = self.origins.under(&key).collect();
                let concerns_others = !origins.is_empty() && origins.iter().all(|origin| origin.shared);
                if !concerns_others {
                    let message = format!("is unknown; known here: {}", known.join(", "));
                    faults.push(Fault { origin: self.source(&key), key, message });
                }
                remove(&mut self.dict, &path)
            }
            kind => {
                let path = key_path(&self.dict, &path);
                let key = path.join(".");
                if path.is_empty() {
                    faults.add("", describe(&kind));
                    return false;
                }
                if self.respell(&path, &key) {
                    return true;
                }
                if !faults.has(&key) {
                    let message = describe(&kind);
                    faults.push(Fault { origin: self.source(&key), key: key.clone(), message });
                }
                self.replace(&path, &key)
            }
        }
    }

    fn source(&self, key: &str) -> Option<String> {
        self.origins.under(key).next().map(|origin| origin.source.clone())
    }

    /// Environment text was guessed to be a number, or text where a list is wanted: try the other ways.
    fn respell(&mut self, path: &[String], key: &str) -> bool {
        let Some(raw) = self.origins.0.get(key).and_then(|origin| origin.raw.clone()) else { return false };
        let tries = self.tries.entry(format!("{key} spelling")).or_default();
        *tries += 1;
        let value = match *tries {
            1 => Value::from(raw),
            2 => {
                let items = raw.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
                Value::from(items.map(str::to_owned).collect::<Vec<_>>())
            }
            _ => return false,
        };
        insert(&mut self.dict, path, value)
    }

    fn replace(&mut self, path: &[String], key: &str) -> bool {
        let tries = self.tries.entry(key.to_owned()).or_default();
        let candidates: Vec<_> =
            find(self.defaults, path).cloned().into_iter().chain(placeholders()).collect();
        let Some(value) = candidates.get(*tries) else { return false };
        *tries += 1;
        insert(&mut self.dict, path, value.clone())
    }
}

fn hint(key: &str) -> String {
    super::SHARED_NAMES
        .iter()
        .find(|(_, shared)| *shared == key)
        .map_or_else(String::new, |(name, _)| format!("; set {name}"))
}

/// The fault in words, without the value: it may be a secret in the wrong place.
fn describe(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, expected) => format!("has the wrong type; expected {expected}"),
        Kind::InvalidValue(_, expected) => format!("has an invalid value; expected {expected}"),
        Kind::InvalidLength(length, expected) => format!("has {length} items; expected {expected}"),
        Kind::UnknownVariant(_, known) => format!("is not one of {}", known.join(", ")),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is out of range".to_owned(),
        Kind::Message(message) => message.clone(),
        other => other.to_string(),
    }
}
