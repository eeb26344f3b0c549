//! Calls in the web app: they ring, come back after a reload, and leave each other alone.

use anyhow::Context;
use auralink_tests::{Outcome, PythonParticipant, WebApp, fixture, id};
use serde_json::{Value, json};

use crate::Site;

const IN_CALL: &str = "[data-testid=\"call-status\"][data-phase=\"in-call\"]";

/// Calls Bob, whom the search on the home page has found.
async fn call_bob(caller: &WebApp) -> anyhow::Result<()> {
    let row = format!("{}:has-text(\"Bob\")", id("person-row"));
    caller.window.click(&format!("{row} {}", id("call-person-audio"))).await
}

#[tokio::test]
async fn a_call_comes_back_muted_and_rings_in_the_system() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let (alice, bob) = site.alice_and_bob().await?;
    // Out of sight; every notification is noted, and shown by the browser as it likes.
    let hide = r"() => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => globalThis.__seen ?? 'hidden' });
      globalThis.__notified = [];
      globalThis.Notification = class extends EventTarget {
        static permission = 'granted';
        constructor(title, options) { super(); Object.assign(this, { title, ...options, open: true }); __notified.push(this); }
        close() { this.open = false; }
      };
    }";
    bob.window.evaluate(hide, Value::Null).await?;
    alice.window.fill(&id("people-search"), "B").await?;
    alice.window.see(&id("search-short")).await?;
    alice.window.fill(&id("people-search"), "Bob").await?;
    alice.window.see_gone(&id("search-short")).await?;
    call_bob(&alice).await?;
    bob.window.see(&id("incoming-call")).await?;
    let notified = "() => __notified.map(({ title, open }) => `${title} ${open}`)";
    bob.window.until("the system tells who calls", notified, |list| *list == json!(["Alice true"])).await;
    // A click brings the call up; there it is answered, and the notification goes.
    bob.window.evaluate("() => __notified[0].onclick()", Value::Null).await?;
    bob.window.see(&format!("{}[data-phase=\"incoming\"]", id("call-status"))).await?;
    bob.window.until("it is gone", notified, |list| *list == json!(["Alice false"])).await;
    bob.window.click(&id("accept-call")).await?;
    for app in [&alice, &bob] {
        app.window.exists(IN_CALL).await?;
    }

    bob.window.click(&id("mic")).await?;
    bob.window.see(&format!("{}[data-on=\"false\"]", id("mic"))).await?;
    bob.window.reload().await?;
    bob.window.exists(IN_CALL).await?;
    bob.window.see(&format!("{}[data-on=\"false\"]", id("mic"))).await?;
    Ok(())
}

#[tokio::test]
async fn another_call_leaves_the_running_one_alone() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let (alice, bob) = site.alice_and_bob().await?;
    alice.window.fill(&id("people-search"), "Bob").await?;
    call_bob(&alice).await?;
    bob.window.click(&id("accept-call")).await?;
    for app in [&alice, &bob] {
        app.window.exists(IN_CALL).await?;
    }
    let address = alice.window.url().await?;
    // From here on every change of what the page shows of the call is noted.
    let watch = r"() => {
      const phase = () => document.querySelector('[data-testid=call-status]')?.dataset.phase ?? 'gone';
      globalThis.__phases = [phase()];
      new MutationObserver(() => __phases.at(-1) === phase() || __phases.push(phase()))
        .observe(document.body, { subtree: true, childList: true, attributes: true });
    }";
    alice.window.evaluate(watch, Value::Null).await?;

    let carol = site.stack.api().sign_up("Carol").await?;
    let found = carol.get("/contacts/search?q=Alice").await?;
    let whom = found["items"][0]["id"].as_str().context("Alice is found")?;
    for _ in 0..2 {
        let placed = carol.post("/calls", json!({ "callee_id": whom, "media": "audio" })).await?;
        let text = |field: &str| placed["join"][field].as_str().unwrap_or_default().to_owned();
        let caller = PythonParticipant::join(&text("url"), &text("token"), true).await?;
        alice.window.see(&id("incoming-call")).await?;
        let focus = "() => document.activeElement?.dataset.testid ?? ''";
        let focus = alice.window.evaluate(focus, Value::Null).await?;
        assert_ne!(focus, "accept-call", "the next space bar would end the call she is in");
        let call = placed["call"]["id"].as_str().unwrap_or_default();
        carol.post(&format!("/calls/{call}/end"), json!({})).await?;
        alice.window.see_gone(&id("incoming-call")).await?;
        drop(caller);
    }
    alice.window.hears([&bob]).await;
    bob.window.hears([&alice]).await;
    assert_eq!(alice.window.evaluate("() => __phases", Value::Null).await?, json!(["in-call"]));
    assert_eq!(alice.window.url().await?, address);
    Ok(())
}
