//! W3C trace context: reading it from callers, writing it for the services we call and the events we send.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::request_scope;

/// Whether `value` is a version-00 `traceparent`.
#[must_use]
pub fn is_traceparent(value: &str) -> bool {
    parse(value).is_some()
}

fn parse(value: &str) -> Option<SpanContext> {
    let mut parts = value.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str, chars: usize| {
        text.len() == chars && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let shaped = lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    // A later version may append parts; version 00 may not.
    if !shaped || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// Makes `span` a child of the caller's span. Call it before the span is entered.
pub fn adopt(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(parse) {
        // Fails only when no tracer is installed, and then there is nothing to be child of.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// The trace id of `span`, when a tracer is installed.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != TraceId::INVALID).then(|| id.to_string())
}

/// The current span as a `traceparent`, or the one the current request came with.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    if span.is_valid() {
        let flags = span.trace_flags().to_u8();
        return Some(format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()));
    }
    request_scope::inbound_traceparent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wellformed_contexts_are_read() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
