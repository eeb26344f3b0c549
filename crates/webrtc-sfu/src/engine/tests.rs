//! The room's rules, told as stories.
