//! Whole-stack test support.
