//! Rooms and forwarding, speaking the LiveKit protocol.
