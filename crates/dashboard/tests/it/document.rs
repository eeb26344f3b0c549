//! The OpenAPI document: complete, committed, served.

use crate::stack::Stack;
use serde_json::Value;

pub(crate) fn document() -> Value {
    serde_json::from_str(&dashboard::openapi()).unwrap()
}

#[test]
fn the_committed_document_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/web/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == dashboard::openapi(),
        "web/openapi.json is stale: cargo run -p dashboard -- openapi > crates/dashboard/web/openapi.json"
    );
}

#[test]
fn every_operation_says_what_it_does_takes_and_answers() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{place}");
            assert!(ids.insert(operation["operationId"].clone()), "{place}");
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
            let named = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            for name in named {
                assert!(
                    parameters.iter().any(|p| p["name"] == *name && p["in"] == "path"),
                    "{place}: {name}"
                );
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(!response["description"].as_str().unwrap_or_default().is_empty(), "{place} {status}");
                if status.starts_with(['4', '5']) {
                    let shape = &response["content"]["application/problem+json"]["schema"]["$ref"];
                    assert_eq!(shape, "#/components/schemas/Problem", "{place} {status}");
                }
            }
        }
    }
    for reference in references(&document) {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value {
                Value::String(text) if key == "$ref" => vec![text.clone()],
                other => references(other),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let stack = Stack::start().await;
    let client = stack.anonymous();
    assert_eq!(client.get("/api/openapi.json").await.expect(200), document());
    let page = client.get("/api/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text().contains("/api/v1/auth/register"));
    let style = client.get("/api/docs/style.css").await;
    assert!(style.header("content-type").starts_with("text/css"));
}
