//! Forms and parts of a key in a recording.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
