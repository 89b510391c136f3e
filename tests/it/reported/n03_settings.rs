//! Secrets in fields of the configuration that the plugin receives.

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[];
