//! One AIC packet as each listener gets it: at the rate its downlink takes, with as much of the past repeated as it loses.
//! Nothing is decoded, and what several listeners need is made once.

use std::sync::Arc;

use aic_codec::payload::{MAX_DEPTH, deepen, truncate};
use aic_codec::{Codes, Rate};
use aura_media::layer::Layer;
use bytes::Bytes;

/// One packet's payloads, made when the first listener asks.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// Encrypted end to end, or no AIC: goes out as it is.
    sealed: bool,
    /// The frames before it, newest first.
    earlier: Vec<Codes>,
    made: [[Option<Made>; MAX_DEPTH as usize + 1]; 3],
    /// Copies at a lower rate.
    pub(crate) truncated: u64,
    /// Copies with more redundancy than the publisher sent.
    pub(crate) deepened: u64,
}

#[derive(Debug)]
struct Made {
    payload: Arc<[u8]>,
    truncated: bool,
    deepened: bool,
}

impl Fitted {
    /// What follows on `earlier`, the frames right before it, newest first.
    pub(crate) fn new(earlier: Vec<Codes>) -> Self {
        Self { sealed: false, earlier, made: Default::default(), truncated: 0, deepened: 0 }
    }

    /// What nobody may change.
    pub(crate) fn sealed() -> Self {
        Self { sealed: true, ..Self::new(Vec::new()) }
    }

    /// The payload for a downlink that takes `cap` and wants `depth` packets repeated.
    pub(crate) fn to(&mut self, cap: Layer, depth: u8, payload: &Arc<[u8]>) -> Arc<[u8]> {
        let depth = depth.min(MAX_DEPTH);
        if self.sealed || (cap == Layer::High && depth == 0) {
            return Arc::clone(payload);
        }
        let made = self.made[cap.index()][usize::from(depth)]
            .get_or_insert_with(|| make(cap, depth, payload, &self.earlier));
        self.truncated += u64::from(made.truncated);
        self.deepened += u64::from(made.deepened);
        Arc::clone(&made.payload)
    }
}

fn make(cap: Layer, depth: u8, payload: &Arc<[u8]>, earlier: &[Codes]) -> Made {
    let rate = match cap {
        Layer::High => Rate::High,
        Layer::Medium => Rate::Mid,
        Layer::Low => Rate::Low,
    };
    let shorter = truncate(&Bytes::from_owner(Arc::clone(payload)), rate);
    let shorter = shorter.filter(|shorter| shorter.len() < payload.len());
    let deeper = deepen(shorter.as_deref().unwrap_or(payload), earlier, depth);
    let (truncated, deepened) = (shorter.is_some(), deeper.is_some());
    let payload = deeper.or(shorter).map_or_else(|| Arc::clone(payload), |bytes| bytes[..].into());
    Made { payload, truncated, deepened }
}

#[cfg(test)]
mod tests {
    use aic_codec::payload::Payload;

    use super::*;

    /// One frame at 6 kbit/s: a header byte and fifteen of codes.
    fn full_rate() -> Arc<[u8]> {
        let mut payload = [0xa5; 16];
        payload[0] = 0b1000_0000;
        payload[..].into()
    }

    #[test]
    fn congestion_cuts_packets_and_nothing_else_does() {
        let payload = full_rate();
        let mut fitted = Fitted::new(Vec::new());
        assert!(Arc::ptr_eq(&fitted.to(Layer::High, 0, &payload), &payload), "not even copied");
        assert_eq!(fitted.to(Layer::Medium, 0, &payload).len(), 9);
        let low = fitted.to(Layer::Low, 0, &payload);
        assert_eq!(low.len(), 5);
        assert!(Arc::ptr_eq(&low, &fitted.to(Layer::Low, 0, &payload)), "cut once for all copies");
        assert_eq!((fitted.truncated, fitted.deepened), (3, 0));
        assert!(Payload::parse(&low).is_ok());
        let mut sealed = Fitted::sealed();
        assert!(Arc::ptr_eq(&sealed.to(Layer::Low, 3, &payload), &payload));
    }

    #[test]
    fn a_packet_of_the_lowest_rate_stays_as_it_is() {
        let payload: Arc<[u8]> = [0, 1, 2, 3, 4][..].into();
        let mut fitted = Fitted::new(Vec::new());
        assert_eq!(fitted.to(Layer::Low, 0, &payload), payload);
        assert_eq!(fitted.truncated, 0);
    }

    #[test]
    fn loss_repeats_the_past_at_any_rate() {
        let payload = full_rate();
        let past = vec![Codes([7; 12]), Codes([8; 12])];
        let mut fitted = Fitted::new(past);
        let whole = fitted.to(Layer::High, 1, &payload);
        assert_eq!(Payload::parse(&whole).unwrap().redundant(0).unwrap().0[..3], [7; 3]);
        let cut = fitted.to(Layer::Low, 3, &payload);
        let parsed = Payload::parse(&cut).unwrap();
        assert_eq!((parsed.header().rate, parsed.header().depth), (Rate::Low, 2), "no more than there is");
        assert_eq!((fitted.truncated, fitted.deepened), (1, 2));
    }

    proptest::proptest! {
        #[test]
        fn hostile_payloads_are_neither_changed_nor_fatal(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            depth in 0_u8..9,
        ) {
            let payload: Arc<[u8]> = bytes.into();
            for cap in Layer::ALL {
                let fitted = Fitted::new(vec![Codes([1023; 12]); 24]).to(cap, depth, &payload);
                match Payload::parse(&payload) {
                    Ok(_) => proptest::prop_assert!(Payload::parse(&fitted).is_ok()),
                    Err(_) => proptest::prop_assert!(Arc::ptr_eq(&fitted, &payload)),
                }
            }
        }
    }
}
