//! Uploads and downloads.

use crate::client::Answer;
use crate::stack::{Options, Stack};
use http::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

pub(crate) fn stored(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test]
async fn files_come_back_as_they_were_and_as_attachments() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let file = alice.upload("/files", "../../März \"1\".html", PNG).await.expect(201);
    assert_eq!(
        (&file["name"], &file["content_type"], &file["size_bytes"], &file["room_id"]),
        (&json!("März 1.html"), &json!("image/png"), &json!(PNG.len()), &json!(null))
    );
    assert_eq!(file["sha256"], json!(hex::encode(Sha256::digest(PNG))));
    let path = format!("/files/{}", file["id"].as_str().unwrap());
    assert_eq!(alice.get(&path).await.expect(200), file);
    assert_eq!(alice.get("/files").await.expect(200)["items"], json!([file]));

    let content = alice.get(&format!("{path}/content")).await;
    assert_eq!((content.status.as_u16(), content.bytes.as_slice()), (200, PNG));
    assert_eq!(
        content.header("content-disposition"),
        "attachment; filename=\"M_rz 1.html\"; filename*=UTF-8''M%C3%A4rz%201.html"
    );
    assert_eq!(content.header("x-content-type-options"), "nosniff");
    assert_eq!(content.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(content.header("content-type"), "image/png");
    assert_eq!(content.header("content-length"), PNG.len().to_string());

    let on_disk = stored(stack.files.path());
    assert_eq!(on_disk.len(), 1);
    let name = on_disk[0].file_name().unwrap().to_str().unwrap();
    assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    alice.delete(&path).await.expect(204);
    assert!(stored(stack.files.path()).is_empty());
    alice.get(&format!("{path}/content")).await.problem(404, "not_found", "");
}

#[tokio::test]
async fn what_a_browser_would_run_is_plain_bytes() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    for (name, bytes, kind) in [
        ("a.png", &b"<!doctype html><script>alert(1)</script>"[..], "application/octet-stream"),
        (
            "a.svg",
            b"<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>",
            "application/octet-stream",
        ),
        ("a.txt", "Grüße".as_bytes(), "text/plain"),
        ("empty", b"", "application/octet-stream"),
    ] {
        assert_eq!(
            alice.upload("/files", name, bytes).await.expect(201)["content_type"],
            json!(kind),
            "{name}"
        );
    }
}

#[tokio::test]
async fn too_much_is_refused_and_leaves_nothing() {
    let options = Options::default().set("AURA_DASHBOARD__FILES__MAX_BYTES", 100_000);
    let stack = Stack::with(options).await;
    let alice = stack.person("Alice").await;
    alice.upload("/files", "fits", vec![1; 100_000]).await.expect(201);
    // Over the file's cap but within the body's, and over both.
    alice.upload("/files", "big", vec![1; 100_001]).await.problem(413, "payload_too_large", "");
    alice.upload("/files", "huge", vec![1; 400_000]).await.problem(413, "payload_too_large", "");
    assert_eq!(stored(stack.files.path()).len(), 1);
}

#[tokio::test]
async fn the_head_of_a_part_is_short() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    alice.upload("/files", &"x".repeat(8_000), vec![1; 3_000_000]).await.expect(201);
    for bytes in [1_000_000, 20_000_000] {
        let answer = alice.upload("/files", &"x".repeat(bytes), vec![1]).await;
        let problem = answer.problem(400, "invalid_argument", "file");
        assert_eq!(problem["errors"][0]["message"], json!("the head of a part is longer than 16384 bytes"));
    }
    assert_eq!(stored(stack.files.path()).len(), 1);
}

#[tokio::test]
async fn only_a_form_with_one_file_is_an_upload() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let send = async |form: reqwest::multipart::Form| {
        Answer::of(alice.request(Method::POST, "/files").multipart(form)).await
    };
    let form = reqwest::multipart::Form::new;
    let bytes = || reqwest::multipart::Part::bytes(vec![1, 2, 3]).file_name("a");
    send(form()).await.problem(400, "invalid_argument", "file");
    send(form().text("admin", "true")).await.problem(400, "invalid_argument", "admin");
    send(form().part("file", bytes()).text("admin", "true")).await.problem(400, "invalid_argument", "admin");
    let json = Answer::of(alice.request(Method::POST, "/files").json(&json!({}))).await;
    json.problem(415, "unsupported_media_type", "");
    assert!(stored(stack.files.path()).is_empty());
}

#[tokio::test]
async fn room_files_belong_to_the_room() {
    let stack = Stack::start().await;
    let (alice, bob, eve) =
        (stack.person("Alice").await, stack.person("Bob").await, stack.person("Eve").await);
    let room = alice.room().await;
    let invite = alice.invite(&room).await;
    bob.post(&format!("/invites/{invite}/join"), json!({})).await.expect(200);
    let files = format!("/rooms/{room}/files");
    let bobs = bob.upload(&files, "bob.txt", "hello").await.expect(201);
    let alices = alice.upload(&files, "alice.txt", "hello").await.expect(201);
    assert_eq!((&bobs["room_id"], &bobs["uploader_name"]), (&json!(room), &json!("Bob")));
    let path = |file: &serde_json::Value| format!("/files/{}", file["id"].as_str().unwrap());

    assert_eq!(alice.get(&files).await.expect(200)["items"], json!([alices, bobs]));
    assert_eq!(bob.get(&format!("{}/content", path(&alices))).await.status, 200);
    bob.delete(&path(&alices)).await.problem(403, "permission_denied", "");
    bob.post(&format!("{}/shares", path(&alices)), json!({})).await.problem(403, "permission_denied", "");
    for client in [&eve.client, &stack.anonymous()] {
        let status = if client.get("/auth/me").await.status == 200 { 404 } else { 401 };
        assert_eq!(client.get(&path(&bobs)).await.status, status);
        assert_eq!(client.get(&format!("{}/content", path(&bobs))).await.status, status);
        assert_eq!(client.upload(&files, "x", "x").await.status, status);
    }
    alice.delete(&path(&bobs)).await.expect(204);
    alice.delete(&format!("/rooms/{room}")).await.expect(204);
    assert!(stored(stack.files.path()).is_empty(), "a deleted room leaves no bytes");
    alice.get(&path(&alices)).await.problem(404, "not_found", "");
}
