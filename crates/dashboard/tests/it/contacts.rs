//! Finding people and keeping them.

use crate::stack::Stack;
use serde_json::json;

#[tokio::test]
async fn people_are_found_by_name_aura_id_and_whole_address() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice Adams").await, stack.person("Bob").await);
    let search = async |q: &str| {
        let found = bob.client.get(&format!("/contacts/search?q={q}")).await.expect(200);
        found["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|person| person["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let aura = alice.aura_id.trim_start_matches('@').to_owned();
    for q in ["ali", "ALICE%20a", &alice.aura_id, &aura, &alice.email] {
        assert_eq!(search(q).await, std::slice::from_ref(&alice.id), "{q}");
    }
    for q in ["adams", "bob", "zz", "%25%25", alice.email.split('@').next().unwrap()] {
        assert!(search(q).await.is_empty(), "{q}");
    }
    assert!(!bob.get("/contacts/search?q=ali").await.text().contains(&alice.email));
    bob.get("/contacts/search?q=a").await.problem(400, "invalid_argument", "q");
    bob.get("/contacts/search").await.problem(400, "invalid_argument", "q");
    bob.get("/contacts/search?q=ali&x=1").await.problem(400, "invalid_argument", "x");
}

#[tokio::test]
async fn contacts_are_kept_once_listed_in_pages_and_let_go() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let mut kept = Vec::new();
    for name in ["Bob", "Carol", "Dave"] {
        let person = stack.person(name).await;
        for _ in 0..2 {
            let added = alice.post("/contacts", json!({"user_id": person.id})).await.expect(201);
            assert_eq!(added["id"], json!(person.id));
        }
        kept.insert(0, person.id);
    }
    let first = alice.get("/contacts?limit=2").await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = alice.get(&format!("/contacts?limit=2&cursor={cursor}")).await.expect(200);
    let ids: Vec<_> =
        [&first, &second].into_iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    let ids: Vec<_> = ids.iter().map(|person| person["id"].as_str().unwrap()).collect();
    assert_eq!(ids, kept);
    assert!(second["next_cursor"].is_null());

    alice.delete(&format!("/contacts/{}", kept[0])).await.expect(204);
    alice.delete(&format!("/contacts/{}", kept[0])).await.problem(404, "not_found", "");
    assert_eq!(alice.get("/contacts").await.expect(200)["items"].as_array().unwrap().len(), 2);
    alice.post("/contacts", json!({"user_id": alice.id})).await.problem(400, "invalid_argument", "user_id");
    let nobody = uuid::Uuid::new_v4();
    alice.post("/contacts", json!({"user_id": nobody})).await.problem(404, "not_found", "");
    alice.get("/contacts?limit=0").await.problem(400, "invalid_argument", "limit");
    alice.get("/contacts?cursor=nonsense").await.problem(400, "invalid_argument", "cursor");
}
