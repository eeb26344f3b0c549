//! The keyboard, the browser's Back, and words half written.

use auralink_tests::{Outcome, Window, fixture, id};
use serde_json::{Value, json};

use crate::Site;

/// Whether the chosen one of two buttons stands out: its background against the one beside it.
const CHOICE_CONTRAST: &str = r"() => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const page = getComputedStyle(document.querySelector('.meeting')).backgroundColor;
  const luminance = (colors) => {
    for (const color of [page, ...colors]) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const color = (selector) => getComputedStyle(document.querySelector(selector)).backgroundColor;
  const group = color('.layouts');
  const [on, off] = ['true', 'false'].map((pressed) => luminance([group, color(`.layouts [aria-pressed=${pressed}]`)]));
  return (Math.max(on, off) + 0.05) / (Math.min(on, off) + 0.05);
}";

async fn layout_stands_out(window: &Window) {
    // Colours fade over a moment.
    window
        .until("the chosen layout stands out", CHOICE_CONTRAST, |ratio| ratio.as_f64().unwrap_or(0.0) >= 3.0)
        .await;
}

/// The page is asked whether it may close, as when its tab is closed.
const MAY_CLOSE: &str = r"() => dispatchEvent(new Event('beforeunload', { cancelable: true }))";

#[tokio::test]
async fn back_asks_first_and_escape_gives_the_focus_back() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.person("Alice").await?;
    let window = &alice.window;
    let room = alice.create_room("Stand-up").await?;
    // By a link inside the app, so that Back leads to the home page.
    window.click(&id("room-open")).await?;
    window.see(&id("join")).await?;
    assert_eq!(window.evaluate(MAY_CLOSE, Value::Null).await?, true);
    window.click(&id("join")).await?;
    window.see(&id("leave")).await?;
    window.until("connected", "() => window.__aura?.room.state", |state| *state == "connected").await;

    for _ in 0..2 {
        window.evaluate("() => history.back()", Value::Null).await?;
        window.see(&id("confirm")).await?;
        window.key("Escape").await?;
        window.see_gone(&id("confirm")).await?;
        window.see(&id("leave")).await?;
    }
    assert_eq!(window.evaluate(MAY_CLOSE, Value::Null).await?, false, "closing is asked about");
    let state = window.evaluate("() => window.__aura.room.state", Value::Null).await?;
    assert_eq!(state, "connected", "being asked is not leaving");

    let focused = "() => document.activeElement?.dataset.testid ?? document.activeElement?.tagName";
    for opened_by in ["click", "key"] {
        if opened_by == "click" {
            window.click(&id("chat-toggle")).await?;
        } else {
            window.evaluate("() => document.activeElement.blur()", Value::Null).await?;
            window.key("c").await?;
        }
        window.until("the message field has the focus", focused, |at| *at == "chat-input").await;
        window.key("Escape").await?;
        window.see_gone(&id("chat-input")).await?;
        window.until("the focus is back", focused, |at| *at == "chat-toggle").await;
    }

    layout_stands_out(window).await;
    window.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }", Value::Null).await?;
    layout_stands_out(window).await;

    window.evaluate("() => history.back()", Value::Null).await?;
    window.click(&id("confirm")).await?;
    window.see(&id("rejoin")).await?;
    assert_eq!(window.evaluate(MAY_CLOSE, Value::Null).await?, true);
    assert!(window.url().await?.ends_with(&format!("/room/{room}")));
    // The guard is gone with the meeting: Back leads where it led before.
    window
        .until("the meeting's own entry is on top", "() => history.state?.kind ?? null", |kind| {
            kind.is_null()
        })
        .await;
    window.evaluate("() => history.back()", Value::Null).await?;
    window.see(&id("create-room")).await?;
    Ok(())
}

#[tokio::test]
async fn keys_go_where_one_is_and_words_half_written_stay() -> Outcome {
    let _turn = fixture::turn().await;
    let site = Site::start().await?;
    let alice = site.person("Alice").await?;
    let window = &alice.window;
    let room = alice.create_room("Stand-up").await?;
    let focused = "() => document.activeElement?.dataset.testid ?? document.activeElement?.tagName";
    window.click(&id("room-more")).await?;
    window.click(".menu-item:not(.menu-item-danger)").await?;
    window.until("the name has the focus", focused, |at| *at == "rename-name").await;
    window.type_text(" of all").await?;
    window.key("Escape").await?;
    window.see_gone(&id("rename-name")).await?;
    window.until("the focus is back", focused, |at| *at == "room-more").await;

    // Whoever comes in with the microphone on is never told that it is off.
    window.goto(&site.page(&format!("/room/{room}"))).await?;
    let watch = r"() => {
      globalThis.__on = [];
      new MutationObserver(() => {
        const on = document.querySelector('.control[data-testid=mic]')?.dataset.on;
        if (on && __on.at(-1) !== on) __on.push(on);
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    }";
    window.evaluate(watch, Value::Null).await?;
    window.click(&id("join")).await?;
    let live = "() => window.__aura?.room.localParticipant.isMicrophoneEnabled";
    window.until("the microphone is on", live, |on| *on == true).await;
    window.see(&format!(".control{}:not(:disabled)", id("mic"))).await?;
    assert_eq!(window.evaluate("() => __on", Value::Null).await?, json!(["true"]));

    window.click(&id("chat-toggle")).await?;
    window.fill(&id("chat-input"), "half a thou").await?;
    window.key("Escape").await?;
    window.see_gone(&id("chat-input")).await?;
    window.click(&id("participants-toggle")).await?;
    window.click(&id("chat-toggle")).await?;
    let text = "() => document.querySelector('[data-testid=chat-input]')?.value";
    window.until("the draft is there", text, |text| *text == "half a thou").await;

    // What is too long is said to be, and stays whole.
    let long = "x".repeat(4_003);
    window.fill(&id("chat-input"), &long).await?;
    window.see(&format!("{}:has-text(\"3 characters too many\")", id("chat-excess"))).await?;
    window.press(&id("chat-input"), "Enter").await?;
    assert_eq!(window.evaluate(text, Value::Null).await?, json!(long));
    window.fill(&id("chat-input"), &long[..4_000]).await?;
    window.see_gone(&id("chat-excess")).await?;
    window.is_accessible("chat").await;
    window.press(&id("chat-input"), "Enter").await?;
    let sent = "() => document.querySelector('[data-testid=chat-message] .message-text')?.textContent.length";
    window.until("all of it is sent", sent, |length| *length == 4_000).await;
    Ok(())
}
