//! Ids, error codes and the clock every AuraLink crate shares.
