//! Bytes: what a payload takes, and what IP, UDP, RTP and SRTP add to every packet.

/// IPv4 20, UDP 8, RTP 12, SRTP tag 10.
pub const OVERHEAD_BYTES: usize = 50;
/// What is replaced: WebRTC's Opus at 32 kbit/s in 20 ms packets.
pub const OPUS_KBPS: f64 = 32.0;

/// kbit/s of payload and of the wire for packets of `bytes` every `ms`.
pub fn rates(bytes: usize, ms: usize) -> (f64, f64) {
    let kbps = |bytes: usize| bytes as f64 * 8.0 / ms as f64;
    (kbps(bytes), kbps(bytes + OVERHEAD_BYTES))
}

/// The share saved against [`OPUS_KBPS`], of payload and of the wire.
pub fn saved(rates: (f64, f64)) -> (f64, f64) {
    let (_, wire) = self::rates((OPUS_KBPS * 20.0 / 8.0) as usize, 20);
    (1.0 - rates.0 / OPUS_KBPS, 1.0 - rates.1 / wire)
}
