//! Paths that leave the granted base path.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
