//! Registering, logging in, staying logged in.

use crate::client::{Answer, PASSWORD};
use crate::stack::{Options, Stack};
use aura_testkit::tokens;
use http::Method;
use serde_json::{Value, json};
use sqlx::Row as _;
use std::time::Duration;

#[tokio::test]
async fn signing_up_gives_a_session_and_an_aura_id() {
    let stack = Stack::start().await;
    let alice = stack.person("Zoë Müller").await;
    assert_eq!(alice.aura_id, "@zoe-mueller.aura");
    assert_eq!((&alice.session["token_type"], &alice.session["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert!(alice.session["refresh_token"].as_str().unwrap().len() >= 43);

    let answer = alice.get("/auth/me").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let me = answer.expect(200);
    assert_eq!(me, alice.session["user"]);
    assert_eq!((&me["email"], &me["display_name"]), (&json!(alice.email), &json!("Zoë Müller")));

    let twin = stack.person("Zoë Müller").await;
    assert_ne!(twin.aura_id, alice.aura_id);
    assert!(twin.aura_id.starts_with("@zoe-mueller-"), "{}", twin.aura_id);
}

#[tokio::test]
async fn many_namesakes_at_once_all_get_an_aura_id() {
    let stack = Stack::start().await;
    let people = (0..12).map(|_| stack.person("Alice"));
    let people = futures_util::future::join_all(people).await;
    let ids: std::collections::HashSet<_> = people.iter().map(|person| person.aura_id.clone()).collect();
    assert_eq!(ids.len(), people.len());
}

#[tokio::test]
async fn a_taken_address_is_told_and_bad_fields_are_named() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let register = |email: &str, password: &str, name: &str| {
        let body = json!({"email": email, "password": password, "display_name": name});
        let client = stack.anonymous();
        async move { client.post("/auth/register", body).await }
    };
    let upper = alice.email.to_uppercase();
    register(&upper, PASSWORD, "A").await.problem(409, "already_exists", "email");
    register("nobody", PASSWORD, "A").await.problem(400, "invalid_argument", "email");
    register("a@example.org", "too short", "A").await.problem(400, "invalid_argument", "password");
    register("a@example.org", "Password123", "A").await.problem(400, "invalid_argument", "password");
    register("a@example.org", PASSWORD, "a\u{202e}b").await.problem(400, "invalid_argument", "display_name");
}

#[tokio::test]
async fn logins_fail_alike_whether_or_not_the_account_exists() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let login = |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        let client = stack.anonymous();
        async move { client.post("/auth/login", body).await }
    };
    let session = login(&alice.email.to_uppercase(), PASSWORD).await.expect(200);
    assert_eq!(session["user"]["id"], json!(alice.id));
    let mut wrong = login(&alice.email, "correct horse batterz").await.problem(401, "unauthenticated", "");
    let mut unknown = login("nobody@example.org", PASSWORD).await.problem(401, "unauthenticated", "");
    for body in [&mut wrong, &mut unknown] {
        body["request_id"].take();
    }
    assert_eq!(wrong, unknown);
}

async fn refresh(stack: &Stack, token: &Value) -> Answer {
    stack.anonymous().post("/auth/refresh", json!({"refresh_token": token})).await
}

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_used_refresh_token_ends_the_login() {
    let (stack, clock) = Stack::at_rest().await;
    let alice = stack.person("Alice").await;
    let first = alice.session["refresh_token"].clone();
    let second = refresh(&stack, &first).await.expect(200)["refresh_token"].clone();
    assert_ne!(first, second);
    let third = refresh(&stack, &second).await.expect(200)["refresh_token"].clone();
    clock.advance(GRACE);
    refresh(&stack, &first).await.problem(401, "unauthenticated", "");
    refresh(&stack, &third).await.problem(401, "unauthenticated", "");

    // Another login of the same account is another family.
    let body = json!({"email": alice.email, "password": PASSWORD});
    let other = stack.anonymous().post("/auth/login", body).await.expect(200);
    refresh(&stack, &other["refresh_token"]).await.expect(200);
}

