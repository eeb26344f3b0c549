//! The dashboard's business, pure: values and `now` in, values out.
//!
//! Nothing here knows a runtime, a database, a socket or a clock; everything can be tested by calling it.

pub(crate) mod aic;
pub(crate) mod aura_id;
pub(crate) mod call;
pub(crate) mod file_name;
pub(crate) mod link;
pub(crate) mod page;
pub(crate) mod password;
pub(crate) mod quota;
pub(crate) mod text;
