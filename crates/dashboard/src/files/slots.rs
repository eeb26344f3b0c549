//! How many uploads run at the same time, for one sender and for one owner of what is sent: each may fill what is left of a
//! quota before it is counted, so together they would fill the disk.

use aura_types::{Coded, ErrorCode, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who sends, and for whose storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Sender(UserId),
    Owner(UserId),
}

/// As many uploads are running as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("{0} of your uploads are running, wait until one is done")]
    Sender(usize),
    #[error("too many uploads into this room are running, wait until one is done")]
    Owner,
}

impl Coded for Busy {
    fn code(&self) -> ErrorCode {
        ErrorCode::ResourceExhausted
    }

    fn safe_message(&self) -> String {
        self.to_string()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Slots {
    running: Arc<Mutex<HashMap<Side, usize>>>,
    per_sender: usize,
    per_owner: usize,
}

/// One upload's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    sides: [Side; 2],
}

impl Slots {
    pub(super) fn new(per_sender: usize, per_owner: usize) -> Self {
        Self { running: Arc::default(), per_sender, per_owner }
    }

    pub(super) fn take(&self, sender: UserId, owner: UserId) -> Result<Slot, Busy> {
        let sides = [Side::Sender(sender), Side::Owner(owner)];
        let mut running = self.lock();
        let [of_sender, of_owner] = sides.map(|side| running.get(&side).copied().unwrap_or(0));
        if of_sender >= self.per_sender {
            return Err(Busy::Sender(of_sender));
        }
        if of_owner >= self.per_owner {
            return Err(Busy::Owner);
        }
        for side in sides {
            *running.entry(side).or_default() += 1;
        }
        drop(running);
        Ok(Slot { slots: self.clone(), sides })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Side, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.slots.lock();
        for side in self.sides {
            if let Some(count) = running.get_mut(&side) {
                *count -= 1;
                if *count == 0 {
                    running.remove(&side);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_sender_and_by_owner_and_come_back() {
        let [alice, bob, eve] = [(); 3].map(|()| UserId::generate());
        let slots = Slots::new(2, 3);
        let first = slots.take(alice, alice).unwrap();
        let _second = slots.take(alice, bob).unwrap();
        assert_eq!(slots.take(alice, bob).unwrap_err(), Busy::Sender(2));
        drop(first);
        let _third = slots.take(alice, bob).unwrap();
        let fourth = slots.take(bob, bob).unwrap();
        assert_eq!(slots.take(eve, bob).unwrap_err(), Busy::Owner, "however many senders there are");
        drop(fourth);
        let _fifth = slots.take(eve, bob).unwrap();
        drop((_second, _third, _fifth));
        assert!(slots.lock().is_empty());
    }
}
