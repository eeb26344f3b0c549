// How long the server lets text be (crates/dashboard/src/engine/text.rs), so that fields end where it does.

export const DISPLAY_NAME_MAX = 80;
export const ROOM_NAME_MAX = 100;
