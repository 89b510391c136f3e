//! A plugin file that chooses a secret and its destination.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
