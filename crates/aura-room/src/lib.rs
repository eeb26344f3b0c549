//! A room participant as a library: join, publish, subscribe, data, RPC, reconnect.
