//! `/api/openapi.json` and `/api/docs`: the document, and a page made from it on the server.
//!
//! The page needs no script and nothing from third parties.

use crate::app::App;
use axum::Router;
use axum::routing::get;
use http::header;
use serde_json::Value;
use std::fmt::Write as _;
use utoipa::openapi::OpenApi;

const STYLE: &str = include_str!("docs.css");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(crate) fn routes(document: &OpenApi) -> Router<App> {
    let json = super::document_json(document);
    let page = page(&serde_json::to_value(document).expect("the document serializes"));
    let text = |kind: &'static str, body: String| {
        get(
            move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], body) },
        )
    };
    Router::new()
        .route("/api/openapi.json", text("application/json", json))
        .route("/api/docs", text("text/html; charset=utf-8", page))
        .route("/api/docs/style.css", text("text/css; charset=utf-8", STYLE.to_owned()))
}

fn page(document: &Value) -> String {
    let mut html = String::new();
    let title = text(&document["info"]["title"]);
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"/api/docs/style.css\"><main><h1>{title}</h1><p>{}</p>\
         <p><a href=\"/api/openapi.json\">openapi.json</a></p>",
        text(&document["info"]["description"])
    );
    let mut tags: Vec<&str> = operations(document).map(|(_, _, operation)| tag(operation)).collect();
    tags.dedup();
    tags.sort_unstable();
    tags.dedup();
    for wanted in tags {
        let _ = write!(html, "<h2>{}</h2>", escape(wanted));
        for (path, method, operation) in
            operations(document).filter(|(_, _, operation)| tag(operation) == wanted)
        {
            write_operation(&mut html, path, method, operation);
        }
    }
    html.push_str("<h2>Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let pretty = serde_json::to_string_pretty(schema).unwrap_or_default();
        let name = escape(name);
        let _ = write!(
            html,
            "<details id=\"{name}\"><summary>{name}</summary><pre>{}</pre></details>",
            escape(&pretty)
        );
    }
    html.push_str("</main></html>");
    html
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    })
}

fn tag(operation: &Value) -> &str {
    operation["tags"][0].as_str().unwrap_or("other")
}

fn write_operation(html: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        html,
        "<details><summary><b class=\"{method}\">{}</b> <code>{}</code> <span>{}</span></summary><p>{}</p>",
        method.to_uppercase(),
        escape(path),
        text(&operation["summary"]),
        text(&operation["description"])
    );
    if let Some(parameters) = operation["parameters"].as_array().filter(|list| !list.is_empty()) {
        html.push_str("<h3>Parameters</h3><ul>");
        for parameter in parameters {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let _ =
                write!(html, "<li><code>{name}</code> ({place}) {}</li>", text(&parameter["description"]));
        }
        html.push_str("</ul>");
    }
    for (kind, media) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ =
            write!(html, "<h3>Body</h3><p><code>{}</code> {}</p>", escape(kind), reference(&media["schema"]));
    }
    html.push_str("<h3>Responses</h3><ul>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let shape = response["content"].as_object().and_then(|content| content.values().next());
        let shape = shape.map(|media| reference(&media["schema"])).unwrap_or_default();
        let _ = write!(html, "<li><b>{}</b> {} {shape}</li>", escape(status), text(&response["description"]));
    }
    html.push_str("</ul></details>");
}

fn reference(schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.map(|name| format!("<a href=\"#{0}\">{0}</a>", escape(name))).unwrap_or_default()
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_loads_nothing_foreign() {
        let (_, _, document) = crate::api::routes();
        let value = serde_json::to_value(&document).unwrap();
        let html = page(&value);
        for (path, method, _) in operations(&value) {
            assert!(html.contains(&format!("{}</b> <code>{path}", method.to_uppercase())), "{method} {path}");
        }
        assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("http://"));
        assert_eq!(value["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
    }
}
