//! What the service decides and adds up: pure arithmetic over values, with the time passed in.

pub(crate) mod alert;
pub(crate) mod histogram;
pub(crate) mod preference;
pub(crate) mod seal;
pub(crate) mod usage;
