//! What the compiling process inherits.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
