//! Operations of the OpenAPI document, with bodies made from their schemas.

use super::world::World;
use crate::client::PASSWORD;
use crate::document::document;
use http::Method;
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    /// Works without a token.
    pub(super) public: bool,
    pub(super) statuses: Vec<String>,
    pub(super) body: Body,
    /// Whether the document says that the body may not be left out.
    pub(super) body_required: bool,
    query: Vec<String>,
}

pub(super) enum Body {
    None,
    /// An object schema, references resolved.
    Json(Value),
    Form,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Operation {
    /// The path with Alice's ids in it.
    pub(super) fn url(&self, world: &World) -> String {
        let mut url = self.path.clone();
        for (name, value) in &world.ids {
            url = url.replace(&format!("{{{name}}}"), value);
        }
        assert!(!url.contains('{'), "{self}: the world has no value for a parameter");
        if self.query.is_empty() { url } else { format!("{url}?{}=alice", self.query[0]) }
    }

    /// Whether the path names something of somebody's. Tokens of links are secrets, not ids.
    pub(super) fn takes_ids(&self) -> bool {
        self.path.contains('{') && !self.public
    }
}

pub(super) fn operations() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(|(m, o)| operation(path, m, o)))
        .collect()
}

fn operation(path: &str, method: &str, operation: &Value) -> Operation {
    let security = operation.get("security").unwrap_or(&DOCUMENT["security"]);
    let content = operation["requestBody"]["content"].as_object();
    let body = match content.and_then(|content| content.iter().next()) {
        None => Body::None,
        Some((kind, media)) if kind == "application/json" => Body::Json(resolve(&media["schema"])),
        Some((kind, _)) => {
            assert_eq!(kind, "multipart/form-data", "{method} {path}");
            Body::Form
        }
    };
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|p| p["in"] == "query" && p["required"] == json!(true));
    Operation {
        method: method.to_uppercase().parse().unwrap(),
        path: path.to_owned(),
        public: security.as_array().unwrap().iter().any(|way| way.as_object().unwrap().is_empty()),
        statuses: operation["responses"].as_object().unwrap().keys().cloned().collect(),
        body,
        body_required: operation["requestBody"]["required"] == json!(true),
        query: query.map(|p| p["name"].as_str().unwrap().to_owned()).collect(),
    }
}

fn resolve(schema: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap().clone(),
        None => schema.clone(),
    }
}

pub(super) fn required(schema: &Value) -> Vec<String> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

pub(super) fn fields(schema: &Value) -> Map<String, Value> {
    schema["properties"].as_object().cloned().unwrap_or_default()
}

/// A body with every required field, each acceptable.
pub(super) fn valid(schema: &Value) -> Value {
    let fields = fields(schema);
    let body = required(schema).into_iter().map(|name| {
        let value = example(&name, &resolve(&fields[&name]));
        (name, value)
    });
    Value::Object(body.collect())
}

fn example(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match (name, schema["format"].as_str()) {
        (_, Some("uuid")) => json!(uuid::Uuid::new_v4()),
        (_, Some("email")) => json!(format!("{}@example.org", uuid::Uuid::new_v4().simple())),
        (_, Some("password")) => json!(PASSWORD),
        _ => match kind(schema) {
            "string" => json!("something"),
            "boolean" => json!(true),
            "integer" => json!(schema["minimum"].as_i64().unwrap_or(1)),
            "number" => json!(schema["minimum"].as_f64().unwrap_or(1.0)),
            "object" => json!({}),
            other => panic!("no example for {name}: {other}"),
        },
    }
}

/// A value of a type the field does not take.
pub(super) fn wrong(schema: &Value) -> Value {
    match kind(&resolve(schema)) {
        "string" => json!(12),
        "boolean" => json!("yes"),
        "integer" | "number" => json!("many"),
        "object" => json!("text"),
        other => panic!("no wrong value for {other}"),
    }
}

/// The type of a schema, null aside.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap(),
        _ => "string",
    }
}
