//! Secrets that a server says back, and placeholders in headers that they are not bound to.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
