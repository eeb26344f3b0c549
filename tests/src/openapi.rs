//! The operations of an OpenAPI document, and bodies their schemas allow or forbid.

use anyhow::Context;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::browser::entries;

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// HTTP method.
    pub method: Method,
    /// Path with its parameters in braces.
    pub path: String,
    /// Whether it needs no token.
    pub is_public: bool,
    /// Whether it takes no token at all.
    pub takes_nobody: bool,
    /// Schema of its JSON body.
    pub body: Option<Value>,
    /// Whether it takes a file.
    pub is_upload: bool,
    /// Its query parameters that are numbers.
    pub query: Vec<String>,
    /// Statuses the document names.
    pub statuses: Vec<String>,
}

impl Operation {
    /// Method and path.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether the path has this parameter.
    pub fn has_parameter(&self, name: &str) -> bool {
        self.path.contains(&format!("{{{name}}}"))
    }

    /// Whether its path names something that belongs to somebody.
    pub fn names_a_belonging(&self) -> bool {
        self.path.contains('{') && !self.has_parameter("token")
    }
}

/// Every operation of a document.
pub fn operations(document: &Value) -> anyhow::Result<Vec<Operation>> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().context("a document has paths")? {
        for (method, operation) in methods.as_object().context("a path has methods")? {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let content = &operation["requestBody"]["content"];
            let schema = &content["application/json"]["schema"];
            let security: Vec<&Value> = match &operation["security"] {
                Value::Null => entries(&document["security"]).collect(),
                own => entries(own).collect(),
            };
            let is_public = security.is_empty() || security.iter().any(|need| **need == json!({}));
            let parameters = entries(&operation["parameters"]);
            found.push(Operation {
                method,
                path: path.clone(),
                is_public,
                takes_nobody: is_public && !security.iter().any(|need| need["bearer"].is_array()),
                body: (!schema.is_null()).then(|| schema.clone()),
                is_upload: content.get("multipart/form-data").is_some(),
                query: parameters
                    .filter(|parameter| {
                        parameter["in"] == "query" && parameter["schema"].to_string().contains("integer")
                    })
                    .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                    .collect(),
                statuses: operation["responses"]
                    .as_object()
                    .into_iter()
                    .flat_map(Map::keys)
                    .cloned()
                    .collect(),
            });
        }
    }
    Ok(found)
}

/// The schema itself: references followed, null left out of alternatives.
pub fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return document.pointer(reference.trim_start_matches('#')).unwrap_or(schema);
    }
    for list in ["oneOf", "anyOf", "allOf"] {
        if let Some(first) = entries(&schema[list]).find(|option| option["type"] != "null") {
            return resolve(document, first);
        }
    }
    schema
}

/// The first type a schema names that is not null.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("")
        }
        kind => kind.as_str().unwrap_or(""),
    }
}

/// A value a schema allows, with its required properties only.
pub fn sample(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    if let Some(first) = entries(&schema["enum"]).next() {
        return first.clone();
    }
    match (kind(schema), schema["format"].as_str()) {
        ("object", _) => {
            let required = entries(&schema["required"]).filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), sample(document, &schema["properties"][name]))).collect()
        }
        ("string", Some("uuid")) => json!("0190a0a0-0000-7000-8000-000000000001"),
        ("string", Some("email")) => json!("somebody.else@example.com"),
        ("string", _) => {
            let length = schema["minLength"].as_u64().unwrap_or(1).clamp(1, 100) as usize;
            json!("x".repeat(length))
        }
        ("integer" | "number", _) => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        ("boolean", _) => json!(true),
        ("array", _) => json!([]),
        _ => Value::Null,
    }
}

/// A value of a type the schema does not allow.
pub fn wrong(document: &Value, schema: &Value) -> Value {
    match kind(resolve(document, schema)) {
        "string" => json!({ "not": "a string" }),
        "boolean" => json!("not a boolean"),
        "integer" | "number" => json!("not a number"),
        "array" => json!("not a list"),
        _ => json!([["not an object"]]),
    }
}