#[tokio::test]
async fn a_refresh_whose_answer_was_lost_may_be_repeated() {
    let (stack, clock) = Stack::at_rest().await;
    let alice = stack.person("Alice").await;
    let first = alice.session["refresh_token"].clone();
    let second = refresh(&stack, &first).await.expect(200)["refresh_token"].clone();
    clock.advance(GRACE - Duration::from_secs(1));
    let again = refresh(&stack, &first).await.expect(200);
    assert_eq!(again["refresh_token"], second, "the same successor, so that a thief's copy still shows");
    let me = stack.anonymous().with_token(again["access_token"].as_str().unwrap()).get("/auth/me").await;
    me.expect(200);

    // Whoever repeats after the successor was used in its turn gets what that led to.
    let third = refresh(&stack, &second).await.expect(200)["refresh_token"].clone();
    assert_eq!(refresh(&stack, &first).await.expect(200)["refresh_token"], third);

    // The last seconds are over: two parties hold it.
    clock.advance(Duration::from_secs(1));
    refresh(&stack, &first).await.problem(401, "unauthenticated", "");
    refresh(&stack, &third).await.problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn repeating_a_refresh_revives_no_ended_login() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let first = alice.session["refresh_token"].clone();
    let second = refresh(&stack, &first).await.expect(200)["refresh_token"].clone();
    stack.anonymous().post("/auth/logout", json!({"refresh_token": second})).await.expect(204);
    refresh(&stack, &first).await.problem(401, "unauthenticated", "");

    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__TOKENS__REFRESH_GRACE_S", 0)).await;
    let bob = stack.person("Bob").await;
    refresh(&stack, &bob.session["refresh_token"]).await.expect(200);
    refresh(&stack, &bob.session["refresh_token"]).await.problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn tabs_that_refresh_at_once_stay_logged_in() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let mut token = alice.session["refresh_token"].clone();
    for _ in 0..3 {
        let tabs = futures_util::future::join_all((0..6).map(|_| refresh(&stack, &token))).await;
        let tokens: Vec<_> = tabs.iter().map(|tab| tab.expect(200)["refresh_token"].clone()).collect();
        assert!(tokens.iter().all(|next| *next == tokens[0] && *next != token), "{tokens:?}");
        token = tokens[0].clone();
    }
}

#[tokio::test]
async fn logging_out_ends_the_login_and_unknown_tokens_are_nobodys_business() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let body = json!({"refresh_token": alice.session["refresh_token"]});
    stack.anonymous().post("/auth/logout", body.clone()).await.expect(204);
    stack.anonymous().post("/auth/refresh", body).await.problem(401, "unauthenticated", "");
    stack.anonymous().post("/auth/logout", json!({"refresh_token": "x"})).await.expect(204);
    stack.anonymous().post("/auth/logout", json!({})).await.expect(204);
}

#[tokio::test]
async fn logins_end_with_time() {
    let (stack, clock) = Stack::at_rest().await;
    let alice = stack.person("Alice").await;
    let body = json!({"refresh_token": alice.session["refresh_token"]});
    clock.advance(Duration::from_secs(16 * 60));
    alice.get("/auth/me").await.problem(401, "unauthenticated", "");
    let second = stack.anonymous().post("/auth/refresh", body).await.expect(200);
    clock.advance(Duration::from_secs(15 * 24 * 3600));
    let body = json!({"refresh_token": second["refresh_token"]});
    stack.anonymous().post("/auth/refresh", body).await.problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn browsers_keep_the_refresh_token_in_a_cookie() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let body = json!({"email": alice.email, "password": PASSWORD, "use_cookie": true});
    let login = stack.anonymous().post("/auth/login", body).await;
    assert_eq!(login.expect(200)["refresh_token"], Value::Null);
    let cookie = login.header("set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap().to_owned();
    let refresh = async |origin: &str| {
        let request = stack.anonymous().request(Method::POST, "/auth/refresh").json(&json!({}));
        Answer::of(request.header("cookie", &pair).header("origin", origin)).await
    };
    refresh("https://evil.example").await.problem(403, "permission_denied", "");
    let renewed = refresh(&format!("http://{}", stack.http())).await;
    assert_eq!(renewed.expect(200)["refresh_token"], Value::Null);
    assert!(renewed.header("set-cookie").starts_with("aura_refresh="));
}

#[tokio::test]
async fn names_can_change_and_others_see_the_new_one() {
    let stack = Stack::start().await;
    let (alice, bob) = (stack.person("Alice").await, stack.person("Bob").await);
    let me = alice.patch("/auth/me", json!({"display_name": "Alicia Q"})).await.expect(200);
    assert_eq!((&me["display_name"], &me["aura_id"]), (&json!("Alicia Q"), &json!(alice.aura_id)));
    let found = bob.get("/contacts/search?q=alicia").await.expect(200);
    assert_eq!(
        found["items"],
        json!([{"id": alice.id, "display_name": "Alicia Q", "aura_id": alice.aura_id}])
    );
    assert_eq!(alice.patch("/auth/me", json!({})).await.expect(200), me);
}

#[tokio::test]
async fn old_hashes_are_renewed_at_login() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let hash = async |database: &aura_testkit::TestDatabase| -> String {
        let mut db = database.superuser().await;
        sqlx::query("SELECT password_hash FROM dashboard.users").fetch_one(&mut db).await.unwrap().get(0)
    };
    let before = hash(&stack.database).await;
    let database = stack.stop().await;
    let options = Options { database: Some(database), ..Options::default() };
    let stack = Stack::with(options.set("AURA_DASHBOARD__PASSWORDS__ITERATIONS", 2)).await;
    let body = json!({"email": alice.email, "password": PASSWORD});
    stack.anonymous().post("/auth/login", body.clone()).await.expect(200);
    let after = hash(&stack.database).await;
    assert!(before.contains("t=1") && after.contains("t=2"), "{before} {after}");
    stack.anonymous().post("/auth/login", body).await.expect(200);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let stack = Stack::with(Options::default().set("AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT", 3)).await;
    let alice = stack.person("Alice").await;
    let guess = json!({"email": alice.email, "password": "not the password"});
    for _ in 0..3 {
        stack.anonymous().post("/auth/login", guess.clone()).await.problem(401, "unauthenticated", "");
    }
    let refused = stack.anonymous().post("/auth/login", guess).await;
    refused.problem(429, "resource_exhausted", "");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    let right = json!({"email": alice.email, "password": PASSWORD});
    stack.anonymous().post("/auth/login", right).await.problem(429, "resource_exhausted", "");
    let bob = stack.person("Bob").await;
    let other = json!({"email": bob.email, "password": PASSWORD});
    stack.anonymous().post("/auth/login", other).await.expect(200);
}

