//! The prefix cache: which blocks of a prompt were seen before.
//!
//! A block is 16 tokens, as on a GPU, and is named by its own tokens and all
//! before it. The last token of a prompt is always computed, so a prompt is
//! never cached as a whole.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Tokens in a block.
const BLOCK: usize = 16;
/// Blocks kept; the cache starts anew when it is full.
const CAPACITY: usize = 65_536;

/// Blocks seen so far.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache {
    blocks: HashSet<u64>,
}

/// How a prompt met the cache, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Hit {
    /// Tokens that need not be computed.
    pub(crate) cached: u64,
    /// Tokens in blocks that are new in the cache.
    pub(crate) created: u64,
}

impl PrefixCache {
    /// Looks a prompt up and stores it. `salt` separates caches: the model and
    /// the request's `cache_salt`.
    pub(crate) fn meet(&mut self, salt: &str, tokens: &[&str]) -> Hit {
        if self.blocks.len() > CAPACITY {
            self.blocks.clear();
        }
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        let mut hit = Hit::default();
        let mut leading = true;
        let usable = tokens.len().saturating_sub(1) / BLOCK;
        for (i, block) in tokens.chunks_exact(BLOCK).enumerate() {
            block.hash(&mut hasher);
            let new = self.blocks.insert(hasher.finish());
            leading &= !new;
            if new {
                hit.created += BLOCK as u64;
            } else if leading && i < usable {
                hit.cached += BLOCK as u64;
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_prompt_is_cached_in_whole_blocks_and_never_as_a_whole() {
        for (length, created, cached) in [
            (15, 0, 0),
            (16, 16, 0),
            (17, 16, 16),
            (40, 32, 32),
            (48, 48, 32),
        ] {
            let tokens = vec!["x"; length];
            let mut cache = PrefixCache::default();
            assert_eq!(cache.meet("m", &tokens), Hit { cached: 0, created });
            assert_eq!(
                cache.meet("m", &tokens),
                Hit { cached, created: 0 },
                "{length}"
            );
            assert_eq!(cache.meet("other", &tokens).cached, 0);
        }
    }

    #[test]
    fn only_a_prefix_counts() {
        let mut cache = PrefixCache::default();
        cache.meet("m", &["a"; 40]);
        let mut tokens = vec!["b"];
        tokens.extend(["a"; 39]);
        assert_eq!(cache.meet("m", &tokens).cached, 0);
    }
}
