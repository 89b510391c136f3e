//! An older signed plugin that is loaded again.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