#[tokio::test]
async fn who_is_locked_out_is_whoever_guesses() {
    let options = Options::default()
        .set("AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT", 2)
        .set("AURA_DASHBOARD__LIMITS__LOGIN_PER_ACCOUNT_ANYWHERE", 4);
    let stack = Stack::with(options).await;
    let alice = stack.person("Alice").await;
    let login = async |host: u8, password: &str| {
        let body = json!({"email": alice.email, "password": password});
        stack.anonymous().from([127, 0, 0, host]).post("/auth/login", body).await.status.as_u16()
    };
    for expected in [401, 401, 429, 429, 429, 429] {
        assert_eq!(login(2, "not the password").await, expected);
    }
    assert_eq!(login(3, PASSWORD).await, 200, "one address locks nobody else out");
    // And many addresses together do not try for ever.
    assert_eq!([login(4, "a guess").await, login(5, PASSWORD).await], [401, 429]);
    // Whoever is in stays in.
    refresh(&stack, &alice.session["refresh_token"]).await.expect(200);
}

#[tokio::test]
async fn only_our_own_fresh_tokens_are_good() {
    let stack = Stack::start().await;
    let alice = stack.person("Alice").await;
    let (sub, now) = (json!(alice.id), tokens::now_s());
    let secret = crate::stack::USER_SECRET;
    let real = tokens::user(secret, json!({"sub": sub}));
    stack.anonymous().with_token(&real).get("/auth/me").await.expect(200);
    let claims = json!({"sub": sub, "aud": "auralink", "sid": "x", "iat": now, "exp": now + 900});
    let bad = [
        ("expired", tokens::user(secret, json!({"sub": sub, "iat": now - 2000, "exp": now - 1000}))),
        ("not yet", tokens::user(secret, json!({"sub": sub, "iat": now + 600, "exp": now + 900}))),
        ("other key", tokens::user("another secret of thirty-two bytes!", json!({"sub": sub}))),
        ("alg none", tokens::alg_none(&claims)),
        ("changed claims", tokens::with_claims(&real, &claims)),
        ("other audience", tokens::user(secret, json!({"sub": sub, "aud": "elsewhere"}))),
        ("a service's", tokens::service(secret, "dashboard", 60)),
        ("a participant's", tokens::join("key", secret, "room", &alice.id)),
        ("no user", tokens::user(secret, json!({"sub": "nobody"}))),
        ("odd scope", tokens::user(secret, json!({"sub": sub, "scope": "everything"}))),
        (
            "a user with a guest's scope",
            tokens::user(secret, json!({"sub": sub, "scope": format!("room:{}", alice.id)})),
        ),
        ("garbage", "x.y.z".to_owned()),
        ("empty parts", "..".to_owned()),
    ];
    for (what, token) in bad {
        let answer = stack.anonymous().with_token(&token).get("/auth/me").await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        assert!(!answer.text().contains(&alice.email), "{what}");
    }
}
