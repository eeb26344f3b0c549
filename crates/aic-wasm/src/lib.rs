//! AIC, the neural speech codec, for browsers: what a page's worker calls, as plain WebAssembly exports.
//!
//! Built for `wasm32-unknown-unknown` with profile `wasm`; `crates/dashboard/web/src/aic/codec.ts` is its other half.
//! [`exports`] is the boundary, where everything is a number; [`desk`] does the work and is tested without a browser.
//! A page is one thread and one stream of calls: there is one desk per thread and no lock.

mod desk;
pub mod exports;
