//! Whether a screen can be used: nothing cut off, covered, or too small for a finger.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::browser::{Window, entries};

/// Controls that are cut off by the box around them or lie under something else, in words.
const OUT_OF_REACH: &str = r"() => {
  const box = (element) => element.getBoundingClientRect();
  const whole = document.querySelector('dialog[open]') ?? document.querySelector('aside') ?? document;
  return [...whole.querySelectorAll('button, a, input, select, textarea')].flatMap((control) => {
    const { left, right, top, bottom, width, height } = box(control);
    if (width === 0 || height === 0 || control.closest('.visually-hidden, .skip, [hidden]')) return [];
    const around = control.closest('aside, dialog, .card, .tile, .prejoin-form, header, footer, main');
    const limit = around ? box(around) : { left: 0, right: innerWidth };
    const name = `${control.dataset.testid ?? ''} “${(control.ariaLabel ?? control.textContent).slice(0, 30)}”`;
    if (left < Math.max(0, limit.left) - 1 || right > Math.min(innerWidth, limit.right) + 1) {
      return [`${name} sticks out: ${left}–${right} of ${limit.left}–${limit.right}`];
    }
    if (top < 0 || bottom > innerHeight || getComputedStyle(control).opacity === '0') return [];
    const there = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    // What sticks to an edge lets the page be scrolled from under it.
    const over = there?.closest('button, header');
    if (over && getComputedStyle(over).position === 'sticky') return [];
    const reached = there && (control.contains(there) || there.contains(control) || control.labels?.[0]?.contains(there));
    return reached ? [] : [`${name} lies under ${there?.className}`];
  });
}";

/// Buttons too small for a finger.
const TOO_SMALL: &str = r"() => [...document.querySelectorAll('button:not(.link), a.button')].flatMap((button) => {
  const { width, height } = button.getBoundingClientRect();
  const small = width > 0 && (width < 43.5 || height < 43.5);
  return small ? [`${button.dataset.testid ?? button.ariaLabel ?? button.textContent}: ${width} × ${height}`] : [];
})";

/// What toasts cover that people read or press, and toasts of more than two lines.
const TOASTS_IN_THE_WAY: &str = r"() => {
  const box = (element) => element.getBoundingClientRect();
  const toasts = [...document.querySelectorAll('.toast')];
  const read = [...document.querySelectorAll('.tile-label, .topbar, .controls, .banner, .panel-head, .composer')];
  const high = toasts.filter((toast) => box(toast).height > 64).map((toast) => `${box(toast).height} high: ${toast.textContent}`);
  const covered = toasts.flatMap((toast) => read.filter((label) => {
    const [a, b] = [box(toast), box(label)];
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  }).map((label) => `covers ${label.className}`));
  return [...high, ...covered];
}";

async fn none(window: &Window, screen: &str, source: &str) -> anyhow::Result<()> {
    let found = window.evaluate(source, Value::Null).await?;
    let faults: Vec<&str> = entries(&found).filter_map(Value::as_str).collect();
    ensure!(faults.is_empty(), "{screen} ({}):\n{}", window.name(), faults.join("\n"));
    Ok(())
}

/// Every control can be reached, and nothing is wider than the window.
pub async fn fits(window: &Window, screen: &str) -> anyhow::Result<()> {
    none(window, screen, OUT_OF_REACH).await?;
    ensure!(!window.scrolls_sideways().await?, "{screen} ({}) scrolls sideways", window.name());
    Ok(())
}

/// Every button is big enough for a finger.
pub async fn suits_fingers(window: &Window, screen: &str) -> anyhow::Result<()> {
    none(window, screen, TOO_SMALL).await
}

/// Toasts cover nothing and are short.
pub async fn toasts_are_out_of_the_way(window: &Window, screen: &str) -> anyhow::Result<()> {
    none(window, screen, TOASTS_IN_THE_WAY).await
}

/// Clicks toasts away until none is left.
pub async fn dismiss_toasts(window: &Window) {
    let gone = "() => { document.querySelector('.toast .icon-button')?.click(); \
                return document.querySelectorAll('.toast').length; }";
    window.until("toasts can be dismissed", gone, |left| *left == json!(0)).await;
}
