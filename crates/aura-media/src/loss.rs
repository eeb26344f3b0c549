//! Loss of one received stream over a window, from extended sequence numbers alone.

/// Counts what arrived against what the sequence numbers say was sent.
#[derive(Debug, Clone, Default)]
pub struct LossCounter {
    highest: Option<u64>,
    window_base: u64,
    received: u64,
}

/// One closed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Packets the numbering says were sent.
    pub expected: u64,
    /// Packets that came (retransmissions included).
    pub received: u64,
}

impl Window {
    /// Lost share in percent, 0 to 100.
    #[must_use]
    pub fn loss_percent(self) -> f32 {
        if self.expected == 0 {
            return 0.0;
        }
        let lost = self.expected.saturating_sub(self.received);
        lost as f32 * 100.0 / self.expected as f32
    }
}

impl LossCounter {
    /// Counts one packet.
    pub fn observe(&mut self, sequence: u64) {
        match self.highest {
            None => {
                self.window_base = sequence;
                self.highest = Some(sequence);
            }
            Some(highest) => self.highest = Some(highest.max(sequence)),
        }
        self.received += 1;
    }

    /// Ends the window and begins the next.
    pub fn close_window(&mut self) -> Window {
        let Some(highest) = self.highest else { return Window { expected: 0, received: 0 } };
        let next_base = highest + 1;
        let window = Window { expected: next_base.saturating_sub(self.window_base), received: self.received };
        self.window_base = next_base;
        self.received = 0;
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_loss_and_reordering_is_not() {
        let mut counter = LossCounter::default();
        for sequence in [10, 12, 11, 15] {
            counter.observe(sequence);
        }
        let window = counter.close_window();
        assert_eq!(window, Window { expected: 6, received: 4 });
        assert!((window.loss_percent() - 33.333).abs() < 0.01);
        assert_eq!(counter.close_window(), Window { expected: 0, received: 0 });
    }
}
