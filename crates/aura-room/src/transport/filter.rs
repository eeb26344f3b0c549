//! One place in the media stack where packets are looked at on their way, in and out.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// What passes a place, changed or not; `None` is kept back.
pub(super) trait Rule: Send + Sync {
    fn inbound(&mut self, message: TaggedPacket) -> Option<TaggedPacket>;

    fn outbound(&mut self, message: TaggedPacket) -> Option<TaggedPacket> {
        Some(message)
    }
}

/// An interceptor that applies a rule and delays nothing.
pub(super) struct Filter<R> {
    rule: R,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl<R> Filter<R> {
    pub(super) fn new(rule: R) -> Self {
        Self { rule, inbound: VecDeque::new(), outbound: VecDeque::new() }
    }
}

impl<R: Rule> Protocol<TaggedPacket, TaggedPacket, ()> for Filter<R> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.inbound.extend(self.rule.inbound(message));
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.outbound.extend(self.rule.outbound(message));
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl<R: Rule> Interceptor for Filter<R> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
