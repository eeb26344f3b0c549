//! Pure media arithmetic: RTP, codecs, layers, levels.
