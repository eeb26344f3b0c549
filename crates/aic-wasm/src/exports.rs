//! The exported functions. Addresses and numbers only: the page reads and writes the buffer that `aic_exchange` names,
//! between calls, and nothing here follows a pointer that comes from outside.
//!
//! The one thing the compiler counts as unsafe is that exported names are not mangled.
#![expect(unsafe_code, reason = "`no_mangle`: a page finds these functions by their names")]

use std::cell::RefCell;

use crate::desk::Desk;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    DESK.with_borrow_mut(work)
}

/// The buffer, made `length` bytes long: its address. Asking again may move it.
#[unsafe(no_mangle)]
pub extern "C" fn aic_exchange(length: usize) -> usize {
    with(|desk| desk.exchange(length).as_mut_ptr() as usize)
}

/// Bytes in the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn aic_length() -> usize {
    with(|desk| desk.length())
}

/// Loads a model from the four files in the buffer, of these lengths; leaves its id there.
#[unsafe(no_mangle)]
pub extern "C" fn aic_model(manifest: usize, encoder: usize, decoder: usize, codebooks: usize) -> i32 {
    with(|desk| desk.model(manifest, encoder, decoder, codebooks))
}

/// Opens a sender: its number.
#[unsafe(no_mangle)]
pub extern "C" fn aic_sender(mode: u32, min_quality: f32, max_latency_ms: f32) -> i32 {
    with(|desk| desk.sender(mode, min_quality, max_latency_ms))
}

/// Encodes the frame in the buffer; leaves a payload there and answers its length, 0 for none.
#[unsafe(no_mangle)]
pub extern "C" fn aic_push(sender: i32, now_ms: f64, took_ms: f32) -> i32 {
    with(|desk| desk.push(sender, now_ms as u64, took_ms))
}

/// Number of the first frame of the last payload.
#[unsafe(no_mangle)]
pub extern "C" fn aic_first(sender: i32) -> u32 {
    with(|desk| desk.first(sender))
}

/// Share of packets lost, as listeners report.
#[unsafe(no_mangle)]
pub extern "C" fn aic_loss(sender: i32, now_ms: f64, share: f32) {
    with(|desk| desk.loss(sender, now_ms as u64, share));
}

/// Bits per second for Opus, of the ladder that native senders climb.
#[unsafe(no_mangle)]
pub extern "C" fn aic_rung(now_ms: f64, mode: u32, reason: u32, share: f32, available_bps: u32) -> i32 {
    with(|desk| desk.rung(now_ms as u64, mode, reason, share, available_bps))
}

/// Leaves a sender's state in the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn aic_status(sender: i32) -> i32 {
    with(|desk| desk.status(sender))
}

/// Opens a receiver: its number.
#[unsafe(no_mangle)]
pub extern "C" fn aic_receiver() -> i32 {
    with(Desk::receiver)
}

/// Takes the payload in the buffer, whose first frame has this number.
#[unsafe(no_mangle)]
pub extern "C" fn aic_insert(receiver: i32, first: u32) -> i32 {
    with(|desk| desk.insert(receiver, first))
}

/// Leaves the next 20 ms in the buffer and answers what they are made of.
#[unsafe(no_mangle)]
pub extern "C" fn aic_pull(receiver: i32) -> i32 {
    with(|desk| desk.pull(receiver))
}

/// Packets that came too late to be played.
#[unsafe(no_mangle)]
pub extern "C" fn aic_late(receiver: i32) -> f64 {
    with(|desk| desk.late(receiver))
}

/// Closes a sender or a receiver.
#[unsafe(no_mangle)]
pub extern "C" fn aic_close(stream: i32) {
    with(|desk| desk.close(stream));
}
