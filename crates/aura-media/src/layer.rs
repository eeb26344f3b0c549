//! Which simulcast layer a viewer gets.

/// Simulcast layers, lowest first. Streams without simulcast have only `Low`'s slot, whatever their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Layer {
    /// rid `q`, or the only layer there is.
    #[default]
    Low,
    /// rid `h`.
    Medium,
    /// rid `f`.
    High,
}

impl Layer {
    /// Lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// Index into per-layer arrays: 0, 1 or 2.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The layer at `index`; anything above 2 is the highest.
    #[must_use]
    pub const fn from_index(index: usize) -> Self {
        match index {
            0 => Self::Low,
            1 => Self::Medium,
            _ => Self::High,
        }
    }

    /// Reads a restriction id as publishers spell it: `q h f`, or `2 1 0` (high to low), possibly with `~` (paused).
    #[must_use]
    pub fn from_rid(rid: &str) -> Option<Self> {
        match rid.trim_start_matches('~') {
            "q" | "2" => Some(Self::Low),
            "h" | "1" => Some(Self::Medium),
            "f" | "0" => Some(Self::High),
            _ => None,
        }
    }
}

/// The lowest layer that is at least nine tenths as tall as the viewer's tile, else the tallest.
///
/// `heights` are the announced heights by layer, in pixels; 0 means the layer does not exist. Without any announced
/// height there is nothing to compare with, and the highest is wanted. LiveKit's rule.
#[must_use]
pub fn for_height(heights: [u32; 3], wanted: u32) -> Layer {
    Layer::ALL
        .into_iter()
        .find(|layer| {
            let height = heights[layer.index()];
            height > 0 && u64::from(height) * 10 >= u64::from(wanted) * 9
        })
        .or_else(|| Layer::ALL.into_iter().rev().find(|layer| heights[layer.index()] > 0))
        .unwrap_or(Layer::High)
}

/// The best layer not above `wanted` that is `live`; if there is none, the lowest live one above it.
#[must_use]
pub fn best_live(live: [bool; 3], wanted: Layer) -> Option<Layer> {
    let below = Layer::ALL.into_iter().rev().filter(|layer| *layer <= wanted);
    let above = Layer::ALL.into_iter().filter(|layer| *layer > wanted);
    below.chain(above).find(|layer| live[layer.index()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_layer_that_fills_the_tile_is_chosen() {
        let heights = [180, 360, 720];
        assert_eq!(for_height(heights, 180), Layer::Low);
        assert_eq!(for_height(heights, 200), Layer::Low, "nine tenths are enough");
        assert_eq!(for_height(heights, 201), Layer::Medium);
        assert_eq!(for_height(heights, 2160), Layer::High);
        assert_eq!(for_height([0, 0, 0], 100), Layer::High);
    }

    #[test]
    fn a_missing_layer_falls_down_first_then_up() {
        assert_eq!(best_live([true, false, false], Layer::High), Some(Layer::Low));
        assert_eq!(best_live([false, false, true], Layer::Low), Some(Layer::High));
        assert_eq!(best_live([false; 3], Layer::Low), None);
    }
}
